import { chmodSync, chownSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Daemon, endDaemon, type RunAs, startDaemon } from "./daemon.ts";
import { claimDataDir, stopEarlierPostgres } from "./earlier-postgres.ts";
import { freePort, isPortFree } from "./free-port.ts";
import { findPostgresBinaries, type PostgresBinaries } from "./postgres-binaries.ts";
import { clearDrafts, initialiseData, inspectData, moveAside } from "./postgres-data.ts";
import { createDatabaseIfAbsent, untilReady } from "./postgres-ready.ts";
import { prepareUser } from "./postgres-user.ts";
import { logToFunction, openLogFile, type ServerLog } from "./server-log.ts";

export interface PostgresOptions {
  /** Holds the data, mode 0700; made on the first start. Its parent gets `postgres.log` and small files beside it. */
  dataDir: string;
  /** On 127.0.0.1. Absent or 0: a free one is chosen. */
  port?: number;
  /** The superuser that initdb makes. Password and name are fixed by the first start. */
  user: string;
  password: string;
  /** Created when absent. */
  database: string;
  /** Also listen on a Unix socket in this folder, mode 0700. */
  socketDir?: string;
  /** postgresql.conf settings, passed on the command line. */
  settings?: Readonly<Record<string, string | number>>;
  /** Receives PostgreSQL's own output line by line, instead of `postgres.log`. */
  log?: (line: string) => void;
  /** Receives what an operator should know: something was recovered, moved aside or takes long. */
  say?: (line: string) => void;
  /** Told when the server ends although nobody asked it to. */
  onUnexpectedExit?: (how: string) => void;
}

export interface PostgresServer {
  readonly url: string;
  readonly port: number;
  /** Changes with `restart`. */
  readonly pid: number;
  /** `fast` rolls back what is open and writes a checkpoint; `immediate` leaves recovery to the next start. Repeatable. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** SIGKILL, as an out-of-memory killer would: for tests. */
  kill(): Promise<void>;
  /** Starts it again on the same port, stopping it first if it runs. */
  restart(): Promise<void>;
}

/** Speed instead of durability. For tests only: a crash of the machine may destroy such a database. */
export const testPostgresSettings = {
  fsync: "off",
  synchronous_commit: "off",
  full_page_writes: "off",
  max_connections: 300,
  shared_buffers: "128MB",
} as const satisfies Record<string, string | number>;

/** Data folders that this process runs or is just starting a server on; the claim beside the data tells other processes. */
const ours = new Set<string>();

/**
 * Starts the PostgreSQL that came with KeyGate and returns once it answers queries. It ends when this process ends,
 * however that happens, and what a killed run left behind is recovered. Rejects with a sentence an operator can act on.
 */
export async function startPostgres(options: PostgresOptions): Promise<PostgresServer> {
  const say = options.say ?? (() => {});
  const binaries = await findPostgresBinaries();
  const given = resolve(options.dataDir);
  // 0711 for folders that are made here: the data's own folder is closed, and its user must be able to get there.
  mkdirSync(dirname(given), { recursive: true, mode: 0o711 });
  const dataDir = join(realpathSync(dirname(given)), basename(given));
  const claim = () => {
    if (ours.has(dataDir)) throw new Error(`This process already runs a PostgreSQL on ${dataDir}.`);
    const release = claimDataDir(dataDir);
    ours.add(dataDir);
    return () => {
      ours.delete(dataDir);
      release();
    };
  };
  const release = claim();
  try {
    await stopEarlierPostgres(dataDir, say);
    const as = await prepareData(binaries, dataDir, options, say);
    return await serve({ ...options, binaries, dataDir, as, say, claim }, release);
  } catch (error) {
    release();
    throw error;
  }
}

async function prepareData(
  binaries: PostgresBinaries,
  dataDir: string,
  options: PostgresOptions,
  say: (line: string) => void,
): Promise<RunAs> {
  const state = inspectData(dataDir, binaries.major);
  const aside = clearDrafts(dataDir, new Date());
  if (state === "half-made") aside.push(moveAside(dataDir, new Date()));
  for (const path of aside)
    say(`PostgreSQL's data folder was left half-made by an interrupted first start; it is now ${path}.`);
  const as = await prepareUser(dataDir, binaries.initdb);
  if (state !== "ready") {
    const { user, password, settings } = options;
    await initialiseData(binaries, { dataDir, as, user, password, noSync: settings?.fsync === "off" });
  }
  return as;
}

