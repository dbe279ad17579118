import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { Daemon } from "./daemon.ts";

const slowAfterMs = 10_000;
const giveUpAfterMs = 10 * 60_000; // recovery after a crash reads the whole write-ahead log, and disks differ

/** Waits for an answered query. Returns "exited" when the server ended instead, or the error that waiting cannot cure. */
export async function untilReady(
  url: string,
  daemon: Daemon,
  say: (line: string) => void,
): Promise<"ready" | "exited" | Error> {
  const startedAt = Date.now();
  let spokeAt = startedAt;
  while (!daemon.hasExited()) {
    try {
      await withClient(url, (client) => client.query("select 1"));
      return "ready";
    } catch (error) {
      const { code } = error as { code?: string };
      if (code?.startsWith("28")) {
        return new Error(
          "PostgreSQL refuses the password: its data was made with another user or password. Restore that one, or move the data folder aside to begin anew.",
          { cause: error },
        );
      }
      if (Date.now() - startedAt > giveUpAfterMs)
        return new Error("PostgreSQL runs but answers no queries.", { cause: error });
    }
    if (Date.now() - spokeAt > slowAfterMs) {
      spokeAt = Date.now();
      say(
        `PostgreSQL is still starting (${Math.round((spokeAt - startedAt) / 1000)} s), probably recovering from a crash.`,
      );
    }
    await sleep(50);
  }
  return "exited";
}

/** Creates a database unless it exists. `url` leads to any other database of the same server. */
export async function createDatabaseIfAbsent(url: string, database: string): Promise<void> {
  await withClient(url, async (client) => {
    const { rowCount } = await client.query("select 1 from pg_database where datname = $1", [database]);
    if (rowCount === 0) await client.query(`create database ${client.escapeIdentifier(database)}`);
  });
}

/** Runs `work` with a connection of its own, closed afterwards. */
export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on("error", () => {}); // a lost connection also fails the query at hand
  try {
    await client.connect();
    return await work(client);
  } finally {
    await client.end().catch(() => {});
  }
}
