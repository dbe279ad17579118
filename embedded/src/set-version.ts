import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";

// The root's package.json has the version; what must repeat it (npm's workspaces, the chart) is written from here.
const root = resolve(import.meta.dirname, "../..");
const semantic = /^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$/;

interface Manifest {
  version: string;
  workspaces?: string[];
  dependencies?: Record<string, string>;
}

const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = (path: string): Manifest => JSON.parse(read(path));

/** The files that bear the version, and their text with another one. */
export function filesWithVersion(next: string): { path: string; text: string }[] {
  const now = manifest("package.json").version;
  const folders = manifest("package.json").workspaces ?? [];
  const inJson = (text: string) =>
    text
      .replace(`"version": "${now}"`, `"version": "${next}"`)
      .replaceAll(/("@keygate\/[\w-]+": )"[^"]+"/g, `$1"${next}"`);
  const packages = ["package.json", ...folders.map((folder) => `${folder}/package.json`)];
  const chart = read("deploy/helm/keygate/Chart.yaml").replaceAll(/^(version|appVersion): .*$/gm, `$1: ${next}`);
  const guide = read("docs/deployment/kubernetes.md").replaceAll(`:${now} .`, `:${next} .`);
  return [
    ...packages.map((path) => ({ path, text: inJson(read(path)) })),
    { path: "deploy/helm/keygate/Chart.yaml", text: chart },
    { path: "docs/deployment/kubernetes.md", text: guide },
  ];
}

if (import.meta.main) {
  const [next = ""] = process.argv.slice(2);
  if (!semantic.test(next)) {
    console.error(
      "Usage: npm run set-version -- 1.2.3\n\nWrites the version wherever it stands; then run npm install --package-lock-only.",
    );
    process.exit(2);
  }
  for (const { path, text } of filesWithVersion(next)) {
    writeFileSync(join(root, path), text);
    console.log(path);
  }
}