interface Prepared extends PostgresOptions {
  binaries: PostgresBinaries;
  dataDir: string;
  as: RunAs;
  say: (line: string) => void;
  /** Takes the data folder for this process; returns what gives it back. */
  claim: () => () => void;
}

async function serve(prepared: Prepared, firstRelease: () => void): Promise<PostgresServer> {
  let release = firstRelease;
  let ending = false;
  const start = async (fixedPort: number | null) => {
    const launched = await launch(prepared, fixedPort);
    ending = false;
    void launched.daemon.exited.then((how) => {
      release();
      if (!ending) prepared.onUnexpectedExit?.(how);
    });
    return launched;
  };
  let { daemon, port } = await start(prepared.port || null);
  const end = async (ladder: Ladder) => {
    ending = true;
    await endDaemon(daemon, ladder);
  };
  await createDatabaseIfAbsent(urlOf(prepared, port, "postgres"), prepared.database).catch(async (error) => {
    await end(stopLadder.fast);
    throw error;
  });
  return {
    url: urlOf(prepared, port, prepared.database),
    port,
    get pid() {
      return daemon.pid;
    },
    stop: (mode = "fast") => end(stopLadder[mode]),
    kill: () => end([["SIGKILL", 30_000]]),
    async restart() {
      await end(stopLadder.fast);
      release = prepared.claim();
      try {
        ({ daemon, port } = await start(port));
      } catch (error) {
        release();
        throw error;
      }
    },
  };
}

type Ladder = readonly (readonly [NodeJS.Signals, number])[];

/** SIGQUIT gives up the checkpoint, not the data: the write-ahead log brings everything back at the next start. */
const stopLadder = {
  fast: [
    ["SIGINT", 30_000],
    ["SIGQUIT", 10_000],
    ["SIGKILL", 10_000],
  ],
  immediate: [
    ["SIGQUIT", 10_000],
    ["SIGKILL", 10_000],
  ],
} as const satisfies Record<string, Ladder>;

/** Pauses before each new attempt: backends of a killed server may hold its memory for a moment, or a port be lost in a race. */
const retryPausesMs = [200, 1_000, 3_000];

async function launch(prepared: Prepared, fixedPort: number | null): Promise<{ daemon: Daemon; port: number }> {
  for (let attempt = 0; ; attempt++) {
    const port = fixedPort ?? (await freePort());
    if (fixedPort !== null && !(await isPortFree(fixedPort))) {
      throw new Error(
        `Port ${fixedPort} on 127.0.0.1 is taken by another program. Choose another port for PostgreSQL, or stop that program.`,
      );
    }
    const log = openLog(prepared);
    try {
      const daemon = await spawnServer(prepared, port, log);
      const answer = await untilReady(urlOf(prepared, port, "postgres"), daemon, prepared.say);
      if (answer === "ready") return { daemon, port };
      if (answer instanceof Error) {
        await endDaemon(daemon, stopLadder.fast);
        throw answer;
      }
      const pauseMs = retryPausesMs[attempt];
      if (pauseMs === undefined)
        throw new Error(`PostgreSQL does not start (${await daemon.exited}). It said:\n${log.tail()}`);
      await sleep(pauseMs);
    } finally {
      log.close(); // the server keeps its own copy of the file
    }
  }
}

async function spawnServer(prepared: Prepared, port: number, log: ServerLog): Promise<Daemon> {
  const settings = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: prepared.socketDir ? prepareSocketDir(prepared.socketDir, prepared.as) : "",
    timezone: "UTC",
    log_timezone: "UTC",
    ...prepared.settings,
    port,
  };
  const daemon = await startDaemon({
    file: prepared.binaries.postgres,
    args: ["-D", prepared.dataDir, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])],
    as: prepared.as,
    stdio: ["ignore", log.stdio, log.stdio],
    onOwnerDeath: "SIGINT",
  });
  log.attach(daemon.process.stdout);
  log.attach(daemon.process.stderr);
  return daemon;
}

function openLog({ log, dataDir }: Prepared): ServerLog {
  return log ? logToFunction(log) : openLogFile(join(dirname(dataDir), "postgres.log"));
}

function prepareSocketDir(folder: string, as: RunAs): string {
  const path = resolve(folder);
  mkdirSync(path, { recursive: true, mode: 0o711 });
  chmodSync(path, 0o700);
  if (as.user) chownSync(path, as.user.uid, as.user.gid);
  return path;
}

function urlOf({ user, password }: PostgresOptions, port: number, database: string): string {
  const [name, secret, db] = [user, password, database].map(encodeURIComponent);
  return `postgres://${name}:${secret}@127.0.0.1:${port}/${db}`;
}
