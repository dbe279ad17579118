import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { promisify } from "node:util";
import { variableNames } from "@keygate/shared/config-guide";
import { expect, test } from "vitest";
import { parse as parseYaml } from "yaml";
import { licensedPackages } from "../src/licenses.ts";
import { filesWithVersion } from "../src/set-version.ts";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json"));
const scripts: Record<string, string> = manifest.scripts;

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith(".md")),
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];
const texts = new Map(pages.map((page) => [page, read(page)]));

test("every npm script that the docs name exists, and so does the program behind it", () => {
  const named = [...texts].flatMap(([page, text]) =>
    [...text.matchAll(/\bnpm (?:run (?:-s )?)?([a-z][\w:-]*)/g)]
      .filter(([whole, name = ""]) => whole.includes(" run ") || ["start", "test"].includes(name))
      .map(([, name = ""]) => ({ page, name })),
  );
  expect(named.length).toBeGreaterThan(30);
  for (const { page, name } of named) expect(Object.keys(scripts), `${page}: npm run ${name}`).toContain(name);
  for (const [name, command] of Object.entries(scripts)) {
    const [, program] = /^node (?:--\S+ )*(\S+)/.exec(command) ?? [];
    if (program) expect(existsSync(join(root, program)), `${name}: ${program}`).toBe(true);
  }
});

/** Programs that say what they do without doing it. What the others do, their own tests run. */
const withHelp = ["start", "dev", "demo", "crash", "bench", "restore-drill", "simulator", "audit-key", "user-link"];

test.each(withHelp)("npm run %s says what it does, by the name that the docs use", async (name) => {
  const [, program = ""] = /^node (?:--\S+ )*(\S+)/.exec(scripts[name] ?? "") ?? [];
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, program), "--help"], { cwd: root });
  expect(stdout).toMatch(new RegExp(`npm (run )?${name}\\b`));
  expect(stdout).toContain("--help");
});

test("every path that the docs lead to exists", () => {
  for (const [page, text] of texts) {
    for (const [whole, target = ""] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      expect(existsSync(join(root, dirname(page), target)), `${page}: ${whole}`).toBe(true);
    }
  }
});

test("every variable that a deployment guide tells to set is one that KeyGate or its images know", () => {
  const known = new Set([...variableNames(), "POSTGRES_PASSWORD", "REDIS_PASSWORD", "KEYGATE_VERSION", "BIND_ADDRESS"]);
  // Read by Node, by systemd's user, or by a vendor's own library.
  for (const name of ["NODE_ENV", "NODE_EXTRA_CA_CERTS", "KEYGATE_HOME", "AZURE_FEDERATED_TOKEN_FILE"]) known.add(name);
  const guides = [...texts].filter(([page]) => /^docs\/(?:deployment\/|scaling|upgrade|operations)/.test(page));
  const named = guides.flatMap(([page, text]) =>
    [...text.matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)(?:=[^`]*)?`/g)].map(([, name = ""]) => ({ page, name })),
  );
  expect(named.length).toBeGreaterThan(20);
  for (const { page, name } of named) expect(known.has(name), `${page}: ${name}`).toBe(true);
});

test("the version stands in one place, and whatever repeats it says the same", () => {
  for (const { path, text } of filesWithVersion(manifest.version)) expect(read(path), path).toBe(text);
  const changed = filesWithVersion("9.9.9").filter(({ path, text }) => text !== read(path));
  expect(changed).toHaveLength(filesWithVersion("9.9.9").length);
  const lock = JSON.parse(read("package-lock.json"));
  for (const folder of ["", ...manifest.workspaces])
    expect(lock.packages[folder].version, folder).toBe(manifest.version);
});

test("every package that production installs has a licence that asks for no more than its notice", () => {
  const packages = licensedPackages(root);
  expect(packages.length).toBeGreaterThan(100);
  expect(packages.filter(({ isFine }) => !isFine)).toEqual([]);
});

test("the workflows check what .ci/run checks, build what is deployed, and give out what is in it", () => {
  const stepsOf = (file: string) => {
    const { jobs } = parseYaml(read(`.github/workflows/${file}`));
    // biome-ignore lint/suspicious/noExplicitAny: a workflow as it was parsed
    return Object.values<any>(jobs).flatMap((job) => job.steps.map((step: any) => JSON.stringify(step)));
  };
  const ci = stepsOf("ci.yml").join("\n");
  for (const what of [
    ".ci/run",
    "Dockerfile.api",
    "Dockerfile.worker",
    "docker compose",
    "helm lint",
    "helm template",
  ]) {
    expect(ci, what).toContain(what);
  }
  const release = stepsOf("release.yml").join("\n");
  for (const what of [".ci/run", "Dockerfile.api", "Dockerfile.worker", "npm sbom", "licenses.ts", "helm package"]) {
    expect(release, what).toContain(what);
  }
  for (const name of ["lint", "typecheck", "test"]) {
    expect(read(".ci/run")).toMatch(new RegExp(`npm (run )?${name}\\b`));
    expect(scripts[name]).toBeDefined();
  }
});
