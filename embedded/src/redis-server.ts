import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { canInstall, installPackages } from "./apt.ts";
import { type Daemon, endDaemon, startDaemon } from "./daemon.ts";
import { findProgram } from "./find-program.ts";
import { freePort, isPortFree } from "./free-port.ts";
import { redisCommand } from "./redis-wire.ts";
import { openLogFile } from "./server-log.ts";

export interface RedisOptions {
  /** Holds its log, and its data with `appendOnly`; mode 0700. */
  dir: string;
  /** On 127.0.0.1. Absent or 0: a free one is chosen. */
  port?: number;
  /** Absent: a random one, found in `url`. */
  password?: string;
  /** Keep data across restarts, at most a second of it lost by a crash of the machine. Default: everything is forgotten. */
  appendOnly?: boolean;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** Changes with `restart`. */
  readonly pid: number;
  /** Repeatable. */
  stop(): Promise<void>;
  /** SIGKILL: for tests. */
  kill(): Promise<void>;
  /** Starts it again on the same port, stopping it first if it runs. */
  restart(): Promise<void>;
  /** Forgets everything, in all its logical databases. */
  flush(): Promise<void>;
}

/** What a caller prints, in one line, when there is no Redis and none can be installed. */
export const redisHint =
  "No redis-server found: install it (Debian: apt-get install redis-server; macOS: brew install redis).";

/** How many logical databases a server offers, so that each test file can have one. */
export const redisDatabases = 1024;

/** The path of a redis-server or valkey-server on this machine, or null. */
export function findRedisServer(): string | null {
  return findProgram(["redis-server", "valkey-server"]);
}

/** Finds a Redis, installing one where apt-get exists and we are root. Null where that cannot be done; rejects when it fails. */
export async function installRedisServer(): Promise<string | null> {
  const found = findRedisServer();
  if (found || !canInstall()) return found;
  await installPackages("redis-server");
  return findRedisServer();
}

/**
 * Starts a Redis on 127.0.0.1 that never evicts a key (a queue's rule) and returns once it answers. It ends when this
 * process ends. Rejects when there is no Redis here or the given port is taken.
 */
export async function startRedis(options: RedisOptions): Promise<RedisServer> {
  const program = findRedisServer();
  if (!program) throw new Error(redisHint);
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  chmodSync(dir, 0o700);
  const password = options.password ?? randomBytes(18).toString("base64url");
  const settings = { program, dir, password, appendOnly: options.appendOnly ?? false };
  let { daemon, port } = await launch(settings, options.port || null);
  const restart = async () => {
    await endDaemon(daemon, stopLadder);
    ({ daemon, port } = await launch(settings, port));
  };
  return {
    url: `redis://:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    port,
    get pid() {
      return daemon.pid;
    },
    stop: () => endDaemon(daemon, stopLadder),
    kill: () => endDaemon(daemon, [["SIGKILL", 30_000]]),
    restart,
    async flush() {
      await redisCommand({ port, password }, ["FLUSHALL", "SYNC"]);
    },
  };
}

interface Settings {
  program: string;
  dir: string;
  password: string;
  appendOnly: boolean;
}

const stopLadder = [
  ["SIGTERM", 10_000],
  ["SIGKILL", 10_000],
] as const;
const readyTimeoutMs = 120_000; // an append-only file is read in full first
const attemptsMax = 3; // a port that was free may be lost in a race

async function launch(settings: Settings, fixedPort: number | null): Promise<{ daemon: Daemon; port: number }> {
  for (let attempt = 1; ; attempt++) {
    const port = fixedPort ?? (await freePort());
    if (fixedPort !== null && !(await isPortFree(fixedPort))) {
      throw new Error(
        `Port ${fixedPort} on 127.0.0.1 is taken by another program. Choose another port for Redis, or stop that program.`,
      );
    }
    const log = openLogFile(join(settings.dir, "redis.log"));
    try {
      const daemon = await startDaemon({
        file: settings.program,
        args: ["-"],
        stdio: ["pipe", log.stdio, log.stdio],
        onOwnerDeath: "SIGTERM",
      });
      daemon.process.stdin?.on("error", () => {}); // it ended before reading; said below
      daemon.process.stdin?.end(configuration(settings, port));
      if (await answers(daemon, { port, password: settings.password })) return { daemon, port };
      const ended = daemon.hasExited();
      await endDaemon(daemon, stopLadder);
      if (!ended) throw new Error("Redis runs but answers no commands.");
      if (attempt === attemptsMax) throw new Error(`Redis does not start. It said:\n${log.tail()}`);
    } finally {
      log.close();
    }
  }
}

/** Given on standard input: the arguments of a process, and with them the password, can be read by every user. */
function configuration({ dir, password, appendOnly }: Settings, port: number): string {
  return [
    "bind 127.0.0.1",
    `port ${port}`,
    `requirepass ${JSON.stringify(password)}`,
    `dir ${JSON.stringify(dir)}`,
    `databases ${redisDatabases}`,
    "maxmemory-policy noeviction",
    'save ""',
    `appendonly ${appendOnly ? "yes" : "no"}`,
    "daemonize no",
    "",
  ].join("\n");
}

async function answers(daemon: Daemon, address: { port: number; password: string }): Promise<boolean> {
  const deadline = Date.now() + readyTimeoutMs;
  while (!daemon.hasExited() && Date.now() < deadline) {
    try {
      await redisCommand(address, ["PING"]);
      return !daemon.hasExited();
    } catch {
      await sleep(30); // not listening yet, or loading its data
    }
  }
  return false;
}
