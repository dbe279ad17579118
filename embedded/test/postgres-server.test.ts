import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import pg from "pg";
import { describe, expect, onTestFinished, test } from "vitest";
import { isAlive } from "../src/processes.ts";
import { ask, failureCode, optionsIn, ownerOf, postgresFor, tempDir, until } from "./harness.ts";

const mode = (path: string) => statSync(path).mode & 0o777;

describe("a fresh start", () => {
  test("makes a UTF-8 database that only a password and only this machine can reach", async () => {
    const { url, port } = await postgresFor({ ...optionsIn(tempDir()), settings: {} });
    expect(await ask(url, "select current_database()")).toBe("keygate");
    expect(await ask(url, "show server_encoding")).toBe("UTF8");
    expect(await ask(url, "select datlocale from pg_database where datname = 'keygate'")).toBe("C.UTF-8");
    expect(await ask(url, "select lower('ÄÖ') = 'äö'")).toBe(true);
    expect(await ask(url, "show fsync")).toBe("on");
    expect(await ask(url, "show listen_addresses")).toBe("127.0.0.1");
    expect(await ask(url, "show unix_socket_directories")).toBe("");
    expect(await ask(url, "select left(rolpassword, 13) from pg_authid where rolname = 'keygate'")).toBe(
      "SCRAM-SHA-256",
    );
    expect(await failureCode(ask(`postgres://keygate:wrong@127.0.0.1:${port}/keygate`, "select 1"))).toBe("28P01");
  });

  test("keeps the data, the log and the password from other users", async () => {
    const options = optionsIn(tempDir());
    await postgresFor(options);
    expect(mode(options.dataDir)).toBe(0o700);
    expect(mode(join(dirname(options.dataDir), "postgres.log"))).toBe(0o600);
    expect(readdirSync(dirname(options.dataDir)).sort()).toEqual(["postgres", "postgres.log", "postgres.owner"]);
  });

  test("works with log lines going to a function, and a socket besides the port", async () => {
    const dir = tempDir();
    const lines: string[] = [];
    const { port } = await postgresFor({
      ...optionsIn(dir),
      log: (line) => lines.push(line),
      socketDir: join(dir, "socket"),
    });
    const client = new pg.Client({
      host: join(dir, "socket"),
      port,
      user: "keygate",
      password: "a p@ss/word",
      database: "keygate",
    });
    await client.connect();
    await client.end();
    expect(mode(join(dir, "socket"))).toBe(0o700);
    expect(lines.length).toBeGreaterThan(0);
    expect(existsSync(join(dir, "postgres.log"))).toBe(false);
  });

  test.runIf(process.platform === "linux")(
    "gives PostgreSQL a session of its own and none of our environment",
    async () => {
      const [server] = await ownerOf({ postgres: optionsIn(tempDir()) }).servers;
      const stat = readFileSync(`/proc/${server?.pid}/stat`, "utf8");
      const [, , group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      expect([group, session]).toEqual([String(server?.pid), String(server?.pid)]);
      expect(readFileSync(`/proc/${server?.pid}/environ`, "utf8")).not.toContain("OPENAI");
    },
  );
});

describe("a later start", () => {
  test("finds the data of the one before", async () => {
    const options = optionsIn(tempDir());
    const first = await postgresFor(options);
    await ask(first.url, "create table kept as select 42 as answer");
    await first.stop();
    const second = await postgresFor(options);
    expect(await ask(second.url, "select answer from kept")).toBe(42);
  });

  test("refuses another password in words, and leaves the data alone", async () => {
    const options = optionsIn(tempDir());
    await (await postgresFor(options)).stop();
    await expect(postgresFor({ ...options, password: "another" })).rejects.toThrow(/refuses the password/);
    const again = await postgresFor(options);
    expect(await ask(again.url, "select 1")).toBe(1);
  });

  test("restart keeps the address and the data", async () => {
    const server = await postgresFor(optionsIn(tempDir()));
    await ask(server.url, "create table kept as select 42 as answer");
    const { pid } = server;
    await server.restart();
    expect(server.pid).not.toBe(pid);
    expect(isAlive(pid)).toBe(false);
    expect(await ask(server.url, "select answer from kept")).toBe(42);
  });

  test("recovers what was committed before a SIGKILL of the server", async () => {
    const server = await postgresFor({ ...optionsIn(tempDir()), settings: { fsync: "off" } });
    await ask(server.url, "create table kept as select 42 as answer");
    await server.kill();
    await server.restart();
    expect(await ask(server.url, "select answer from kept")).toBe(42);
  });
});

describe("the server's end", () => {
  test("is reported when nobody asked for it, and not when somebody did", async () => {
    const ends: string[] = [];
    const server = await postgresFor({ ...optionsIn(tempDir()), onUnexpectedExit: (how) => ends.push(how) });
    await server.restart();
    expect(ends).toEqual([]);
    process.kill(server.pid, "SIGKILL");
    await until("the end is reported", () => ends.length > 0);
    expect(ends).toEqual(["signal SIGKILL"]);
  });

  test("comes with open connections, and may be asked for twice", async () => {
    const server = await postgresFor(optionsIn(tempDir()));
    const client = new pg.Client({ connectionString: server.url });
    client.on("error", () => {});
    await client.connect();
    await client.query("begin");
    await server.stop();
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    await client.end().catch(() => {});
  });

  test("follows the SIGKILL of the Node process that owns it, and the next start is clean", async () => {
    const options = optionsIn(tempDir());
    const owner = ownerOf({ postgres: options });
    const [server] = await owner.servers;
    if (!server) throw new Error("The owner printed no server.");
    await ask(server.url, "create table kept as select 42 as answer");
    await owner.kill();
    await until("PostgreSQL is gone", () => !isAlive(server.pid));
    const next = await postgresFor(options);
    expect(await ask(next.url, "select answer from kept")).toBe(42);
  });
});

describe("a port", () => {
  test("that is taken is named", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void taken.close());
    const address = taken.address();
    const port = address !== null && typeof address === "object" ? address.port : 0;
    await expect(postgresFor({ ...optionsIn(tempDir()), port })).rejects.toThrow(`Port ${port} on 127.0.0.1 is taken`);
  });
});

test("a setting that PostgreSQL refuses is reported in its own words", async () => {
  const options = { ...optionsIn(tempDir()), settings: { shared_buffers: "a lot" } };
  await expect(postgresFor(options)).rejects.toThrow(
    /does not start \(exit code 1\)[\s\S]*invalid value for parameter "shared_buffers"/,
  );
});
