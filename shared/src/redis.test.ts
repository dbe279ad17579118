import { expect, test } from "vitest";
import { readRedisUrl } from "./redis.ts";

test("one server is whatever redis:// or rediss:// says", () => {
  for (const url of ["redis://localhost:6379", "rediss://:p@ss/word@cache.acme.test:6380/2"]) {
    expect(readRedisUrl(url)).toEqual({ kind: "single" });
  }
});

test("Sentinels come with the name of their group, each with its port", () => {
  expect(readRedisUrl("redis+sentinel://app:p%40ss@a.test:26380,b.test,[::1]:5/main?sentinel_password=other")).toEqual({
    kind: "sentinel",
    tls: false,
    username: "app",
    password: "p@ss",
    nodes: [
      { host: "a.test", port: 26380 },
      { host: "b.test", port: 26379 },
      { host: "::1", port: 5 },
    ],
    group: "main",
    sentinelPassword: "other",
  });
});

test("a cluster is reached by any of its nodes", () => {
  expect(readRedisUrl("rediss+cluster://:secret@a.test,b.test:7001")).toMatchObject({
    kind: "cluster",
    tls: true,
    username: undefined,
    password: "secret",
    nodes: [
      { host: "a.test", port: 6379 },
      { host: "b.test", port: 7001 },
    ],
  });
});

test.each([
  "redis+sentinel://a.test:26379",
  "redis+cluster://a.test/0",
  "redis+cluster://a.test,",
  "redis+cluster://a.test:99999",
  "redis+cluster://:%zz@a.test",
  "redis+ring://a.test",
  "http://a.test",
  "a.test:6379",
])("%s names no Redis", (url) => expect(readRedisUrl(url)).toBeNull());
