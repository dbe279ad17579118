import type { JobId } from "./contracts/ids.ts";
import type { Db } from "./db/client.ts";
import { handoffRows } from "./db/handoffs.ts";
import { openRedis } from "./redis.ts";

/** Where a sealed key waits to be taken, once. */
export interface Handoff {
  /** Puts a sealed key under the job's id; a later one replaces it. It is gone after `ttlSeconds`. */
  put(jobId: JobId, jwe: string, ttlSeconds: number): Promise<void>;
  /** Takes it: of any number of callers, one gets it. Null when there is none. */
  take(jobId: JobId): Promise<string | null>;
  drop(jobId: JobId): Promise<void>;
  close(): Promise<void>;
}

const redisKey = (jobId: JobId) => `{keygate}:handoff:${jobId}`;

/** The handoff in Redis when there is one (GETDEL), otherwise in PostgreSQL (DELETE … RETURNING). */
export function openHandoff(redisUrl: string | null, db: Db, onError: (error: Error) => void): Handoff {
  if (!redisUrl) {
    const rows = handoffRows(db);
    return { put: rows.put, take: rows.take, drop: rows.drop, close: async () => {} };
  }
  const redis = openRedis(redisUrl, { maxRetriesPerRequest: 2, commandTimeout: 5_000 }, onError);
  return {
    async put(jobId, jwe, ttlSeconds) {
      await redis.set(redisKey(jobId), jwe, "EX", ttlSeconds);
    },
    take: (jobId) => redis.getdel(redisKey(jobId)),
    async drop(jobId) {
      await redis.del(redisKey(jobId));
    },
    async close() {
      redis.disconnect();
    },
  };
}
