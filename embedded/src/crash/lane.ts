import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { migrateToLatest } from "@keygate/migrations/migrate";
import { type Simulator, startSimulator, VENDOR_NAMES } from "@keygate/simulator/start";
import { z } from "zod";
import { type Child, startChild } from "../child.ts";
import { freePort } from "../free-port.ts";
import { withClient } from "../postgres-ready.ts";
import { type PostgresServer, startPostgres } from "../postgres-server.ts";
import { type RedisServer, startRedis } from "../redis-server.ts";
import { type Ask, openDatabase } from "./database.ts";
import { type LogFile, openLogFile } from "./log-file.ts";
import { openWire, type Wire } from "./wire.ts";
import type { WriteKind } from "./writes.ts";

export type Backend = "redis" | "postgres";
export const backends: readonly Backend[] = ["redis", "postgres"];
export type ProcessName = "api" | "worker-0" | "worker-1";
const workerNames = ["worker-0", "worker-1"] as const;
const processNames: readonly ProcessName[] = ["api", ...workerNames];

/** The nth write of a kind, counted over all the processes that are looked at. */
export interface WriteToHold {
  what: WriteKind;
  nth: number;
  when: "before" | "after";
}

/** One complete KeyGate of its own, whose every part can be killed. Seeds run in it one after another. */
export interface Lane {
  backend: Backend;
  simulator: Simulator;
  postgres: PostgresServer;
  redis: RedisServer | null;
  url: string;
  admin: { email: string; password: string };
  /** Asks the database, again and again while that is away. */
  ask: Ask;
  logs: ReadonlyMap<ProcessName, LogFile>;
  /** SIGKILL. Returns when it is dead. */
  kill(name: ProcessName): Promise<void>;
  /** Waits until one of these processes comes to a write, holds that, and tells whose it is; null when none came in time. */
  holdWrite(names: readonly ProcessName[], write: WriteToHold, patienceMs: number): Promise<ProcessName | null>;
  /** Lets everything go that is held on its way to or from PostgreSQL. */
  releaseWrites(): void;
  freeze(name: ProcessName): void;
  wake(name: ProcessName): void;
  /** Starts whoever is dead. */
  revive(): Promise<void>;
  /** Lets the requests be repeated that died with the api. */
  unlockRequests(): Promise<void>;
  close(): Promise<void>;
}

const root = resolve(import.meta.dirname, "../../..");
const scripts = { api: "api/src/main.ts", worker: "worker/src/main.ts" } as const;
const template = "keygate_template";
const startsMax = 10;

/** PostgreSQL survives the end of its processes with these, though not a power failure: commits are still waited for. */
const postgresSettings = { fsync: "off", full_page_writes: "off", max_connections: 200, shared_buffers: "64MB" };

/** The servers of a lane, which several KeyGates use one after another. */
export interface Ground {
  /** Starts a KeyGate with an empty database and new vendors. */
  openLane(): Promise<Lane>;
  close(): Promise<void>;
}

