import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");

/** What the last stages of an image take from the repository, and for which workspaces packages are installed. */
function contentsOf(dockerfile: string): { copied: string[]; installed: string[] } {
  const text = read(dockerfile);
  const stage = text.slice(text.lastIndexOf("\nFROM "));
  const copied = [...stage.matchAll(/^COPY (?!--from)(.+)$/gm)].flatMap(([, words = ""]) =>
    words.split(/\s+/).slice(0, -1),
  );
  const dependencies = text.slice(0, text.lastIndexOf("\nFROM "));
  const install = dependencies.slice(dependencies.lastIndexOf("npm ci"));
  return { copied, installed: [...install.matchAll(/--workspace (\w+)/g)].map(([, name = ""]) => name) };
}

const specifiers = (text: string) =>
  [
    ...text.matchAll(
      /^(?:import|export)\s(?!type\b)[^;]*?\bfrom\s+"([^"]+)"|^import\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm,
    ),
  ].map((found) => found[1] ?? found[2] ?? found[3] ?? "");

const packageOf = (name: string) =>
  name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");

/** Every file that a program imports, however far away, and the packages that each of them needs. */
function closureOf(entry: string): { files: string[]; packages: { file: string; name: string }[] } {
  const files = new Set<string>();
  const packages: { file: string; name: string }[] = [];
  const visit = (file: string) => {
    if (files.has(file)) return;
    files.add(file);
    if (!file.endsWith(".ts")) return;
    for (const name of specifiers(read(file))) {
      const [, ours, path] = /^@keygate\/([\w-]+)\/(.+)$/.exec(name) ?? [];
      if (ours && path) visit(`${ours}/src/${path}.ts`);
      else if (name.startsWith(".")) visit(join(dirname(file), name));
      else if (!name.startsWith("node:") && !builtinModules.includes(name))
        packages.push({ file, name: packageOf(name) });
    }
  };
  visit(entry);
  return { files: [...files], packages };
}

const dependenciesOf = (workspace: string): string[] =>
  Object.keys(JSON.parse(read(`${workspace}/package.json`)).dependencies ?? {});

test.each([
  ["Dockerfile.api", "api/src/main.ts"],
  ["Dockerfile.api", "migrations/src/main.ts"],
  ["Dockerfile.api", "shared/src/tools/rewrap.ts"],
  ["Dockerfile.worker", "worker/src/main.ts"],
])("%s holds every file and installs every package that %s imports", (dockerfile, entry) => {
  const { copied, installed } = contentsOf(dockerfile);
  const { files, packages } = closureOf(entry);
  expect(files.length).toBeGreaterThan(1);
  expect(packages.length).toBeGreaterThan(0);
  for (const file of files) {
    expect(existsSync(join(root, file)), file).toBe(true);
    expect(
      copied.some((path) => file === path || file.startsWith(`${path}/`)),
      file,
    ).toBe(true);
  }
  const provided = installed.flatMap(dependenciesOf);
  for (const { file, name } of packages) {
    expect(provided, `${file} imports ${name}`).toContain(name);
    // Hoisting hides what a package forgot to ask for, until somebody else no longer does.
    expect(dependenciesOf(file.split("/")[0] ?? ""), `${file} imports ${name}`).toContain(name);
  }
});

test("both images hold the names of the migrations, by which a process knows whether a database is for it", () => {
  for (const dockerfile of ["Dockerfile.api", "Dockerfile.worker"]) {
    expect(contentsOf(dockerfile).copied, dockerfile).toContain("migrations/src");
  }
});
