import { describe, expect, inject, test } from "vitest";
import { redisCommand } from "../src/redis-wire.ts";
import { createTestDatabase } from "../test-support/database.ts";
import { createTestRedis } from "../test-support/redis.ts";
import { ask, failureCode } from "./harness.ts";

describe("createTestDatabase", () => {
  test("gives databases that have the schema and share nothing, also many at once", async () => {
    const databases = await Promise.all(Array.from({ length: 8 }, () => createTestDatabase()));
    for (const { url } of databases) {
      expect(Number(await ask(url, "select count(*) from pg_tables where schemaname = 'public'"))).toBeGreaterThan(0);
      await ask(url, "create table only_here (a int)");
    }
    expect(new Set(databases.map(({ url }) => url)).size).toBe(8);
    for (const { drop } of databases) await drop();
  });

  test("drops a database that is still in use, twice if asked", async () => {
    const { url, drop } = await createTestDatabase();
    const sleeping = failureCode(ask(url, "select pg_sleep(600)"));
    await ask(url, "select 1");
    await drop();
    await drop();
    expect(await sleeping).toBeDefined();
    expect(await failureCode(ask(url, "select 1"))).toBe("3D000");
  });
});

describe("createTestRedis", () => {
  const send = (url: string, ...command: string[]) => {
    const { port, password } = new URL(url);
    return redisCommand({ port: Number(port), password: decodeURIComponent(password) }, command);
  };

  test.runIf(inject("redisUrl"))("numbers a database of its own for each caller", async () => {
    const [a, b] = await Promise.all([createTestRedis(), createTestRedis()]);
    expect(a.url).not.toBe(b.url);
    expect(Number(new URL(a.url).pathname.slice(1))).toBeGreaterThan(0);
  });

  test.runIf(inject("redisUrl"))("starts a server that may be flushed and killed, on request", async () => {
    const redis = await createTestRedis({ private: true });
    expect(new URL(redis.url).port).not.toBe(new URL(String(inject("redisUrl"))).port);
    await redis.server?.flush();
    await redis.server?.kill();
    await redis.server?.restart();
    expect(await send(redis.url, "PING")).toBe("PONG");
    await redis.drop();
    await expect(send(redis.url, "PING")).rejects.toThrow();
  });
});
