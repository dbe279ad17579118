import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { findProgram } from "./find-program.ts";

/** The user a child runs as; `grants` are setpriv options that let it pass folders which that user may not enter. */
export interface RunAs {
  user: { uid: number; gid: number } | null;
  grants: readonly string[];
}

/** A child as the user that Node itself runs as. */
export const runAsSelf: RunAs = { user: null, grants: [] };

export type ShutdownSignal = "SIGINT" | "SIGTERM";

/** A server that lives no longer than we do. */
export interface Daemon {
  readonly pid: number;
  readonly process: ChildProcess;
  /** Resolves once it is gone, saying how: "exit code 1", "signal SIGKILL". Never rejects. */
  readonly exited: Promise<string>;
  hasExited(): boolean;
}

export interface DaemonOptions {
  file: string;
  args: readonly string[];
  as?: RunAs;
  stdio: SpawnOptions["stdio"];
  /** Sent to it when this Node process dies, however it dies. */
  onOwnerDeath: ShutdownSignal;
  /** How our death is noticed; by default whatever the system offers. */
  ownerWatch?: "pdeathsig" | "pipe";
}

/**
 * Starts a server in a session of its own, so that Ctrl-C in the terminal reaches Node alone and we shut down in order.
 * It does not keep Node's event loop alive. Rejects when the program cannot be run at all.
 */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const { as = runAsSelf, onOwnerDeath } = options;
  const watch = options.ownerWatch ?? (setprivPath() ? "pdeathsig" : "pipe");
  const command = commandAs(as, options.file, options.args, watch === "pdeathsig" ? onOwnerDeath : null);
  const child = spawn(command.file, command.args, { ...command.options, stdio: options.stdio, detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", reject);
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error(`${options.file} started without a process id.`);
  child.unref();
  let gone = false;
  const watcher = watch === "pipe" ? startPipeWatcher(pid, onOwnerDeath) : null;
  const exited = new Promise<string>((resolve) => {
    child.once("exit", (code, signal) => {
      gone = true;
      watcher?.kill("SIGKILL"); // before the id can belong to somebody else
      resolve(signal ? `signal ${signal}` : `exit code ${code}`);
    });
  });
  return { pid, process: child, exited, hasExited: () => gone };
}

/** Ends a daemon with these signals in turn, each given its time in milliseconds, and returns once it is gone. */
export async function endDaemon(daemon: Daemon, ladder: readonly (readonly [NodeJS.Signals, number])[]): Promise<void> {
  for (const [signal, timeoutMs] of ladder) {
    if (daemon.hasExited()) return;
    daemon.process.kill(signal);
    if (await settlesWithin(daemon.exited, timeoutMs)) return;
  }
  throw new Error(`Process ${daemon.pid} did not end.`);
}

/** How to run a command as another user: through setpriv where there is one, else by Node's own uid and gid. */
export function commandAs(as: RunAs, file: string, args: readonly string[], onOwnerDeath: ShutdownSignal | null) {
  // Nothing of our environment is passed on: it holds vendor credentials, and PG* variables would change what starts.
  const env = { PATH: process.env.PATH ?? "/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" };
  const base = { env, cwd: "/" } satisfies SpawnOptions;
  const setpriv = setprivPath();
  if (!setpriv || (!as.user && !onOwnerDeath)) {
    return { file, args: [...args], options: as.user ? { ...base, ...as.user } : base };
  }
  const identity = as.user ? [`--reuid=${as.user.uid}`, `--regid=${as.user.gid}`, "--clear-groups"] : [];
  // setpriv sets the death signal last, after the change of user that would clear it.
  const death = onOwnerDeath ? [`--pdeathsig=${onOwnerDeath}`] : [];
  return { file: setpriv, args: [...identity, ...as.grants, ...death, "--", file, ...args], options: base };
}

let setpriv: string | null | undefined;

/** util-linux's setpriv (2.33 or newer, BusyBox's knows no --pdeathsig), or null. */
export function setprivPath(): string | null {
  if (setpriv === undefined) setpriv = probeSetpriv();
  return setpriv;
}

function probeSetpriv(): string | null {
  const path = process.platform === "linux" ? findProgram(["setpriv"]) : null;
  if (!path) return null;
  try {
    execFileSync(path, ["--pdeathsig=SIGTERM", "--", "true"], { stdio: "ignore" });
    return path;
  } catch {
    return null;
  }
}

/** Where the kernel cannot tell a child of its parent's death: a shell whose standard input closes when we die. */
function startPipeWatcher(pid: number, signal: ShutdownSignal): ChildProcess {
  const script = 'read -r _; kill -s "$1" "$2"';
  const watcher = spawn("/bin/sh", ["-c", script, "sh", signal.slice(3), String(pid)], {
    detached: true,
    cwd: "/",
    stdio: ["pipe", "ignore", "ignore"],
  });
  watcher.on("error", () => {}); // no shell: the next start finds and stops what is left
  watcher.stdin?.on("error", () => {});
  (watcher.stdin as { unref?: () => void } | null)?.unref?.();
  watcher.unref();
  return watcher;
}

async function settlesWithin(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
