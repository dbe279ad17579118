import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { expect, inject, onTestFinished, test, vi } from "vitest";
import { withClient } from "../../embedded/src/postgres-ready.ts";
import "../../embedded/test-support/provided.ts";
import { DatabaseIsNewer, migrateToLatest } from "../src/migrate.ts";

// Programs are started here, on machines that may be busy; a limit is there to end what hangs.
vi.setConfig({ testTimeout: 300_000 });

const root = resolve(import.meta.dirname, "../..");
/** The last migration of each version that was given out. A version's rows lie in releases/. */
const releases = { "1.0.0-alpha.1": "20261123T1000_add_reconcile" } as const;

async function emptyDatabase(): Promise<string> {
  const server = inject("postgresUrl");
  const name = `keygate_migrate_${randomBytes(8).toString("hex")}`;
  await withClient(server, async (client) => void (await client.query(`create database ${name}`)));
  onTestFinished(() => withClient(server, async (c) => void (await c.query(`drop database ${name} with (force)`))));
  return server.replace(/[^/]*$/, name);
}

const run = (url: string, sql: string) => withClient(url, async (client) => await client.query(sql));
const rowsOf = (version: string, n: number) =>
  readFileSync(resolve(import.meta.dirname, `releases/${version}.sql`), "utf8").replaceAll("{n}", String(n));

test("every released version has its rows here", () => {
  const named = [...readFileSync(resolve(root, "CHANGELOG.md"), "utf8").matchAll(/^## \[(\d[^\]]*)\]/gm)];
  for (const [, version = ""] of named) expect(Object.keys(releases)).toContain(version);
  const files = readdirSync(resolve(import.meta.dirname, "releases"));
  expect(files.sort()).toEqual(Object.keys(releases).map((version) => `${version}.sql`));
});

test.each(Object.entries(releases))(
  "from %s to the newest schema nothing is lost, and that version can still write while it runs",
  async (version, upTo) => {
    const url = await emptyDatabase();
    await migrateToLatest(url, () => {}, { upTo });
    await run(url, rowsOf(version, 1));
    const tables = [...rowsOf(version, 1).matchAll(/insert into (\w+)/g)].map(([, table = ""]) => table);
    // Whole rows as text: a value that changed on the way shows as well as one that went.
    const contents = async () => {
      const all: Record<string, Record<string, unknown>[]> = {};
      for (const table of new Set(tables)) {
        all[table] = (await run(url, `select to_jsonb(t) as row from ${table} t order by 1`)).rows.map(
          ({ row }) => row,
        );
      }
      return all;
    };
    const before = await contents();
    const ran: string[] = [];
    await migrateToLatest(url, (name) => ran.push(name));
    expect(ran.length).toBeGreaterThan(0);
    const after = await contents();
    for (const [table, rows] of Object.entries(before)) {
      expect(after[table], table).toEqual(rows.map((row) => expect.objectContaining(row)));
    }
    await run(url, rowsOf(version, 2));
    // What was there is searched for by name as well as what came since.
    const unnamed = "select id from keys where id not in (select key_id from key_project_names)";
    expect((await run(url, unnamed)).rows).toEqual([]);
    expect((await run(url, "select from key_project_names")).rowCount).toBeGreaterThan(1);
    // The log stays closed, whatever was migrated.
    await expect(run(url, "update audit_events set actor = 'x'")).rejects.toThrow("append-only");
  },
);

test("several migrators at once: each migration runs once, and all of them end well", async () => {
  const url = await emptyDatabase();
  const ran: string[] = [];
  await Promise.all(Array.from({ length: 4 }, () => migrateToLatest(url, (name) => ran.push(name))));
  const files = readdirSync(resolve(root, "migrations/src")).filter((name) => /^\d{8}T/.test(name));
  expect(ran.sort()).toEqual(files.map((name) => name.replace(".ts", "")).sort());
});

test("a migration that fails leaves nothing of itself or of those before it", async () => {
  const url = await emptyDatabase();
  await run(url, "create table reconcile_runs (id int)");
  await expect(migrateToLatest(url)).rejects.toThrow("reconcile_runs");
  const { rows } = await run(url, "select tablename from pg_tables where schemaname = 'public'");
  expect(rows.map(({ tablename }) => tablename)).toEqual(["reconcile_runs"]);
});

test("on a database that a newer version has migrated, migrating, the api and the worker refuse and say so", async () => {
  const url = await emptyDatabase();
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: url,
    SECRET_KEY: randomBytes(48).toString("base64"),
    ENCRYPTION_KEY: randomBytes(48).toString("base64"),
    HOST: "127.0.0.1",
    PORT: "0",
  };
  const outcomeOf = async (script: string) => {
    const child = spawn(process.execPath, [resolve(root, script)], { env, stdio: ["ignore", "ignore", "pipe"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    let stderr = "";
    child.stderr.on("data", (chunk) => (stderr += chunk));
    const [code] = await once(child, "close");
    return `${code} ${stderr}`;
  };
  const programs = ["api/src/main.ts", "worker/src/main.ts"];
  for (const outcome of await Promise.all(programs.map(outcomeOf))) {
    expect(outcome).toMatch(/^1 .*Run: npm run migrate\n$/);
  }
  await migrateToLatest(url);
  await run(url, "insert into kysely_migration (name, timestamp) values ('99991231T0000_from_the_future', '')");
  await expect(migrateToLatest(url)).rejects.toThrow(DatabaseIsNewer);
  for (const outcome of await Promise.all([...programs, "migrations/src/main.ts"].map(outcomeOf))) {
    expect(outcome).toMatch(/^1 The database was migrated by a newer KeyGate \(99991231T0000/);
  }
});
