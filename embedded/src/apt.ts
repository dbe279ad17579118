import { execFile } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { findProgram } from "./find-program.ts";

const run = promisify(execFile);
const policyPath = "/usr/sbin/policy-rc.d";
const timeoutMs = 15 * 60_000;

/** Whether this process may install packages: a Debian-like system, and we are root. */
export function canInstall(): boolean {
  return process.getuid?.() === 0 && findProgram(["apt-get"]) !== null;
}

let queue: Promise<unknown> = Promise.resolve();
let updated = false;

/**
 * Installs Debian packages without questions and without starting any service that they bring. One at a time, with one
 * `apt-get update` per process. Rejects with apt-get's own last words.
 */
export function installPackages(...names: string[]): Promise<void> {
  const installed = queue.then(async () => {
    if (!updated) await aptGet("update");
    updated = true;
    await withoutServices(() => aptGet("install", "--yes", "--no-install-recommends", ...names));
  });
  queue = installed.catch(() => {});
  return installed;
}

async function aptGet(...args: string[]): Promise<void> {
  // Another apt-get, at work for somebody else, is waited for.
  const options = ["-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold"];
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", LC_ALL: "C" };
  try {
    await run("apt-get", [...options, ...args], { env, timeout: timeoutMs, maxBuffer: 64 * 1024 * 1024 });
  } catch (cause) {
    const words =
      cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim().split("\n").slice(-3).join(" ") : "";
    throw new Error(`apt-get ${args[0]} failed: ${words}`, { cause });
  }
}

/** Debian packages ask this file whether a service may start; 101 is "no". A file that is there already is respected. */
async function withoutServices(work: () => Promise<void>): Promise<void> {
  const ours = !existsSync(policyPath);
  // It stops forbidding once we are gone, should we be killed before removing it.
  const script = `#!/bin/sh\n# Written by KeyGate while it installs a package.\n[ -d /proc/${process.pid} ] || exit 0\nexit 101\n`;
  if (ours) writeFileSync(policyPath, script, { mode: 0o755 });
  try {
    await work();
  } finally {
    if (ours) rmSync(policyPath, { force: true });
  }
}
