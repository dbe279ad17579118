import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inject } from "vitest";
import { type RedisServer, redisDatabases, redisHint, startRedis } from "../src/redis-server.ts";
import { redisCommand } from "../src/redis-wire.ts";
import "./provided.ts";

export interface TestRedis {
  url: string;
  /** With `private` only: to kill, restart or flush it. */
  server: RedisServer | null;
  /** Gives back what was made. Repeatable. */
  drop(): Promise<void>;
}

/**
 * A Redis that no other test writes to: an empty logical database of the run's server or, with `private`, a server of
 * the caller's own, to be killed or flushed at will (FLUSHALL on the shared one would empty everybody's).
 * Rejects, saying how to install one, when this machine has no Redis.
 */
export async function createTestRedis(options: { private?: boolean } = {}): Promise<TestRedis> {
  return options.private ? await startPrivate() : await takeDatabase();
}

async function startPrivate(): Promise<TestRedis> {
  const dir = mkdtempSync(join(tmpdir(), "keygate-test-redis-"));
  const remove = () => rmSync(dir, { recursive: true, force: true, maxRetries: 20 });
  const server = await startRedis({ dir }).catch((error) => {
    remove();
    throw error;
  });
  return {
    url: server.url,
    server,
    async drop() {
      await server.stop();
      remove();
    },
  };
}

async function takeDatabase(): Promise<TestRedis> {
  const url = inject("redisUrl");
  if (!url) throw new Error(redisHint);
  const { port, password } = new URL(url);
  const address = { port: Number(port), password: decodeURIComponent(password) };
  // Database 0 holds the counter, the others are handed out in turn: workers are separate processes.
  const database = Number(await redisCommand(address, ["INCR", "keygate:test:databases"]));
  if (database >= redisDatabases)
    throw new Error(`More than ${redisDatabases - 1} Redis databases were asked for in one test run.`);
  return { url: `${url}/${database}`, server: null, async drop() {} };
}
