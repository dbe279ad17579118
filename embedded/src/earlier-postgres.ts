import { readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describeProcess, isAlive, processIdentity, waitForExit } from "./processes.ts";

/**
 * Notes beside the data folder that this Node process owns it. Throws when another one that is still alive does:
 * stopping that one's PostgreSQL would be an attack, not a recovery. Returns the function that gives it back.
 */
export function claimDataDir(dataDir: string): () => void {
  const path = `${dataDir}.owner`;
  const owner = readOwner(path);
  if (owner && owner.pid !== process.pid && isAlive(owner.pid) && processIdentity(owner.pid) === owner.identity) {
    throw new Error(`${dataDir} is in use by process ${owner.pid}: KeyGate already runs here. Stop that one first.`);
  }
  const draft = `${path}.${process.pid}`;
  writeFileSync(draft, JSON.stringify({ pid: process.pid, identity: processIdentity(process.pid) }), { mode: 0o600 });
  renameSync(draft, path);
  return () => {
    if (readOwner(path)?.pid === process.pid) rmSync(path, { force: true });
  };
}

/**
 * Stops a PostgreSQL that an earlier, killed run left on this data folder, and removes a lock file that would keep a
 * new one from starting. The caller holds the claim, so whatever runs here is nobody's. Throws when the process that
 * the lock file names cannot be examined or will not stop.
 */
export async function stopEarlierPostgres(dataDir: string, say: (line: string) => void): Promise<void> {
  const lockFile = join(dataDir, "postmaster.pid");
  const pid = readLockedPid(lockFile);
  if (pid === null) return;
  if (Number.isNaN(pid)) {
    rmSync(lockFile, { force: true }); // written in part when the machine went down
    return;
  }
  if (!isAlive(pid)) return; // PostgreSQL replaces it itself, after checking that no old backend is left
  const verdict = runsOn(pid, dataDir);
  if (verdict === "other") {
    // The id now belongs to somebody else. PostgreSQL would take that process for itself and refuse to start.
    rmSync(lockFile, { force: true });
    return;
  }
  if (verdict === "unknown") {
    throw new Error(
      `${lockFile} names process ${pid}, which is alive and cannot be examined. If it is not a PostgreSQL on ${dataDir}, remove that file; if it is, stop it.`,
    );
  }
  say(`Stopping PostgreSQL (process ${pid}), left behind on ${dataDir} by an earlier run.`);
  for (const [signal, timeoutMs] of [
    ["SIGINT", 30_000],
    ["SIGQUIT", 15_000],
  ] as const) {
    try {
      process.kill(pid, signal);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EPERM") {
        throw new Error(
          `PostgreSQL (process ${pid}) still runs on ${dataDir} as another user. Stop it, or run KeyGate as that user or root.`,
          { cause: error },
        );
      }
    }
    if (await waitForExit(pid, timeoutMs)) return;
  }
  throw new Error(`PostgreSQL (process ${pid}), left behind on ${dataDir} by an earlier run, does not stop.`);
}

/** Whether a process is a PostgreSQL server on this data folder. */
function runsOn(pid: number, dataDir: string): "this" | "other" | "unknown" {
  const found = describeProcess(pid);
  if (!found) return isAlive(pid) ? "unknown" : "other";
  if (!basename(found.args[0] ?? "").startsWith("postgres")) return "other";
  if (found.cwd !== null) return samePath(found.cwd, dataDir) ? "this" : "other"; // the server works inside its folder
  const flag = found.args.indexOf("-D");
  if (flag === -1) return "unknown";
  return found.args
    .slice(flag + 1)
    .join(" ")
    .startsWith(dataDir)
    ? "this"
    : "other";
}

function readOwner(path: string): { pid: number; identity: string | null } | null {
  try {
    const owner = JSON.parse(readFileSync(path, "utf8"));
    return Number.isInteger(owner?.pid) ? owner : null;
  } catch {
    return null; // absent, or cut short by a crash: nobody's either way
  }
}

function readLockedPid(lockFile: string): number | null {
  try {
    return Number.parseInt(readFileSync(lockFile, "utf8"), 10);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function samePath(a: string, b: string): boolean {
  try {
    return realpathSync(a) === realpathSync(b);
  } catch {
    return false;
  }
}
