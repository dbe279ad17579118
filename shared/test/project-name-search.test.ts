import { afterAll, beforeAll, expect, test } from "vitest";
import { withClient } from "../../embedded/src/postgres-ready.ts";
import { createTestDatabase, type TestDatabase } from "../../embedded/test-support/database.ts";
import { KeyListQuery } from "../src/contracts/keys.ts";
import { type Db, openDatabase } from "../src/db/client.ts";
import { keyRows } from "../src/db/keys.ts";

/** As KeyGate makes them, and as nobody does. */
const names = [
  "keygate-platform-zoe-bcd234",
  "keygate-platform-zoe-bcd235",
  "keygate-platform-bo-23zoe4",
  "keygate-Search-Ann-Lee-xyz789",
  "nodashes",
  "ends-with-a-dash-",
  "-begins-with-one",
  "a-b--c",
];

let database: TestDatabase;
let db: Db;

beforeAll(async () => {
  database = await createTestDatabase();
  await withClient(database.url, async (client) => {
    await client.query(
      "insert into developers (id, name, email, team, role) values ('dev-1', 'Q', 'q@q.test', 'q', 'developer')",
    );
    await client.query(
      `insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, lineage_id, created_by)
        select 'key-' || n, 'dev-1', 'openai', 'active', name, 1, 1, 'key-' || n, 'test'
        from unnest($1::text[]) with ordinality as given (name, n)`,
      [names],
    );
  });
  db = openDatabase({ url: database.url, poolMax: 1, applicationName: "keygate-test" });
});

afterAll(async () => {
  await db?.destroy();
  await database?.drop();
});

const found = async (q: string) => {
  const { items } = await keyRows(db).list(KeyListQuery.parse({ q, status: "all" }));
  return items.map((key) => key.project_name).sort();
};
const containing = (q: string) => names.filter((name) => name.toLowerCase().includes(q.toLowerCase())).sort();

test("every part of a project name of three letters and more finds all keys that have it and no others", async () => {
  const parts = new Set(["zoe", "no such part", "zoe-bcd236", "ann-lee-xyz78", "LEE-X", "%-%", "___"]);
  for (const name of names) {
    for (let from = 0; from < name.length; from++) {
      for (const to of [from + 3, from + 4, from + 8, name.length]) {
        const part = name.slice(from, to);
        if (part.length >= 3 && part === part.trim()) parts.add(part);
      }
    }
  }
  expect(parts.size).toBeGreaterThan(200);
  for (const part of parts) expect(await found(part), part).toEqual(containing(part));
});

test("a key whose project is called something else is found by the new name alone", async () => {
  await withClient(database.url, (client) =>
    client.query("update keys set project_name = 'keygate-moved-on-qrs567' where id = 'key-5'"),
  );
  expect(await found("moved-on-q")).toEqual(["keygate-moved-on-qrs567"]);
  expect(await found("nodashes")).toEqual([]);
});
