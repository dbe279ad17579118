import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import { withClient } from "../src/postgres-ready.ts";
import "./provided.ts";

/** The migrated database that every test database is a copy of. */
export const templateName = "keygate_template";

export interface TestDatabase {
  url: string;
  /** Ends all connections to it, then drops it. Repeatable. */
  drop(): Promise<void>;
}

// Any number: it is the name of a lock that only this function takes.
const templateLock = 7_314_159;

/** A fresh database with the latest schema, shared with no other test. The run's PostgreSQL is thrown away at its end. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const server = inject("postgresUrl");
  const name = `keygate_test_${randomBytes(8).toString("hex")}`;
  await withClient(server, async (client) => {
    // One copy at a time: they would only compete for the same disk, and wait for each other on the template.
    await client.query("select pg_advisory_lock($1)", [templateLock]);
    await client.query(`create database ${name} template ${templateName}`);
  });
  return {
    url: server.replace(/[^/]*$/, name),
    drop: () =>
      withClient(server, async (client) => void (await client.query(`drop database if exists ${name} with (force)`))),
  };
}
