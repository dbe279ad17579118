import { sql } from "kysely";
import type { JobId } from "../contracts/ids.ts";
import type { Sealed } from "../crypto/envelope.ts";
import { type Db, json } from "./client.ts";

/** What the sealed input of a job is bound to. */
export const jobInputContext = (jobId: string) => `jobs/${jobId}/input`;

/** The keys that people gave to waiting jobs, sealed on their way to the worker. */
export function jobInputs(db: Db) {
  return {
    /** Jobs that have one, in the order of their ids. */
    async list(after: string, limit: number): Promise<{ id: JobId; sealed: Sealed }[]> {
      const rows = await db
        .selectFrom("jobs")
        .select(["id", "sealed_input"])
        .where("sealed_input", "is not", null)
        .where(sql<boolean>`id > ${after}`)
        .orderBy("id")
        .limit(limit)
        .execute();
      return rows.flatMap(({ id, sealed_input: sealed }) => (sealed ? [{ id, sealed }] : []));
    },

    /** Replaces the sealed value, for a change of the encryption key; false when it has become another one meanwhile. */
    async rewrap(id: JobId, from: Sealed, to: Sealed): Promise<boolean> {
      const row = await db
        .updateTable("jobs")
        .set({ sealed_input: json(to) })
        .where("id", "=", id)
        .where(sql<boolean>`sealed_input = ${json(from)}`)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
