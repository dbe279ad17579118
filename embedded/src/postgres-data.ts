import { execFile } from "node:child_process";
import {
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { commandAs, type RunAs } from "./daemon.ts";
import type { PostgresBinaries } from "./postgres-binaries.ts";

const run = promisify(execFile);

export type DataState = "empty" | "ready" | "half-made";

/**
 * What a data folder holds. Throws on files that are no PostgreSQL data at all, on data of another major version,
 * and on a folder that may not be read: none of these may be replaced.
 */
export function inspectData(dataDir: string, major: number): DataState {
  const entries = listEntries(dataDir);
  if (entries.length === 0) return "empty";
  if (!["PG_VERSION", "base", "global", "pg_wal"].some((name) => entries.includes(name))) {
    throw new Error(`${dataDir} holds files that are not PostgreSQL's. Choose another folder.`);
  }
  if (!entries.includes("PG_VERSION") || !existsSync(join(dataDir, "global", "pg_control"))) {
    return "half-made";
  }
  const theirs = readFileSync(join(dataDir, "PG_VERSION"), "utf8").trim();
  if (theirs !== String(major)) {
    throw new Error(
      `${dataDir} was made by PostgreSQL ${theirs}, and this KeyGate brings PostgreSQL ${major}. Move the data over with pg_dump and pg_restore, or run the KeyGate that made it.`,
    );
  }
  return "ready";
}

/** Moves a half-made data folder out of the way, and returns where it is now. Nothing is deleted. */
export function moveAside(dataDir: string, now: Date, folder = dataDir): string {
  const stamp = now.toISOString().replace(/[-:.]/g, "");
  let target = `${dataDir}.broken-${stamp}`;
  for (let n = 2; existsSync(target); n++) target = `${dataDir}.broken-${stamp}-${n}`;
  renameSync(folder, target);
  return target;
}

/** Moves aside what initdb was making when an earlier run was killed, and returns where it is now. */
export function clearDrafts(dataDir: string, now: Date): string[] {
  const moved: string[] = [];
  for (const name of readdirSync(dirname(dataDir))) {
    if (!name.startsWith(basename(draftPrefix(dataDir)))) continue;
    const draft = join(dirname(dataDir), name);
    try {
      rmdirSync(draft); // initdb empties its folder when it is told to stop
    } catch {
      moved.push(moveAside(dataDir, now, draft));
    }
  }
  return moved;
}

const draftPrefix = (dataDir: string) => `${dataDir}.new-`;

export interface InitOptions {
  dataDir: string;
  as: RunAs;
  user: string;
  password: string;
  /** Leave out the final flush to disk: for tests. */
  noSync: boolean;
}

/**
 * Makes a new database cluster: UTF-8, the same sort order on every system, passwords by scram-sha-256. It is made
 * beside `dataDir` and renamed, so that `dataDir` is never half-made, and an initdb that outlived its killed owner
 * cannot meddle with ours (it would empty the folder on failing).
 */
export async function initialiseData(binaries: PostgresBinaries, options: InitOptions): Promise<void> {
  const { dataDir, as } = options;
  const draft = mkdtempSync(draftPrefix(dataDir)); // mode 0700
  const passwordFile = `${dataDir}.password`;
  rmSync(passwordFile, { force: true });
  writeFileSync(passwordFile, `${options.password}\n`, { mode: 0o600, flag: "wx" });
  try {
    if (as.user) for (const path of [draft, passwordFile]) chownSync(path, as.user.uid, as.user.gid);
    const args = [
      `--pgdata=${draft}`,
      `--username=${options.user}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      // PostgreSQL's own C.UTF-8, so that no locale of the machine is needed and none can change under the indexes.
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--locale=C",
      "--no-instructions",
      ...(options.noSync ? ["--no-sync"] : []),
    ];
    const command = commandAs(as, binaries.initdb, args, "SIGTERM");
    await run(command.file, command.args, command.options);
    renameSync(draft, dataDir);
    if (!options.noSync) syncFolder(dirname(dataDir));
  } catch (cause) {
    const output = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause);
    throw new Error(`PostgreSQL's data folder ${dataDir} could not be made: ${output}`, { cause });
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/** Makes a rename in this folder outlast a power failure. */
function syncFolder(folder: string): void {
  const fd = openSync(folder, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function listEntries(dataDir: string): string[] {
  try {
    return readdirSync(dataDir);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    if (code === "EACCES")
      throw new Error(
        `${dataDir} may not be read by this user. It was probably made by KeyGate running as root: run it as root again, or give the folder to yourself with chown -R.`,
        { cause: error },
      );
    throw error;
  }
}
