import { sql } from "kysely";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { openDatabase, pingDatabase } from "../src/db/client.ts";
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
