import { statSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { isAlive } from "../src/processes.ts";
import { installRedisServer, redisHint } from "../src/redis-server.ts";
import { redisCommand } from "../src/redis-wire.ts";
import { ownerOf, redisFor, tempDir, until } from "./harness.ts";

beforeAll(async () => {
  if (!(await installRedisServer())) throw new Error(redisHint);
});

const addressOf = (url: string) => {
  const { port, password } = new URL(url);
  return { port: Number(port), password: decodeURIComponent(password) };
};
const send = (url: string, ...command: string[]) => redisCommand(addressOf(url), command);

describe("a Redis", () => {
  test("answers on loopback with its password only, from a folder that is closed to others", async () => {
    const dir = join(tempDir(), "redis");
    const { url, port } = await redisFor({ dir });
    expect(await send(url, "PING")).toBe("PONG");
    await expect(redisCommand({ port, password: "wrong" }, ["PING"])).rejects.toThrow("WRONGPASS");
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    expect(statSync(join(dir, "redis.log")).mode & 0o777).toBe(0o600);
  });

  test("refuses to write when it is full, rather than forget a job", async () => {
    const { url } = await redisFor({ dir: tempDir() });
    await send(url, "SET", "job", "1", "EX", "86400");
    await send(url, "CONFIG", "SET", "maxmemory", "1");
    await expect(send(url, "SET", "another", "1")).rejects.toThrow("OOM");
    expect(await send(url, "DBSIZE")).toBe("1");
  });

  test("takes any password it is given", async () => {
    const { url } = await redisFor({ dir: tempDir(), password: `a "quoted" \\ p@ss/wörd #` });
    expect(await send(url, "PING")).toBe("PONG");
  });

  test("forgets everything on flush", async () => {
    const { url, flush } = await redisFor({ dir: tempDir() });
    await send(url, "SET", "a", "1");
    await flush();
    expect(await send(url, "DBSIZE")).toBe("0");
  });

  test("forgets on restart, unless it appends to a file", async () => {
    for (const appendOnly of [false, true]) {
      const server = await redisFor({ dir: tempDir(), appendOnly });
      await send(server.url, "SET", "a", "1");
      const { pid } = server;
      await server.restart();
      expect(server.pid).not.toBe(pid);
      expect(await send(server.url, "DBSIZE")).toBe(appendOnly ? "1" : "0");
    }
  });

  test("comes back at the same address after a SIGKILL", async () => {
    const server = await redisFor({ dir: tempDir(), appendOnly: true });
    await send(server.url, "SET", "a", "1");
    await server.kill();
    expect(isAlive(server.pid)).toBe(false);
    await expect(send(server.url, "PING")).rejects.toThrow();
    await server.restart();
    expect(await send(server.url, "DBSIZE")).toBe("1");
    await server.stop();
    await server.stop();
  });

  test("names a port that is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    await expect(redisFor({ dir: tempDir(), port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
  });

  test("ends with the Node process that owns it", async () => {
    const owner = ownerOf({ redis: { dir: tempDir() } });
    const [server] = await owner.servers;
    await owner.kill();
    await until("Redis is gone", () => !isAlive(Number(server?.pid)));
  });
});
