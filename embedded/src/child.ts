import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface Child {
  name: string;
  process: ChildProcess;
  /** What it said when it was ready. */
  ready: { port?: number };
  /** The last lines of its log, for showing why it ended. */
  tail(): string;
  /** Asks it to stop, and ends it for good after `graceMs`. */
  stop(graceMs: number): Promise<void>;
}

const tailLines = 15;
/**
 * As `npm run api` and the images start them. Bursts of small objects take 20 to 40 MB less (in megabytes per half), and
 * old objects are looked through when they have grown by half since the last time: without it, under load, by far more.
 */
const heapFlags = ["--max-semi-space-size=8", "--heap-growing-percent=50"];

/**
 * Starts one of our own programs as a process of its own session, so that a Ctrl-C in the terminal reaches only us and
 * everything can be stopped in order. When we are gone, the closed channel tells it to stop.
 *
 * @throws with the end of its log when it ends before it is ready.
 */
export async function startChild(options: {
  name: string;
  script: string;
  env: Record<string, string>;
  logDir: string;
}): Promise<Child> {
  mkdirSync(options.logDir, { recursive: true, mode: 0o700 });
  const logFile = join(options.logDir, `${options.name}.log`);
  const log = openSync(logFile, "a", 0o600);
  const child = fork(options.script, {
    env: options.env,
    execArgv: [...process.execArgv, ...heapFlags],
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const tail = () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-tailLines).join("\n");
  const isOver = () => child.exitCode !== null || child.signalCode !== null;

  const ready = await Promise.race([
    once(child, "message").then(([message]) => message as { port?: number }),
    once(child, "exit").then(([code]) => {
      throw new Error(`The ${options.name} ended with status ${code} before it was ready:\n${tail()}`);
    }),
  ]);
  return {
    name: options.name,
    process: child,
    ready,
    tail,
    async stop(graceMs) {
      if (isOver()) return;
      const ended = once(child, "exit");
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}
