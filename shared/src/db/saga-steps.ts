import { sql } from "kysely";
import type { JobId } from "../contracts/ids.ts";
import { KeyGateError } from "../errors.ts";
import { type Db, json, type Tx } from "./client.ts";
import type { Lease } from "./jobs.ts";

const columns = ["name", "position", "status", "made", "unsure_since", "started_at", "finished_at"] as const;

/**
 * The write-ahead journal of a job. Every write is fenced: it locks the job's row and checks that the writer still holds
 * the lease, so that a worker which stalled and woke up cannot write.
 */
export function sagaStepRows(db: Db | Tx) {
  const fence = (lease: Lease) =>
    sql`select id from jobs where id = ${lease.jobId} and lease_token = ${lease.token} and lease_until > now() for update`;

  const expectOne = (result: { rows: unknown[] }, lease: Lease) => {
    if (result.rows.length !== 1) throw new KeyGateError("job.lease_lost", { facts: { jobId: lease.jobId } });
  };

  return {
    async list(jobId: JobId) {
      return db.selectFrom("saga_steps").select(columns).where("job_id", "=", jobId).orderBy("position").execute();
    },

    /** Durable before the vendor hears of the step. Starting again keeps what earlier tries are unsure about. */
    async start(lease: Lease, step: { name: string; position: number }): Promise<void> {
      const result = await sql`
        with held as (${fence(lease)})
        insert into saga_steps (job_id, name, position, status)
        select id, ${step.name}, ${step.position}, 'started' from held
        on conflict (job_id, name) do update
          set status = 'started', started_at = now(), finished_at = null, unsure_since = null
        returning name`.execute(db);
      expectOne(result, lease);
    },

    /** Records what the step made, and in the same write that the next one starts: one commit instead of two. */
    async finish(
      lease: Lease,
      step: { name: string; made: Record<string, unknown> },
      next: { name: string; position: number; of: number } | null,
    ): Promise<void> {
      const done = sql`
        update saga_steps set status = 'done', made = ${json(step.made)}, finished_at = now(), unsure_since = null
        from held where job_id = held.id and name = ${step.name} returning saga_steps.name`;
      const result = next
        ? await sql`
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
              from held where jobs.id = held.id returning jobs.id)
            select name from done`.execute(db)
        : await sql`with held as (${fence(lease)}) ${done}`.execute(db);
      expectOne(result, lease);
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
    async reopen(jobId: JobId, names: readonly string[]): Promise<void> {
      if (names.length === 0) return;
      await db
        .updateTable("saga_steps")
        .set({ status: "started", finished_at: null, unsure_since: null })
        .where("job_id", "=", jobId)
        .where("name", "in", names)
        .where("status", "=", "done")
        .execute();
    },
  };
}
