import { sql } from "kysely";
import type { PublicJwk } from "../contracts/common.ts";
import type { JobId } from "../contracts/ids.ts";
import { KeyGateError } from "../errors.ts";
import { type Db, fewRows, json } from "./client.ts";
import type { Lease } from "./jobs.ts";
import { prepared } from "./prepared.ts";
import { together } from "./rounds.ts";

const columns = ["name", "position", "status", "made", "unsure_since", "started_at", "finished_at"] as const;

/** What whoever asked for the job may have changed while it runs. */
export interface JobWishes {
  cancel_requested: boolean;
  delivery_key: PublicJwk | null;
}

/** A step and how far along it is. */
export interface StepPlace {
  name: string;
  position: number;
  of: number;
}

/** One entry into the journal: what a step made, and that another one starts. */
interface Entry {
  lease: Lease;
  done: { name: string; made: Record<string, unknown> } | null;
  next: StepPlace | null;
  sealedTo: string | null;
}

/**
 * Writes entries of several jobs, each fenced by its own lease. Undefined for a job whose lease was lost, or with
 * `skipLocked` whose row somebody else has locked: nothing of its entry is written then.
 */
async function write(
  db: Db,
  entries: readonly Entry[],
  { skipLocked }: { skipLocked: boolean },
): Promise<(JobWishes | undefined)[]> {
  const items = entries.map(({ lease, done, next, sealedTo }) => ({
    job: lease.jobId,
    token: lease.token,
    done: done?.name ?? null,
    made: done?.made ?? {},
    next: next?.name ?? null,
    position: next?.position ?? null,
    total: next?.of ?? null,
    sealed: sealedTo,
  }));
  const { rows } = await sql<JobWishes & { id: JobId }>`${prepared}
    with item as (
      select * from jsonb_to_recordset(${json(items)}) as item (job text, token text, done text, made jsonb, next text,
        position integer, total integer, sealed text)
        where ${fewRows("job")}),
    held as (
      select jobs.id, cancel_requested, delivery_key, item.* from jobs join item on jobs.id = item.job
      where lease_token = token and lease_until > now()
      for update of jobs ${sql.raw(skipLocked ? "skip locked" : "")}),
    ended as (
      update saga_steps set status = 'done', made = held.made, finished_at = now(), unsure_since = null
      from held where job_id = held.id and name = held.done returning held.id),
    noted as (
      select * from held where done is null or id in (select id from ended)),
    started as (
      insert into saga_steps (job_id, name, position, status)
      select id, next, position, 'started' from noted where next is not null
      on conflict (job_id, name) do update
        set status = 'started', started_at = now(), finished_at = null, unsure_since = null),
    shown as (
      update jobs set step = coalesce(next, step), step_number = coalesce(position, step_number),
        step_total = coalesce(total, step_total), sealed_to = coalesce(sealed, sealed_to)
      from noted where jobs.id = noted.id and (next is not null or sealed is not null))
    select id, cancel_requested, delivery_key from noted`.execute(db);
  const byId = new Map(rows.map(({ id, ...wishes }) => [id, wishes]));
  return entries.map(({ lease }) => byId.get(lease.jobId));
}

const writeTogether = together((db, entries: readonly Entry[]) => write(db, entries, { skipLocked: true }));

/** Together with whatever is written at the same time; alone, and waiting for the row, when somebody else has it locked. */
async function note(db: Db, entry: Entry): Promise<JobWishes> {
  const written = await writeTogether(db)(entry);
  const wishes = written ?? (await write(db, [entry], { skipLocked: false }))[0];
  if (!wishes) throw new KeyGateError("job.lease_lost", { facts: { jobId: entry.lease.jobId } });
  return wishes;
}

/**
 * The write-ahead journal of a job. Every write is fenced: it locks the job's row and checks that the writer still holds
 * the lease, so that a worker which stalled and woke up cannot write.
 */
export function sagaStepRows(db: Db) {
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
    async start(lease: Lease, next: StepPlace): Promise<void> {
      await note(db, { lease, done: null, next, sealedTo: null });
    },

    /**
     * Records what the step made, and in the same write that the next one starts: one commit instead of two. So is the
     * thumbprint of whom a key was sealed for. Returns what the job's row says now, which is asked before a key is made.
     */
    async finish(
      lease: Lease,
      done: { name: string; made: Record<string, unknown> },
      next: StepPlace | null,
      sealedTo: string | null = null,
    ): Promise<JobWishes> {
      return note(db, { lease, done, next, sealedTo });
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
