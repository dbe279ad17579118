import { spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { commandAs } from "../src/daemon.ts";
import { freePort } from "../src/free-port.ts";
import { findPostgresBinaries } from "../src/postgres-binaries.ts";
import { prepareUser } from "../src/postgres-user.ts";
import { isAlive } from "../src/processes.ts";
import { ask, optionsIn, ownerOf, postgresFor, tempDir, until } from "./harness.ts";

/** A data folder with `kept` in it, and its server stopped. */
async function withData(dir: string) {
  const options = optionsIn(dir);
  const server = await postgresFor(options);
  await ask(server.url, "create table kept as select 42 as answer");
  await server.stop();
  return options;
}

function brokenOnes(dataDir: string): string[] {
  return readdirSync(dirname(dataDir)).filter((name) => name.startsWith(`${basename(dataDir)}.broken-`));
}

describe("a half-made data folder", () => {
  test.for(["PG_VERSION", "global/pg_control"])("without %s is moved aside, not deleted", async (missing) => {
    const options = await withData(tempDir());
    rmSync(join(options.dataDir, missing));
    const said: string[] = [];
    const { url } = await postgresFor({ ...options, say: (line) => said.push(line) });
    expect(await ask(url, "select to_regclass('kept')")).toBeNull();
    const [aside] = brokenOnes(options.dataDir);
    expect(said).toEqual([expect.stringContaining(String(aside))]);
    expect(existsSync(join(dirname(options.dataDir), String(aside), "pg_wal"))).toBe(true);
  });

  test("that initdb was making when everything was killed does not count", async () => {
    const options = await withData(tempDir());
    const draft = `${options.dataDir}.new-abc123`;
    renameSync(options.dataDir, draft);
    mkdirSync(`${options.dataDir}.new-empty`);
    const said: string[] = [];
    const { url } = await postgresFor({ ...options, say: (line) => said.push(line) });
    expect(await ask(url, "select to_regclass('kept')")).toBeNull();
    expect(said).toEqual([expect.stringContaining(String(brokenOnes(options.dataDir)[0]))]);
    expect(readdirSync(dirname(options.dataDir)).filter((name) => name.includes(".new-"))).toEqual([]);
  });

  test("never comes of a SIGKILL during initdb", async () => {
    const options = optionsIn(tempDir());
    const beside = () => readdirSync(dirname(options.dataDir));
    const owner = ownerOf({ postgres: options });
    await until("initdb has begun", () => beside().some((name) => name.includes(".new-")));
    await owner.kill();
    const { url } = await postgresFor(options);
    expect(await ask(url, "select current_database()")).toBe("keygate");
    expect(beside()).not.toContain("postgres.password");
  });
});

describe("a data folder that is not ours to replace", () => {
  test("with other files in it is refused and left as it is", async () => {
    const options = optionsIn(tempDir());
    mkdirSync(options.dataDir);
    writeFileSync(join(options.dataDir, "thesis.txt"), "years of work");
    await expect(postgresFor(options)).rejects.toThrow(/holds files that are not PostgreSQL's/);
    expect(readdirSync(options.dataDir)).toEqual(["thesis.txt"]);
  });

  test("of another major version is refused and left as it is", async () => {
    const options = await withData(tempDir());
    writeFileSync(join(options.dataDir, "PG_VERSION"), "15\n");
    await expect(postgresFor(options)).rejects.toThrow(/made by PostgreSQL 15, and this KeyGate brings PostgreSQL \d+/);
    expect(brokenOnes(options.dataDir)).toEqual([]);
  });

  test("in use by this process is refused, also to a second start at the same moment", async () => {
    const options = optionsIn(tempDir());
    const [first, second] = await Promise.allSettled([postgresFor(options), postgresFor(options)]);
    expect([first.status, second.status].sort()).toEqual(["fulfilled", "rejected"]);
    await expect(postgresFor(options)).rejects.toThrow(/already runs a PostgreSQL/);
  });

  test("in use by a living process is refused, and that one's server goes on", async () => {
    const options = optionsIn(tempDir());
    const owner = ownerOf({ postgres: options });
    const [server] = await owner.servers;
    await expect(postgresFor(options)).rejects.toThrow(`in use by process ${owner.child.pid}`);
    expect(await ask(String(server?.url), "select 1")).toBe(1);
  });
});

describe("what a killed run left", () => {
  /** A process without a watch on its owner, as the PostgreSQL user: what exists where the kernel offers none. */
  async function leftBehind(dataDir: string, file: string, args: string[]): Promise<number> {
    const { initdb } = await findPostgresBinaries();
    const command = commandAs(await prepareUser(dataDir, initdb), file, args, null);
    const child = spawn(command.file, command.args, { ...command.options, detached: true, stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    await new Promise<void>((resolve) => child.once("spawn", resolve));
    return Number(child.pid);
  }

  test("a PostgreSQL that still runs on the data is stopped by its pid, and the data served anew", async () => {
    const options = await withData(tempDir());
    const { postgres } = await findPostgresBinaries();
    const port = await freePort();
    const args = [
      "-D",
      options.dataDir,
      "-c",
      "listen_addresses=127.0.0.1",
      "-c",
      "unix_socket_directories=",
      "-p",
      String(port),
    ];
    const pid = await leftBehind(options.dataDir, postgres, args);
    const lock = join(options.dataDir, "postmaster.pid");
    await until("it is ready", () => existsSync(lock) && readFileSync(lock, "utf8").includes("ready"));
    const said: string[] = [];
    const { url } = await postgresFor({ ...options, say: (line) => said.push(line) });
    expect(said).toEqual([expect.stringContaining(`process ${pid}`)]);
    expect(isAlive(pid)).toBe(false);
    expect(await ask(url, "select answer from kept")).toBe(42);
  });

  test("a lock file whose process id went to an unrelated process is taken away, and that process left alone", async () => {
    const options = await withData(tempDir());
    const pid = await leftBehind(options.dataDir, "/bin/sleep", ["600"]);
    await until("sleep runs", () => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("sleep\u0000"));
    writeFileSync(join(options.dataDir, "postmaster.pid"), `${pid}\n${options.dataDir}\n`);
    const { url } = await postgresFor(options);
    expect(await ask(url, "select answer from kept")).toBe(42);
    expect(isAlive(pid)).toBe(true);
  });

  test.for(["", "999999999\n"])("a lock file that says %j is no obstacle", async (content) => {
    const options = await withData(tempDir());
    writeFileSync(join(options.dataDir, "postmaster.pid"), content);
    const { url } = await postgresFor(options);
    expect(await ask(url, "select answer from kept")).toBe(42);
  });

  test("data that was copied as root is served", async () => {
    const dir = tempDir();
    const options = await withData(dir);
    cpSync(options.dataDir, join(dir, "copy"), { recursive: true });
    renameSync(join(dir, "copy"), `${options.dataDir}-copy`);
    const { url } = await postgresFor({ ...options, dataDir: `${options.dataDir}-copy` });
    expect(await ask(url, "select answer from kept")).toBe(42);
  });
});
