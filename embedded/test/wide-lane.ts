import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { startSimulator, VENDOR_NAMES } from "@keygate/simulator/start";
import { onTestFinished } from "vitest";
import { z } from "zod";
import { type Child, startChild } from "../src/child.ts";
import { openDatabase } from "../src/crash/database.ts";
import type { Lane, ProcessName } from "../src/crash/lane.ts";
import { openLogFile } from "../src/crash/log-file.ts";
import type { ApiClient } from "../src/demo/api-client.ts";
import type { RedisServer } from "../src/redis-server.ts";
import type { Backend } from "../test-support/server-mode.ts";
import { tempDir } from "./harness.ts";
import type { SecuredSetting } from "./secured-setting.ts";

const root = resolve(import.meta.dirname, "../..");
const names: readonly ProcessName[] = ["api", "worker-0", "worker-1"];
/** Beside those that are killed: a second API and a third worker, which always live. */
const others = ["api-1", "worker-2"] as const;
type AnyName = ProcessName | (typeof others)[number];
const startsMax = 20;

/** The servers, with their addresses in `env`; PostgreSQL's own `url` leads past whatever lies between. */
export type LaneSetting = Pick<SecuredSetting, "env" | "postgres" | "redis">;

/**
 * Two APIs and three workers on servers of the caller's, in the shape in which the crash runs disturb it. What crosses to
 * PostgreSQL may be encrypted, so no write can be held: disturbances at a write do not take place.
 */
export async function openWideLane(backend: Backend, setting: LaneSetting): Promise<Lane & { urls: string[] }> {
  const simulator = await startSimulator();
  onTestFinished(() => simulator.close());
  const dir = tempDir();
  const authorities = join(dir, "authorities.pem");
  const trusted = [setting.env.NODE_EXTRA_CA_CERTS, simulator.env.NODE_EXTRA_CA_CERTS];
  writeFileSync(authorities, trusted.map((path) => (path ? readFileSync(path, "utf8") : "")).join("\n"));
  const database = openDatabase(setting.postgres.url);
  onTestFinished(() => database.close());
  const admin = { email: "admin@crash.test", password: "Only-for-crash-runs-7431!" };
  const env: Record<string, string> = {
    PATH: process.env.PATH ?? "",
    SECRET_KEY: "b7Xq2mZ9-crash-run-only-T4vK8wLp3sRj6yHd",
    ENCRYPTION_KEY: "n5Gf8cVx-crash-run-only-Q1zBk7uWm2tEa9Yo",
    ADMIN_EMAIL: admin.email,
    ADMIN_PASSWORD: admin.password,
    HOST: "127.0.0.1",
    PORT: "0",
    LOG_LEVEL: "debug",
    LEASE_SECONDS: "2",
    SWEEP_INTERVAL_MS: "200",
    VENDOR_SETTLE_SECONDS: "0.3",
    VENDOR_TIMEOUT_SECONDS: "2",
    WORKER_CONCURRENCY: "8",
    SHUTDOWN_GRACE_SECONDS: "1",
    ...simulator.env,
    SIMULATED_VENDORS: VENDOR_NAMES.join(","),
    RECONCILE_INTERVAL_MINUTES: "0",
    RECONCILE_CALLS_PER_MINUTE: VENDOR_NAMES.map((vendor) => `${vendor}=60000`).join(","),
    ...setting.env,
    NODE_EXTRA_CA_CERTS: authorities,
  };
  const running = new Map<AnyName, Child>();
  const starting = new Map<AnyName, Promise<void>>();
  const frozen = new Set<ProcessName>();
  const logDir = join(dir, "logs");

  const startOnce = async (name: AnyName) => {
    const script = join(root, name.startsWith("api") ? "api/src/main.ts" : "worker/src/main.ts");
    for (let tries = 1; ; tries++) {
      try {
        running.set(name, await startChild({ name, script, env, logDir }));
        return;
      } catch (error) {
        // PostgreSQL or PgBouncer may be away just now; whoever runs KeyGate starts it again then.
        if (tries >= startsMax) throw error;
        await new Promise((done) => setTimeout(done, 300));
      }
    }
  };
  const start = (name: AnyName): Promise<void> => {
    if (running.has(name)) return Promise.resolve();
    const begun = starting.get(name) ?? startOnce(name).finally(() => starting.delete(name));
    starting.set(name, begun);
    return begun;
  };
  const kill = async (name: AnyName) => {
    await starting.get(name)?.catch(() => {});
    const child = running.get(name)?.process;
    running.delete(name);
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const dead = once(child, "exit");
    child.kill("SIGKILL");
    await dead;
  };
  const revive = async () => {
    for (const [name, { process: child }] of running) {
      if (child.exitCode !== null || child.signalCode !== null) running.delete(name);
    }
    await Promise.all([...names, ...others].map(start));
  };
  onTestFinished(async () => void (await Promise.all([...names, ...others].map(kill))));
  await revive();

  const urls = () =>
    (["api", "api-1"] as const).flatMap((name) => {
      const port = running.get(name)?.ready.port;
      return port ? [`http://127.0.0.1:${port}`] : [];
    });
  let turn = 0;
  return {
    backend,
    simulator,
    postgres: setting.postgres,
    // What disturbs asks it for no more than this.
    redis: setting.redis as unknown as RedisServer | null,
    /** One API after the other. */
    get url() {
      turn += 1;
      const some = urls();
      return some[turn % some.length] ?? "http://127.0.0.1:9";
    },
    get urls() {
      return urls();
    },
    admin,
    ask: database.ask,
    logs: new Map(names.map((name) => [name, openLogFile(join(logDir, `${name}.log`))])),
    async kill(name) {
      frozen.delete(name);
      await kill(name);
    },
    holdWrite: async () => null,
    releaseWrites() {},
    freeze(name) {
      if (running.get(name)?.process.kill("SIGSTOP")) frozen.add(name);
    },
    wake(name) {
      if (frozen.delete(name)) running.get(name)?.process.kill("SIGCONT");
    },
    revive,
    async unlockRequests() {
      await database.ask(z.unknown(), "update idempotency_keys set locked_until = now() where response is null");
    },
    close: async () => {},
  };
}

/** Each call goes to the next of several APIs. */
export function inTurn(clients: readonly [ApiClient, ...ApiClient[]]): ApiClient {
  let turn = 0;
  const next = () => clients[turn++ % clients.length] ?? clients[0];
  return {
    call: (...args) => next().call(...args),
    waitForJob: (...args) => next().waitForJob(...args),
  };
}
