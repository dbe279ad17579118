import { sql } from "kysely";
import pg from "pg";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { openDatabase, pingDatabase } from "../src/db/client.ts";
import { allowPrepared, prepared } from "../src/db/prepared.ts";
import { asSuperuser } from "./superuser.ts";

test("a connection that is cut between two statements of a transaction fails that transaction and nothing else", async () => {
  const database = await createTestDatabase();
  const db = openDatabase({ url: database.url, poolMax: 2, applicationName: "cut" });
  const transaction = db.transaction().execute(async (tx) => {
    await sql`select 1`.execute(tx);
    await asSuperuser(database.url, [
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cut'",
    ]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    await sql`select 1`.execute(tx);
  });
  await expect(transaction).rejects.toThrow();
  await pingDatabase(db);
  await db.destroy();
  await database.drop();
});

test("prepares the marked statements of a connection, and none behind a pooler that changes sessions", async () => {
  const database = await createTestDatabase();
  const db = openDatabase({ url: database.url, poolMax: 1, applicationName: "prepared" });
  const ask = async (n: number) =>
    (await sql<{ n: number }>`${prepared} select ${n}::int + 1 as n`.execute(db)).rows[0]?.n;
  const listed = async () =>
    (await sql<{ n: number }>`select count(*) as n from pg_prepared_statements`.execute(db)).rows[0]?.n;
  expect([await ask(1), await ask(2), await listed()]).toEqual([2, 3, 1]);
  await db.destroy();

  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  // What a pooler tells the client is a number of its own.
  Object.assign(client, { processID: -1 });
  await allowPrepared(client);
  const { rows } = await client.query("/* prepared */ select $1::int + 1 as n", [4]);
  expect(rows).toEqual([{ n: 5 }]);
  expect((await client.query("select name from pg_prepared_statements")).rows).toEqual([]);
  await client.end();
  await database.drop();
});
