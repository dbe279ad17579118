import { sql } from "kysely";
import type { JobId } from "../contracts/ids.ts";
import { type Db, nowPlus, type Tx } from "./client.ts";

/** Sealed keys in PostgreSQL, for installations without Redis. */
export function handoffRows(db: Db | Tx) {
  return {
    async put(jobId: JobId, jwe: string, ttlSeconds: number): Promise<void> {
      const row = { job_id: jobId, jwe, expires_at: nowPlus(ttlSeconds) };
      await db
        .insertInto("handoffs")
        .values(row)
        .onConflict((conflict) => conflict.column("job_id").doUpdateSet({ jwe, expires_at: nowPlus(ttlSeconds) }))
        .execute();
    },
    async take(jobId: JobId): Promise<string | null> {
      const row = await db
        .deleteFrom("handoffs")
        .where("job_id", "=", jobId)
        .returning(["jwe", sql<boolean>`expires_at > now()`.as("fresh")])
        .executeTakeFirst();
      return row?.fresh ? row.jwe : null;
    },
    async drop(jobId: JobId): Promise<void> {
      await db.deleteFrom("handoffs").where("job_id", "=", jobId).execute();
    },
    /** Removes what nobody took in time; returns how many. */
    async dropExpired(): Promise<number> {
      const result = await db.deleteFrom("handoffs").where("expires_at", "<", sql<Date>`now()`).executeTakeFirst();
      return Number(result.numDeletedRows);
    },
  };
}
