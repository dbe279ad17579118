import { execFileSync } from "node:child_process";
import { readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether a process with this id runs now. A zombie counts as gone: nobody may ever reap it when pid 1 is not an init. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"; // it exists, it is merely not ours to signal
  }
  const state = procStat(pid)?.[0];
  return state !== "Z" && state !== "X";
}

/** Text that tells this process from a later one with the same id (its start time), or null when it cannot be known. */
export function processIdentity(pid: number): string | null {
  if (process.platform === "linux") return procStat(pid)?.[19] ?? null;
  return ps(pid, "lstart=");
}

/** What a process was started as: its arguments, and its working folder where the system tells; null when unknown. */
export function describeProcess(pid: number): { args: string[]; cwd: string | null } | null {
  if (process.platform !== "linux") {
    const line = ps(pid, "command=");
    return line === null ? null : { args: line.split(" "), cwd: null };
  }
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").filter(Boolean);
    return { args, cwd: folderOf(pid) };
  } catch {
    return null;
  }
}

/** Waits until the process is gone; false when it is still there after `timeoutMs`. */
export async function waitForExit(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (isAlive(pid)) {
    if (Date.now() > deadline) return false;
    await sleep(30);
  }
  return true;
}

/** The fields of /proc/<pid>/stat from `state` on; the name before them may itself hold spaces and brackets. */
function procStat(pid: number): string[] | null {
  if (process.platform !== "linux") return null;
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return null;
  }
}

function folderOf(pid: number): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null; // another user's process
  }
}

function ps(pid: number, column: string): string | null {
  try {
    return (
      execFileSync("ps", ["-o", column, "-p", String(pid)], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      }).trim() || null
    );
  } catch {
    return null;
  }
}
