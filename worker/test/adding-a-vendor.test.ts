import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, relative } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const example = join(import.meta.dirname, "example-vendor");
const contractFile = "shared/src/contracts/vendors/acme.ts";
const adapterFolder = "worker/src/vendors/acme";
const adapterFiles = ["adapter", "check", "client", "errors", "inventory", "provision", "revoke", "rotate"];

/** A file of the example as it stands in a real vendor's folder: other paths, and the name that is in the registry now. */
function moved(name: string): string {
  return readFileSync(join(example, `${name}.ts`), "utf8")
    .replaceAll('"@keygate/shared/contracts/vendors/vendor-contract"', '"./vendor-contract.ts"')
    .replaceAll('"../../src/vendors/', '"../')
    .replaceAll('"../../src/saga/', '"../../saga/')
    .replaceAll('"./contract.ts"', '"@keygate/shared/contracts/vendors/acme"')
    .replace('import { acmeId } from "./unlisted.ts";\n', "")
    .replaceAll("id: acmeId", 'id: "acme"');
}

const newFiles: Record<string, string> = {
  [contractFile]: moved("contract"),
  ...Object.fromEntries(adapterFiles.map((name) => [`${adapterFolder}/${name}.ts`, moved(name)])),
};

/** The lines that the registries get; the last import of a vendor is what the new one stands behind. */
const registryLines = [
  {
    file: "shared/src/contracts/vendors/registry.ts",
    import: 'import { acme } from "./acme.ts";',
    before: 'import { anthropic } from "./anthropic.ts";',
  },
  {
    file: "worker/src/vendors/registry.ts",
    import: 'import { acme } from "./acme/adapter.ts";',
    before: 'import { anthropic } from "./anthropic/adapter.ts";',
  },
];

const workspaces = ["shared", "worker", "api"];
const isSource = (path: string) => !/(^|\/)(node_modules|dist|\.turbo|test)$/.test(path);

/** The packages' sources and what they need to be compiled, with the packages themselves in the place of the installed ones. */
function copyWorkspace(): string {
  const copy = mkdtempSync(join(tmpdir(), "keygate-adding-a-vendor-"));
  for (const name of workspaces) {
    cpSync(join(root, name), join(copy, name), {
      recursive: true,
      filter: (from) => isSource(relative(root, from)) && !from.endsWith(".test.ts"),
    });
  }
  mkdirSync(join(copy, "node_modules/@keygate"), { recursive: true });
  for (const name of workspaces) symlinkSync(join("../..", name), join(copy, "node_modules/@keygate", name));
  for (const name of readdirSync(join(root, "node_modules"))) {
    if (name !== "@keygate") symlinkSync(join(root, "node_modules", name), join(copy, "node_modules", name));
  }
  cpSync(join(root, "package.json"), join(copy, "package.json"));
  const { compilerOptions } = JSON.parse(readFileSync(join(root, "tsconfig.json"), "utf8"));
  writeFileSync(join(copy, "tsconfig.json"), JSON.stringify({ compilerOptions, include: workspaces }));
  return copy;
}

function digestsOf(copy: string): Map<string, string> {
  const files = workspaces.flatMap((name) =>
    readdirSync(join(copy, name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(copy, join(entry.parentPath, entry.name))),
  );
  return new Map(
    files.map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(join(copy, file)))
        .digest("hex"),
    ]),
  );
}

function edit(path: string, change: (text: string) => string): void {
  const before = readFileSync(path, "utf8");
  const after = change(before);
  expect(after, path).not.toBe(before);
  writeFileSync(path, after);
}

const compile = async (copy: string) =>
  promisify(execFile)(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "-p", copy]).then(
    () => "",
    ({ stdout }: { stdout: string }) => stdout,
  );

describe("adding a vendor", () => {
  let copy: string;
  beforeAll(() => {
    copy = copyWorkspace();
  });
  afterAll(() => rmSync(copy, { recursive: true, force: true }));

  it("takes a folder, a contract and a line in each registry; no other file changes, and everything compiles", async () => {
    const before = digestsOf(copy);
    mkdirSync(join(copy, adapterFolder));
    for (const [file, text] of Object.entries(newFiles)) writeFileSync(join(copy, file), text);
    for (const { file, import: line, before: next } of registryLines) {
      edit(join(copy, file), (text) => text.replace(next, `${line}\n${next}`));
      edit(join(copy, file), (text) => text.replace("\n  anthropic,\n", "\n  acme,\n  anthropic,\n"));
    }
    const changed = [...digestsOf(copy)].filter(([file, digest]) => before.get(file) !== digest).map(([file]) => file);
    expect(changed.sort()).toEqual([...Object.keys(newFiles), ...registryLines.map(({ file }) => file)].sort());
    expect(await compile(copy)).toBe("");
    // Some twenty seconds alone; a machine may have other things to do.
  }, 400_000);
});

describe("docs/adding-a-vendor.md", () => {
  const page = readFileSync(join(root, "docs/adding-a-vendor.md"), "utf8");
  const excerpts = [...page.matchAll(/```ts (\S+)\n(.*?)```/gs)].map(([, file = "", text = ""]) => ({ file, text }));
  const registries = Object.fromEntries(
    registryLines.map(({ file, import: line }) => [
      file,
      `${line}\n${readFileSync(join(root, file), "utf8")}\n  acme,\n`,
    ]),
  );

  it("shows the example as it is", () => {
    expect(excerpts.length).toBeGreaterThan(5);
    for (const { file, text } of excerpts) {
      const source = { ...newFiles, ...registries }[file];
      expect(source, `${file} is one of the files`).toBeDefined();
      // Three dots stand for what was left out.
      for (const piece of text.split(/^\s*(?:\/\/ )?…\n/m)) expect(source).toContain(piece);
    }
  });

  it("speaks of every file of the example", () => {
    for (const file of Object.keys(newFiles)) expect(page).toContain(`\`${basename(file)}\``);
    for (const { file } of registryLines) expect(page).toContain(`\`${file}\``);
  });
});
