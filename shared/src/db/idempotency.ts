import { sql } from "kysely";
import type { JobId } from "../contracts/ids.ts";
import { type Db, json, nowPlus, type Tx } from "./client.ts";

export interface StoredResponse {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** What an earlier request with the same key left; `isLocked` when it may still be running. */
export interface TakenBefore {
  request_hash: string;
  job_id: JobId | null;
  response: StoredResponse | null;
  isLocked: boolean;
}

const keptSeconds = 24 * 3600;

export function idempotencyRows(db: Db | Tx) {
  return {
    /**
     * Takes the key for one request. The answer is the row as it was found when somebody had it before.
     * `lockSeconds` bounds how long a request that died keeps others out.
     */
    async take(actor: string, key: string, requestHash: string, lockSeconds: number): Promise<TakenBefore | null> {
      await db
        .deleteFrom("idempotency_keys")
        .where("actor", "=", actor)
        .where("key", "=", key)
        .where("expires_at", "<=", sql<Date>`now()`)
        .execute();
      const inserted = await db
        .insertInto("idempotency_keys")
        .values({
          actor,
          key,
          request_hash: requestHash,
          locked_until: nowPlus(lockSeconds),
          expires_at: nowPlus(keptSeconds),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning("key")
        .executeTakeFirst();
      if (inserted) return null;
      const relocked = await db
        .updateTable("idempotency_keys")
        .set({ locked_until: nowPlus(lockSeconds) })
        .where("actor", "=", actor)
        .where("key", "=", key)
        .where("request_hash", "=", requestHash)
        .where("locked_until", "<=", sql<Date>`now()`)
        .returning(["request_hash", "job_id", "response"])
        .executeTakeFirst();
      if (relocked) return { ...relocked, isLocked: false };
      const row = await db
        .selectFrom("idempotency_keys")
        .select(["request_hash", "job_id", "response"])
        .where("actor", "=", actor)
        .where("key", "=", key)
        .executeTakeFirst();
      // Released between the two looks: it is free again.
      return row ? { ...row, isLocked: true } : this.take(actor, key, requestHash, lockSeconds);
    },

    /** In the transaction that makes the job: a second request finds the job, whatever becomes of the first. */
    async linkJob(actor: string, key: string, jobId: JobId): Promise<void> {
      await db
        .updateTable("idempotency_keys")
        .set({ job_id: jobId })
        .where("actor", "=", actor)
        .where("key", "=", key)
        .execute();
    },

    /** Keeps the answer (without secrets) and lets others in. */
    async finish(actor: string, key: string, response: StoredResponse): Promise<void> {
      await db
        .updateTable("idempotency_keys")
        .set({ response: json(response), locked_until: sql<Date>`now()` })
        .where("actor", "=", actor)
        .where("key", "=", key)
        .execute();
    },

    /** Nothing came of the request, unless its transaction says otherwise: the key may be used again. */
    async release(actor: string, key: string): Promise<void> {
      await db
        .deleteFrom("idempotency_keys")
        .where("actor", "=", actor)
        .where("key", "=", key)
        .where("job_id", "is", null)
        .where("response", "is", null)
        .execute();
      await db
        .updateTable("idempotency_keys")
        .set({ locked_until: sql<Date>`now()` })
        .where("actor", "=", actor)
        .where("key", "=", key)
        .execute();
    },

    async dropExpired(limit: number): Promise<void> {
      await sql`delete from idempotency_keys where (actor, key) in
        (select actor, key from idempotency_keys where expires_at <= now() limit ${limit})`.execute(db);
    },
  };
}
