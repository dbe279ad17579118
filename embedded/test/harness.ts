import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { onTestFinished, vi } from "vitest";
import { withClient } from "../src/postgres-ready.ts";
import {
  type PostgresOptions,
  type PostgresServer,
  startPostgres,
  testPostgresSettings,
} from "../src/postgres-server.ts";
import { isAlive } from "../src/processes.ts";
import { type RedisOptions, type RedisServer, startRedis } from "../src/redis-server.ts";

// These tests start real servers, several at once on a busy machine; a limit is there to end what hangs.
vi.setConfig({ testTimeout: 300_000, hookTimeout: 300_000 });

/** A folder of this test's own; `mode` decides whether other users may pass through it. */
export function tempDir(mode = 0o711): string {
  const path = mkdtempSync(join(tmpdir(), "keygate-embedded-"));
  chmodSync(path, mode);
  onTestFinished(() => rmSync(path, { recursive: true, force: true, maxRetries: 20 }));
  return path;
}

/** A server for tests: it survives the end of its processes, which is what is tested here, though not a power failure. */
export function optionsIn(dir: string): PostgresOptions {
  const settings = testPostgresSettings;
  return { dataDir: join(dir, "postgres"), user: "keygate", password: "a p@ss/word", database: "keygate", settings };
}

export async function postgresFor(options: PostgresOptions): Promise<PostgresServer> {
  const server = await startPostgres(options);
  onTestFinished(() => server.stop("immediate"));
  return server;
}

export async function redisFor(options: RedisOptions): Promise<RedisServer> {
  const server = await startRedis(options);
  onTestFinished(() => server.stop());
  return server;
}

/** The first column of a query's only row. */
export async function ask(url: string, sql: string): Promise<unknown> {
  return await withClient(url, async (client) => {
    const { rows } = await client.query({ text: sql, rowMode: "array" });
    return rows[0]?.[0];
  });
}

/** The code of the error that a promise rejects with. */
export async function failureCode(promise: Promise<unknown>): Promise<string | undefined> {
  return await promise.then(
    () => undefined,
    (error) => error.code,
  );
}

/** Waits for a condition; the limit is far beyond what any machine needs, and only ends a test that hangs. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  for (const deadline = Date.now() + 100_000; !condition(); await sleep(5)) {
    if (Date.now() > deadline) throw new Error(`Waited in vain until ${what}.`);
  }
}

export interface Owner {
  readonly child: ChildProcess;
  readonly servers: Promise<{ url: string; pid: number }[]>;
  /** SIGKILL: it cannot stop what it started. */
  kill(): Promise<void>;
}

/** Another Node process that owns servers. `script` may lie in a copy of this project. */
export function ownerOf(servers: { postgres?: PostgresOptions; redis?: RedisOptions }, script = fixture): Owner {
  const child = spawn(process.execPath, [script, JSON.stringify(servers)], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, OPENAI_ADMIN_KEY: "sk-admin-not-for-postgres" },
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let stderr = "";
  child.stderr.on("data", (chunk) => {
    stderr += chunk;
  });
  const started = new Promise<{ url: string; pid: number }[]>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", (line) => resolve(JSON.parse(line)));
    child.once("close", () => reject(new Error(`The owner ended: ${stderr}`)));
  });
  started.catch(() => {});
  const kill = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  onTestFinished(async () => {
    await kill();
    for (const { pid } of await started.catch(() => [])) await until(`process ${pid} is gone`, () => !isAlive(pid));
  });
  return { child, servers: started, kill };
}

const fixture = join(import.meta.dirname, "fixtures", "own-servers.ts");
export const isRoot = process.getuid?.() === 0;
