import { setTimeout as sleep } from "node:timers/promises";
import pg from "pg";
import type { z } from "zod";

/** Runs one statement and parses its rows. Tried again while the database is away, for a minute and a half at most. */
export type Ask = <T>(row: z.ZodType<T>, sql: string, values?: readonly unknown[]) => Promise<T[]>;

const patienceMs = 90_000;

/** A few connections of the crash run's own. Only statements that may run twice go through it. */
export function openDatabase(url: string): { ask: Ask; close(): Promise<void> } {
  const pool = new pg.Pool({ connectionString: url, max: 2, connectionTimeoutMillis: 3_000, query_timeout: 5_000 });
  pool.on("error", () => {}); // a lost connection fails the query at hand, which is tried again
  return {
    async ask(row, sql, values = []) {
      const deadline = Date.now() + patienceMs;
      for (;;) {
        try {
          const result = await pool.query(sql, [...values]);
          return result.rows.map((found) => row.parse(found));
        } catch (error) {
          const isRefused = /^(?:22|23|42)/.test(String((error as { code?: string }).code ?? ""));
          if (isRefused || (error as Error).name === "ZodError" || Date.now() > deadline) throw error;
          await sleep(100);
        }
      }
    },
    close: () => pool.end(),
  };
}