/** Starts a lane's own PostgreSQL, and its Redis where the queue lives there. `folder` is made, and removed at the end. */
export async function startGround(backend: Backend, folder: string): Promise<Ground> {
  mkdirSync(folder, { recursive: true, mode: 0o711 });
  const home = mkdtempSync(join(folder, "lane-"));
  const closers: (() => Promise<unknown>)[] = [
    async () => rmSync(home, { recursive: true, force: true, maxRetries: 20 }),
  ];
  const close = async () => {
    for (let undo = closers.pop(); undo; undo = closers.pop()) await undo();
  };
  try {
    const postgres = await startPostgres({
      dataDir: join(home, "data", "postgres"),
      user: "keygate",
      password: "keygate-crash",
      database: template,
      settings: postgresSettings,
    });
    closers.push(() => postgres.stop("immediate"));
    await migrateToLatest(postgres.url);
    const compileCache = join(folder, "compile-cache");
    const redis = backend === "redis" ? await startRedis({ dir: join(home, "redis") }) : null;
    if (redis) closers.push(() => redis.stop());
    let opened = 0;
    return {
      close,
      async openLane() {
        opened += 1;
        const name = `keygate_${opened}`;
        const maintenance = postgres.url.replace(/[^/]*$/, "postgres");
        await withClient(maintenance, (client) => client.query(`create database ${name} template ${template}`));
        await redis?.flush();
        const logDir = join(home, `logs-${opened}`);
        return openLane({
          backend,
          postgres,
          redis,
          databaseUrl: postgres.url.replace(/[^/]*$/, name),
          logDir,
          compileCache,
        });
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface Given {
  backend: Backend;
  postgres: PostgresServer;
  redis: RedisServer | null;
  databaseUrl: string;
  logDir: string;
  /** Where Node keeps what it compiled, so that the many starts are cheap. */
  compileCache: string;
}

async function openLane({ backend, postgres, redis, databaseUrl, logDir, compileCache }: Given): Promise<Lane> {
  const simulator = await startSimulator();
  const port = await freePort();
  const admin = { email: "admin@crash.test", password: "Only-for-crash-runs-7431!" };
  const database = openDatabase(databaseUrl);
  const { PATH = "" } = process.env;
  const env: Record<string, string> = {
    PATH,
    NODE_COMPILE_CACHE: compileCache,
    ...(redis ? { REDIS_URL: redis.url } : {}),
    SECRET_KEY: "b7Xq2mZ9-crash-run-only-T4vK8wLp3sRj6yHd",
    ENCRYPTION_KEY: "n5Gf8cVx-crash-run-only-Q1zBk7uWm2tEa9Yo",
    ADMIN_EMAIL: admin.email,
    ADMIN_PASSWORD: admin.password,
    HOST: "127.0.0.1",
    PORT: String(port),
    LOG_LEVEL: "debug",
    LEASE_SECONDS: "2",
    SWEEP_INTERVAL_MS: "200",
    VENDOR_SETTLE_SECONDS: "0.3",
    VENDOR_TIMEOUT_SECONDS: "2",
    WORKER_CONCURRENCY: "8",
    DATABASE_POOL_MAX: "8",
    SHUTDOWN_GRACE_SECONDS: "1",
    ...simulator.env,
    SIMULATED_VENDORS: VENDOR_NAMES.join(","),
    // Only when the schedule asks, and as fast as these vendors allow.
    RECONCILE_INTERVAL_MINUTES: "0",
    RECONCILE_CALLS_PER_MINUTE: VENDOR_NAMES.map((vendor) => `${vendor}=60000`).join(","),
  };
  const wires = new Map<ProcessName, Wire>();
  for (const name of processNames) wires.set(name, await openWire(databaseUrl));
  const running = new Map<ProcessName, Child>();
  const starting = new Map<ProcessName, Promise<void>>();
  const frozen = new Set<ProcessName>();
  let isClosing = false;

  const startOnce = async (name: ProcessName) => {
    for (let tries = 1; ; tries++) {
      try {
        const script = join(root, name === "api" ? scripts.api : scripts.worker);
        running.set(
          name,
          await startChild({
            name,
            script,
            env: { ...env, DATABASE_URL: wires.get(name)?.url ?? databaseUrl },
            logDir,
          }),
        );
        return;
      } catch (error) {
        // The database may be away just now; whoever runs KeyGate starts it again then.
        if (tries >= startsMax || isClosing) throw error;
        await new Promise((done) => setTimeout(done, 300));
      }
    }
  };
  const start = (name: ProcessName): Promise<void> => {
    if (running.has(name)) return Promise.resolve();
    const begun = starting.get(name) ?? startOnce(name).finally(() => starting.delete(name));
    starting.set(name, begun);
    return begun;
  };
  const signal = (name: ProcessName, what: NodeJS.Signals) => running.get(name)?.process.kill(what);

  const lane: Lane = {
    backend,
    simulator,
    postgres,
    redis,
    url: `http://127.0.0.1:${port}`,
    admin,
    ask: database.ask,
    logs: new Map(processNames.map((name) => [name, openLogFile(join(logDir, `${name}.log`))])),
    async kill(name) {
      await starting.get(name)?.catch(() => {});
      const child = running.get(name)?.process;
      running.delete(name);
      frozen.delete(name);
      if (!child || child.exitCode !== null || child.signalCode !== null) return;
      const dead = once(child, "exit");
      child.kill("SIGKILL");
      await dead;
    },
    async holdWrite(names, { what, nth, when }, patienceMs) {
      const { promise, resolve } = Promise.withResolvers<ProcessName | null>();
      let seen = 0;
      const isDue = () => ++seen === nth;
      for (const name of names) wires.get(name)?.hold({ what, when, isDue, onHeld: () => resolve(name) });
      const timer = setTimeout(() => resolve(null), patienceMs);
      const whose = await promise;
      clearTimeout(timer);
      if (whose === null) lane.releaseWrites();
      return whose;
    },
    releaseWrites() {
      for (const wire of wires.values()) wire.release();
    },
    freeze(name) {
      if (running.has(name) && signal(name, "SIGSTOP")) frozen.add(name);
    },
    wake(name) {
      if (frozen.delete(name)) signal(name, "SIGCONT");
    },
    async revive() {
      for (const [name, { process: child }] of running) {
        if (child.exitCode !== null || child.signalCode !== null) running.delete(name);
      }
      await Promise.all(processNames.map(start));
    },
    async unlockRequests() {
      await database.ask(z.unknown(), "update idempotency_keys set locked_until = now() where response is null");
    },
    async close() {
      isClosing = true;
      await Promise.allSettled(starting.values());
      await Promise.all(processNames.map((name) => lane.kill(name)));
      await database.close();
      await Promise.all([...wires.values()].map((wire) => wire.close()));
      await simulator.close();
    },
  };
  try {
    await lane.revive();
    return lane;
  } catch (error) {
    await lane.close();
    throw error;
  }
}

/** The worker that was last heard of: most likely the one whose call to a vendor was just seen. */
export function lastHeard({ logs }: Lane): ProcessName {
  const heard = workerNames.map((name) => ({ name, at: logs.get(name)?.lastStepAt() ?? 0 }));
  return heard.sort((a, b) => b.at - a.at)[0]?.name ?? "worker-0";
}

/** The worker of that number. */
export const workerName = (index: number): ProcessName => workerNames[index % workerNames.length] ?? "worker-0";
