import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startSimulator } from "@keygate/simulator/start";
import { Redis } from "ioredis";
import { type Child, startChild } from "../src/child.ts";
import { type ApiClient, signIn } from "../src/demo/api-client.ts";
import { withClient } from "../src/postgres-ready.ts";
import { createTestDatabase } from "./database.ts";
import { createTestRedis } from "./redis.ts";

const root = resolve(import.meta.dirname, "../..");
const graceMs = 20_000;

export type Backend = "redis" | "postgres";
export type ServerMode = Awaited<ReturnType<typeof startServerMode>>;

/** KeyGate as it runs in server mode: processes of their own for API and workers, against a simulated OpenAI. */
export async function startServerMode(
  backend: Backend,
  counts: {
    apis: number;
    workers: number;
    env?: Record<string, string>;
    /** Servers of the caller's own, with the addresses in `env`; this one leads past whatever lies between. */
    databaseUrl?: string;
  },
) {
  const given = counts.databaseUrl;
  const database = given ? { url: given, drop: async () => {} } : await createTestDatabase();
  const redis = backend === "redis" && !given ? await createTestRedis({ private: true }) : null;
  const simulator = await startSimulator({ vendors: ["openai"] });
  const logDir = await mkdtemp(join(tmpdir(), "keygate-test-logs-"));
  const admin = { email: "owner@acme.test", password: randomBytes(18).toString("base64url") };
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? "",
    DATABASE_URL: database.url,
    ...(redis ? { REDIS_URL: redis.url } : {}),
    SECRET_KEY: randomBytes(48).toString("base64"),
    ENCRYPTION_KEY: randomBytes(48).toString("base64"),
    ADMIN_EMAIL: admin.email,
    ADMIN_PASSWORD: admin.password,
    HOST: "127.0.0.1",
    PORT: "0",
    LOG_LEVEL: "debug",
    LEASE_SECONDS: "3",
    SWEEP_INTERVAL_MS: "300",
    VENDOR_SETTLE_SECONDS: "0.3",
    SHUTDOWN_GRACE_SECONDS: "10",
    ...simulator.env,
    ...counts.env,
  };
  const children: Child[] = [];
  const start = async (kind: "api" | "worker") => {
    const name = `${kind}-${children.length}`;
    const child = await startChild({ name, script: join(root, `${kind}/src/main.ts`), env, logDir });
    children.push(child);
    return child;
  };
  const apis: ApiClient[] = [];
  const workers: Child[] = [];
  const apiProcesses: Child[] = [];
  for (let index = 0; index < counts.workers; index++) workers.push(await start("worker"));
  for (let index = 0; index < counts.apis; index++) {
    const child = await start("api");
    apiProcesses.push(child);
    apis.push(await signIn(`http://127.0.0.1:${child.ready.port}`, admin.email, admin.password));
  }

  return {
    apis,
    apiProcesses,
    workers,
    admin,
    openai: simulator.vendors.openai,
    adminKey: String(simulator.env.OPENAI_ADMIN_KEY),
    databaseUrl: database.url,
    startWorker: () => start("worker"),
    async startApi() {
      const child = await start("api");
      return { child, client: await signIn(`http://127.0.0.1:${child.ready.port}`, admin.email, admin.password) };
    },
    async flushRedis() {
      await redis?.server?.flush();
    },
    /** Everything that is kept anywhere: rows of all tables, all of Redis, all logs. */
    async everythingKept(): Promise<string[]> {
      const texts = [...(await databaseTexts(database.url)), ...(await logTexts(logDir))];
      return redis ? [...texts, ...(await redisTexts(redis.url))] : texts;
    },
    async close() {
      for (const child of children.reverse()) await child.stop(graceMs);
      await simulator.close();
      await redis?.drop();
      await database.drop();
      await rm(logDir, { recursive: true, force: true });
    },
  };
}

async function databaseTexts(url: string): Promise<string[]> {
  return withClient(url, async (client) => {
    const tables = await client.query(
      "select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'bullmq')",
    );
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const rows = await client.query(`select t::text as text from ${name} t`);
      texts.push(...rows.rows.map((row) => `${name}: ${row.text}`));
    }
    return texts;
  });
}

async function logTexts(dir: string): Promise<string[]> {
  const names = await readdir(dir);
  return Promise.all(names.map(async (name) => `${name}: ${await readFile(join(dir, name), "utf8")}`));
}

async function redisTexts(url: string): Promise<string[]> {
  const redis = new Redis(url);
  try {
    const readers: Record<string, (key: string) => Promise<unknown>> = {
      string: (key) => redis.get(key),
      list: (key) => redis.lrange(key, 0, -1),
      set: (key) => redis.smembers(key),
      zset: (key) => redis.zrange(key, "0", "-1"),
      hash: (key) => redis.hgetall(key),
      stream: (key) => redis.xrange(key, "-", "+"),
    };
    const keys = await redis.keys("*");
    return await Promise.all(
      keys.map(async (key) => `${key}: ${JSON.stringify(await readers[await redis.type(key)]?.(key))}`),
    );
  } finally {
    redis.disconnect();
  }
}
