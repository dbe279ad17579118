import { sql } from "kysely";
import type { PublicJwk } from "../contracts/common.ts";
import type { JobId } from "../contracts/ids.ts";
import { KeyGateError } from "../errors.ts";
import { type Db, json, type Tx } from "./client.ts";
import { jobRows, type Lease } from "./jobs.ts";
import { prepared } from "./prepared.ts";

const columns = ["name", "position", "status", "made", "unsure_since", "started_at", "finished_at"] as const;

/** What whoever asked for the job may have changed while it runs. */
export interface JobWishes {
  cancel_requested: boolean;
  delivery_key: PublicJwk | null;
}

/**
 * The write-ahead journal of a job. Every write is fenced: it locks the job's row and checks that the writer still holds
 * the lease, so that a worker which stalled and woke up cannot write.
 */
export function sagaStepRows(db: Db | Tx) {
  const fence = (lease: Lease) =>
    sql`select id, cancel_requested, delivery_key from jobs where id = ${lease.jobId} and lease_token = ${lease.token} and lease_until > now() for update`;

  const expectOne = <T>({ rows }: { rows: T[] }, lease: Lease): T => {
    const [row] = rows;
    if (row === undefined || rows.length > 1) {
      throw new KeyGateError("job.lease_lost", { facts: { jobId: lease.jobId } });
    }
    return row;
  };

  return {
    async list(jobId: JobId) {
      return db.selectFrom("saga_steps").select(columns).where("job_id", "=", jobId).orderBy("position").execute();
    },

    /** Durable before the vendor hears of the step. Starting again keeps what earlier tries are unsure about. */
    async start(lease: Lease, step: { name: string; position: number }): Promise<void> {
      const result = await sql`${prepared}
        with held as (${fence(lease)})
        insert into saga_steps (job_id, name, position, status)
        select id, ${step.name}, ${step.position}, 'started' from held
        on conflict (job_id, name) do update
          set status = 'started', started_at = now(), finished_at = null, unsure_since = null
        returning name`.execute(db);
      expectOne(result, lease);
    },

    /**
     * Records what the step made, and in the same write that the next one starts: one commit instead of two. So is the
     * thumbprint of whom a key was sealed for. Returns what the job's row says now, which is asked before a key is made.
     */
    async finish(
      lease: Lease,
      step: { name: string; made: Record<string, unknown> },
      next: { name: string; position: number; of: number } | null,
      sealedTo: string | null = null,
    ): Promise<JobWishes> {
      const done = sql`
        update saga_steps set status = 'done', made = ${json(step.made)}, finished_at = now(), unsure_since = null
        from held where job_id = held.id and name = ${step.name} returning saga_steps.name`;
      if (!next && sealedTo !== null) await jobRows(db).recordSealedTo(lease, sealedTo);
      const result = next
        ? await sql<JobWishes>`${prepared}
            with held as (${fence(lease)}),
            done as (${done}),
            started as (
              insert into saga_steps (job_id, name, position, status)
              select id, ${next.name}, ${next.position}, 'started' from held
              on conflict (job_id, name) do update
                set status = 'started', started_at = now(), finished_at = null, unsure_since = null
              returning name),
            shown as (
              update jobs set step = ${next.name}, step_number = ${next.position}, step_total = ${next.of}
                ${sealedTo === null ? sql`` : sql`, sealed_to = ${sealedTo}`}
              from held where jobs.id = held.id returning jobs.id)
            select held.cancel_requested, held.delivery_key from done, held`.execute(db)
        : await sql<JobWishes>`${prepared} with held as (${fence(lease)}) ${done}, held.cancel_requested, held.delivery_key`.execute(
            db,
          );
      return expectOne(result, lease);
    },

    /** The vendor surely did nothing: the step counts as never started. */
    async forget(lease: Lease, name: string): Promise<void> {
      await sql`
        with held as (${fence(lease)})
        delete from saga_steps using held where job_id = held.id and name = ${name} and status = 'started'`.execute(db);
    },

    /** Notes when a look first found nothing; returns the seconds since that first look. */
    async markUnsure(lease: Lease, name: string): Promise<number> {
      const result = await sql<{ seconds: number }>`
        with held as (${fence(lease)})
        update saga_steps set unsure_since = coalesce(unsure_since, now())
        from held where job_id = held.id and name = ${name}
        returning extract(epoch from now() - unsure_since)::float8 as seconds`.execute(db);
      expectOne(result, lease);
      return result.rows[0]?.seconds ?? 0;
    },

    async markUndone(lease: Lease, name: string): Promise<void> {
      const result = await sql`
        with held as (${fence(lease)})
        update saga_steps set status = 'undone', finished_at = now() from held
        where job_id = held.id and name = ${name} returning saga_steps.name`.execute(db);
      expectOne(result, lease);
    },

    /** Turns done steps back into started ones, so that the next run looks for what they made and replaces it. */
    async reopen(lease: Lease, names: readonly string[]): Promise<void> {
      if (names.length === 0) return;
      const result = await sql`
        with held as (${fence(lease)}),
        reopened as (
          update saga_steps set status = 'started', finished_at = null, unsure_since = null
          from held where job_id = held.id and name = any(${[...names]}::text[]) and status = 'done')
        select id from held`.execute(db);
      expectOne(result, lease);
    },
  };
}
