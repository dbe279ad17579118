import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";

// What is given out with KeyGate and asks for no more than its notice. Anything else is for a person to look at.
const fine = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "Python-2.0",
  "Unlicense",
  "Zlib",
]);
/** Packages whose manifest names no licence, and what their own LICENSE files say. */
const lookedUp: Readonly<Record<string, string>> = { decko: "MIT", stickyfill: "MIT" };

const Lock = z.object({
  packages: z.record(
    z.string(),
    z.object({
      version: z.string().optional(),
      license: z.unknown().optional(),
      dev: z.boolean().optional(),
      link: z.boolean().optional(),
    }),
  ),
});

export interface LicensedPackage {
  name: string;
  version: string;
  license: string;
  isFine: boolean;
}

/** "A OR B" is fine when either is, "A AND B" when both are. */
function isFine(license: string): boolean {
  const bare = license.replace(/^\((.*)\)$/, "$1");
  if (/ OR /i.test(bare)) return bare.split(/ OR /i).some(isFine);
  if (/ AND /i.test(bare)) return bare.split(/ AND /i).every(isFine);
  return fine.has(bare);
}

/** What production installs, from the lock file, by name. */
export function licensedPackages(root: string): LicensedPackage[] {
  const lock = Lock.parse(JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")));
  const all = Object.entries(lock.packages).flatMap(([path, { version, license, dev, link }]) => {
    const name = path.split("node_modules/").at(-1);
    if (!path.includes("node_modules/") || !name || dev || link) return [];
    const said = typeof license === "string" ? license : (lookedUp[name] ?? "not named");
    return [{ name, version: version ?? "", license: said, isFine: isFine(said) }];
  });
  const unique = new Map(all.map((each) => [`${each.name}@${each.version}`, each]));
  return [...unique.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

if (import.meta.main) {
  const packages = licensedPackages(resolve(import.meta.dirname, "../.."));
  for (const { name, version, license } of packages) console.log(`${name}\t${version}\t${license}`);
  const others = packages.filter((each) => !each.isFine);
  for (const { name, license } of others) console.error(`Look at this one: ${name} (${license})`);
  process.exit(others.length === 0 ? 0 : 1);
}
