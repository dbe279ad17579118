import { type Selectable, sql } from "kysely";
import type { PublicJwk } from "../contracts/common.ts";
import type { JobId, KeyId } from "../contracts/ids.ts";
import type { JobInput, JobKind, JobListQuery, JobState } from "../contracts/jobs.ts";
import { jobs as jobSpecs } from "../contracts/jobs.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import type { Sealed } from "../crypto/envelope.ts";
import { KeyGateError } from "../errors.ts";
import { newId } from "../ids.ts";
import { currentTraceParent } from "../tracing.ts";
import type { Actor } from "./audit.ts";
import { type Db, fewRows, json, nowPlus, type Tx } from "./client.ts";
import { givenOf, idAfter, newestWith, type Page, pageById } from "./paging.ts";
import { prepared } from "./prepared.ts";
import { rowsById, together } from "./rounds.ts";
import type { Database, JobError, JobWaiting } from "./schema.ts";

export type JobRow = Selectable<Database["jobs"]>;
/** A job as its worker gets it; `is_first_try` when nobody had it before, so that no journal can exist. */
export type LeasedJobRow = JobRow & { is_first_try: boolean };
/** As much of a job as waiting callers look at. */
export type JobGlance = Pick<
  JobRow,
  "id" | "state" | "step" | "step_number" | "step_total" | "attempts" | "claimed_at" | "run_at"
>;

/** Every column, in the order of the table. */
export const jobColumns = [
  "id",
  "kind",
  "vendor",
  "key_id",
  "parent_id",
  "state",
  "input",
  "priority",
  "attempts",
  "undo_attempts",
  "run_at",
  "enqueued_at",
  "lease_token",
  "lease_until",
  "cancel_requested",
  "step",
  "step_number",
  "step_total",
  "error",
  "waiting",
  "sealed_input",
  "result",
  "requested_by",
  "requested_by_id",
  "ip_address",
  "delivery_key",
  "delivery_is_callers",
  "sealed_to",
  "claim_until",
  "claimed_at",
  "created_at",
  "started_at",
  "finished_at",
  "written_off_at",
  "written_off_by",
  "written_off_reason",
  "traceparent",
] as const;

const columns = jobColumns;

/** States in which a worker may take the job when it is due. */
export const workableStates = ["queued", "running", "waiting_for_vendor", "compensating", "needs_attention"] as const;
const workable = workableStates;
const unfinished = [...workable, "waiting_for_input"] as const;

/** Longer delays are kept by the row alone. */
export const delayInQueueMaxMs = 2_000;

export interface NewJob<K extends JobKind = JobKind> {
  kind: K;
  input: JobInput<K>;
  vendor: VendorId | null;
  keyId: KeyId | null;
  actor: Actor;
  parentId?: JobId;
  priority?: number;
  delivery?: { key: PublicJwk; isCallers: boolean };
  state?: JobState;
  /** Seconds from now until it may run. */
  delaySeconds?: number;
}

/** What a vendor's own pace keeps waiting. */
export interface Throttled {
  jobsWaiting: number;
  nextTryAt: Date;
}

/** The token that a worker holds a job with. Every write of the worker names it, so that a stale one cannot write. */
export interface Lease {
  jobId: JobId;
  token: string;
}

const now = sql<Date>`now()`;
/** Whoever asks for the job again takes its write-off back. */
const notWrittenOff = { written_off_at: null, written_off_by: null, written_off_reason: null } as const;
// A key that was still being made is as good as revoked when its making was stopped.
const endedWell = sql`case when kind = 'revoke' then state = 'succeeded' else state in ('failed', 'cancelled') end`;

/** The job's row as it is after it was asked for. */
export const findJobRow = rowsById((db, ids: JobId[]) =>
  db.selectFrom("jobs").select(columns).where("id", "=", sql<JobId>`any(${ids}::text[])`).modifyEnd(prepared).execute(),
);

/**
 * Takes the job for one worker. Null when it is not due, already ended, held by another worker whose lease still runs,
 * or locked by somebody at this very moment: then it is due still. Found by the id alone, see `keyMoments`.
 */
export const leaseJob = together(
  async (db, leases: readonly (Lease & { seconds: number })[]): Promise<(LeasedJobRow | null)[]> => {
    const { rows } = await sql<LeasedJobRow>`${prepared}
      with item as (
        select * from jsonb_to_recordset(${json(leases)}) as item ("jobId" text, token text, seconds double precision)
        where ${fewRows("jobId")}),
      locked as (
        select jobs.id, state, written_off_at, run_at, lease_until, token, seconds
        from jobs join item on jobs.id = "jobId" for update of jobs skip locked),
      due as (
        select id, token, seconds from locked
        where state in (${sql.join(workable)}) and written_off_at is null and run_at <= now()
          and (lease_until is null or lease_until <= now()))
      update jobs set lease_token = due.token, lease_until = now() + make_interval(secs => due.seconds),
        started_at = coalesce(started_at, now()),
        state = case when state in ('queued', 'waiting_for_vendor') then 'running' else state end
      from due where jobs.id = due.id
      returning ${sql.join(columns.map((name) => sql.ref(`jobs.${name}`)))}, jobs.started_at = now() as is_first_try`.execute(
      db,
    );
    const byToken = new Map(rows.map((row) => [row.lease_token, row]));
    return leases.map(({ token }) => byToken.get(token) ?? null);
  },
);

export function jobRows(db: Db | Tx) {
  /** Rows are only written by whoever holds the lease; anyone else gets `job.lease_lost`. */
  const held = (lease: Lease) =>
    db.updateTable("jobs").where("id", "=", lease.jobId).where("lease_token", "=", lease.token);

  const expectHeld = <T>(row: T | undefined, lease: Lease): T => {
    if (!row) throw new KeyGateError("job.lease_lost", { facts: { jobId: lease.jobId } });
    return row;
  };

  const requestCancels = () =>
    db
      .updateTable("jobs")
      .set({
        cancel_requested: true,
        run_at: now,
        enqueued_at: now,
        state: sql<JobState>`case when state in ('waiting_for_input', 'waiting_for_vendor') then 'queued' else state end`,
      })
      .where("kind", "in", ["provision", "rotate"])
      .where("state", "in", ["queued", "running", "waiting_for_input", "waiting_for_vendor"]);

  return {
    async insert(jobsToInsert: readonly NewJob[]): Promise<JobRow[]> {
      if (jobsToInsert.length === 0) return [];
      return db
        .insertInto("jobs")
        .values(
          jobsToInsert.map((job) => ({
            id: newId("job"),
            kind: job.kind,
            vendor: job.vendor,
            key_id: job.keyId,
            parent_id: job.parentId ?? null,
            state: job.state ?? "queued",
            input: json(jobSpecs[job.kind].input.parse(job.input)),
            priority: job.priority ?? jobSpecs[job.kind].priority,
            run_at: nowPlus(job.delaySeconds ?? 0),
            // The caller adds it to the queue after the commit; the sweep looks at it only if that was lost.
            enqueued_at: now,
            requested_by: job.actor.name,
            requested_by_id: job.actor.id,
            ip_address: job.actor.ipAddress,
            delivery_key: job.delivery ? json(job.delivery.key) : null,
            delivery_is_callers: job.delivery?.isCallers ?? false,
            traceparent: currentTraceParent(),
          })),
        )
        .returning(columns)
        .execute();
    },

    async find(id: JobId): Promise<JobRow | undefined> {
      return db.selectFrom("jobs").select(columns).where("id", "=", id).modifyEnd(prepared).executeTakeFirst();
    },

    /** The row, locked until the transaction ends. */
    async lock(id: JobId): Promise<JobRow | undefined> {
      return db.selectFrom("jobs").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    async list(query: JobListQuery): Promise<Page<JobRow>> {
      const after = idAfter(query.cursor);
      let select = db.selectFrom("jobs").select(columns);
      const { kind, vendor, status, developer_id: developerId } = query;
      // What has an index of its own is read as a stretch of that; the other pairs PostgreSQL weighs against each other.
      const given = givenOf({ kind, vendor, state: status });
      const isOfFew = query.key_id || query.parent_id || developerId;
      if (!isOfFew && (given.length === 1 || given.length === 3)) {
        const { within, newestFirst } = newestWith("jobs", given, after);
        select = select.where(within).orderBy(newestFirst);
      } else {
        for (const [column, value] of given) select = select.where(sql.ref(column), "=", value);
        if (after) select = select.where("id", "<", after as JobId);
        select = select.orderBy("id", "desc");
      }
      if (query.key_id) select = select.where("key_id", "=", query.key_id);
      if (developerId) {
        select = select.where((where) =>
          where(
            "key_id",
            "in",
            where.selectFrom("keys").select("keys.id").where("keys.developer_id", "=", developerId),
          ),
        );
      }
      if (query.parent_id) select = select.where("parent_id", "=", query.parent_id);
      const rows = await select.limit(query.limit + 1).execute();
      return pageById(rows, query.limit);
    },

    /** By vendor: how many jobs the vendor's own pace keeps waiting right now, and when the first may go on. */
    async throttledByVendor(): Promise<Map<VendorId, Throttled>> {
      const rows = await db
        .selectFrom("jobs")
        .select(["vendor", sql<number>`count(*)`.as("jobs_waiting"), sql<Date>`min(run_at)`.as("next_try_at")])
        .where("state", "in", workable)
        .where("run_at", ">", now)
        .where(sql<boolean>`error ->> 'code' = 'vendor.throttled'`)
        .where("vendor", "is not", null)
        .groupBy("vendor")
        .execute();
      return new Map(
        rows.flatMap(({ vendor, jobs_waiting, next_try_at }) =>
          vendor ? [[vendor, { jobsWaiting: jobs_waiting, nextTryAt: next_try_at }] as const] : [],
        ),
      );
    },

    /** State, step and finish time of some jobs: what waiting callers and event streams look at. */
    async watch(ids: readonly JobId[]): Promise<JobGlance[]> {
      if (ids.length === 0) return [];
      return db
        .selectFrom("jobs")
        .select(["id", "state", "step", "step_number", "step_total", "attempts", "claimed_at", "run_at"])
        .where("id", "in", ids)
        .execute();
    },

    /** Milliseconds until the job may be taken: its due time, or the end of another worker's lease; null when ended. */
    async dueInMs(id: JobId): Promise<number | null> {
      const row = await db
        .selectFrom("jobs")
        .select(
          sql<number>`ceil(extract(epoch from greatest(run_at, coalesce(lease_until, run_at)) - now()) * 1000)::float8`.as(
            "ms",
          ),
        )
        .where("id", "=", id)
        .where("state", "in", workable)
        .where("written_off_at", "is", null)
        .executeTakeFirst();
      return row ? Math.max(0, row.ms) : null;
    },

    /** Prolongs the lease. False when it was lost. */
    async renew(lease: Lease, leaseSeconds: number): Promise<boolean> {
      const row = await held(lease)
        .set({ lease_until: nowPlus(leaseSeconds) })
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    async showProgress(lease: Lease, step: { name: string | null; number: number; of: number }): Promise<void> {
      const row = await held(lease)
        .set({ step: step.name, step_number: step.number, step_total: step.of })
        .returning("id")
        .executeTakeFirst();
      expectHeld(row, lease);
    },

    /** Gives the job back for a later try. */
    async putBack(
      lease: Lease,
      change: {
        state: "queued" | "waiting_for_vendor" | "waiting_for_input" | "compensating" | "needs_attention";
        delayMs: number;
        error: JobError | null;
        waiting?: JobWaiting | null;
        countAttempt: boolean;
        countUndoAttempt?: boolean;
        dropInput?: boolean;
      },
    ): Promise<JobRow> {
      const row = await held(lease)
        .set({
          state: change.state,
          run_at: nowPlus(change.delayMs / 1000),
          // After a short delay the worker's own entry comes back by itself, and the sweep helps only if it was lost. Long
          // delays are the sweep's alone: an entry that lies in the queue for minutes could not be hurried.
          enqueued_at: change.delayMs > delayInQueueMaxMs ? null : nowPlus(change.delayMs / 1000),
          lease_token: null,
          lease_until: null,
          error: change.error ? json(change.error) : null,
          waiting: change.waiting ? json(change.waiting) : null,
          ...(change.dropInput ? { sealed_input: null } : {}),
          attempts: sql<number>`attempts + ${change.countAttempt ? 1 : 0}`,
          undo_attempts: sql<number>`undo_attempts + ${change.countUndoAttempt ? 1 : 0}`,
        })
        .returning(columns)
        .executeTakeFirst();
      return expectHeld(row, lease);
    },

    /** From here on the job is undone, whatever happens. */
    async beginCompensation(lease: Lease, error: JobError): Promise<void> {
      const row = await held(lease)
        .set({ state: "compensating", error: json(error), undo_attempts: 0 })
        .where("state", "in", workable)
        .returning("id")
        .executeTakeFirst();
      expectHeld(row, lease);
    },

    async finish(
      lease: Lease,
      change: {
        state: "succeeded" | "failed" | "cancelled";
        error: JobError | null;
        claimTtlSeconds?: number;
        result?: unknown;
      },
    ): Promise<JobRow> {
      const row = await held(lease)
        .set({
          state: change.state,
          error: change.error ? json(change.error) : null,
          waiting: null,
          sealed_input: null,
          lease_token: null,
          lease_until: null,
          finished_at: now,
          ...(change.result === undefined ? {} : { result: json(change.result) }),
          ...(change.claimTtlSeconds === undefined ? {} : { claim_until: nowPlus(change.claimTtlSeconds) }),
        })
        .where("state", "in", workable)
        .returning(columns)
        .executeTakeFirst();
      return expectHeld(row, lease);
    },

    /** The receiver as it stands now: a caller that came back may have named another one meanwhile. */
    async receiver(lease: Lease): Promise<PublicJwk | null> {
      const row = await db
        .selectFrom("jobs")
        .select("delivery_key")
        .where("id", "=", lease.jobId)
        .where("lease_token", "=", lease.token)
        .executeTakeFirst();
      return expectHeld(row, lease).delivery_key;
    },

    async setReceiver(id: JobId, key: PublicJwk, isCallers: boolean): Promise<void> {
      await db
        .updateTable("jobs")
        .set({ delivery_key: json(key), delivery_is_callers: isCallers })
        .where("id", "=", id)
        .where("claimed_at", "is", null)
        .execute();
    },

    /** Marks the key as taken. Undefined when it was taken before or its time is over. */
    async markClaimed(id: JobId): Promise<JobRow | undefined> {
      return db
        .updateTable("jobs")
        .set({ claimed_at: now })
        .where("id", "=", id)
        .where("state", "=", "succeeded")
        .where("claimed_at", "is", null)
        .where("claim_until", ">", now)
        .returning(columns)
        .executeTakeFirst();
    },

    /** Lets a finished job run again because its sealed key was lost before anybody took it. */
    async reopenForDelivery(id: JobId): Promise<JobRow | undefined> {
      return db
        .updateTable("jobs")
        .set({ state: "queued", run_at: now, enqueued_at: now, finished_at: null, sealed_to: null, attempts: 0 })
        .where("id", "=", id)
        .where("state", "=", "succeeded")
        .where("claimed_at", "is", null)
        .where("claim_until", ">", now)
        .returning(columns)
        .executeTakeFirst();
    },

    /** Runs a waiting or stuck job now, with its attempts counted anew. */
    async retryNow(id: JobId): Promise<JobRow | undefined> {
      return db
        .updateTable("jobs")
        .set({
          run_at: now,
          enqueued_at: now,
          attempts: 0,
          ...notWrittenOff,
          state: sql<JobState>`case when state in ('waiting_for_vendor') then 'queued' else state end`,
        })
        .where("id", "=", id)
        .where("state", "in", ["queued", "waiting_for_vendor", "compensating", "needs_attention"])
        .returning(columns)
        .executeTakeFirst();
    },

    /** Asks whoever works the job to stop and undo it. */
    async requestCancel(id: JobId): Promise<JobRow | undefined> {
      return requestCancels().where("id", "=", id).returning(columns).executeTakeFirst();
    },

    /** The same for the jobs that make these keys, or make them anew. */
    async requestCancelOfMakers(keyIds: readonly KeyId[]): Promise<void> {
      if (keyIds.length === 0) return;
      await requestCancels()
        .where("key_id", "=", sql<KeyId>`any(${[...keyIds]}::text[])`)
        .execute();
    },

    /** Makes the job part of a batch, unless it is part of one already. */
    async joinBatch(id: JobId, parentId: JobId): Promise<void> {
      await db
        .updateTable("jobs")
        .set({ parent_id: parentId })
        .where("id", "=", id)
        .where("parent_id", "is", null)
        .execute();
    },

    /** Makes unfinished revocations at least this urgent, and due now. */
    async hurry(ids: readonly JobId[], priority: number): Promise<void> {
      if (ids.length === 0) return;
      await db
        .updateTable("jobs")
        .set({ priority: sql<number>`least(priority, ${priority})`, run_at: now, enqueued_at: now, ...notWrittenOff })
        .where("id", "in", ids)
        .where("state", "in", unfinished)
        .execute();
    },

    /** The unfinished revocations of some keys. */
    async findRevocations(keyIds: readonly KeyId[]): Promise<JobRow[]> {
      if (keyIds.length === 0) return [];
      return db
        .selectFrom("jobs")
        .select(columns)
        .where("key_id", "in", keyIds)
        .where("kind", "=", "revoke")
        .where("state", "in", unfinished)
        .execute();
    },

    async cancelRequested(lease: Lease): Promise<boolean> {
      const row = await db
        .selectFrom("jobs")
        .select("cancel_requested")
        .where("id", "=", lease.jobId)
        .where("lease_token", "=", lease.token)
        .executeTakeFirst();
      return expectHeld(row, lease).cancel_requested;
    },

    /** Gives a waiting job what it waits for. */
    async giveInput(id: JobId, input: Sealed): Promise<JobRow | undefined> {
      const row = await db
        .updateTable("jobs")
        .set({ sealed_input: json(input), state: "queued", run_at: now, enqueued_at: now })
        .where("id", "=", id)
        .where("state", "=", "waiting_for_input")
        .returning(columns)
        .executeTakeFirst();
      if (!row) return undefined;
      // What an earlier input was looked for in vain says nothing about this one.
      await db
        .updateTable("saga_steps")
        .set({ unsure_since: null })
        .where("job_id", "=", id)
        .where("status", "=", "started")
        .execute();
      return row;
    },

    /** The newest provision or rotation that makes or made this key. */
    async findMaker(keyId: KeyId): Promise<JobRow | undefined> {
      return db
        .selectFrom("jobs")
        .select(columns)
        .where("key_id", "=", keyId)
        .where("kind", "in", ["provision", "rotate"])
        .orderBy("id", "desc")
        .executeTakeFirst();
    },

    async newestOfKey(keyId: KeyId): Promise<JobId | null> {
      const row = await db
        .selectFrom("jobs")
        .select("id")
        .where("key_id", "=", keyId)
        .orderBy("id", "desc")
        .limit(1)
        .executeTakeFirst();
      return row?.id ?? null;
    },

    /** How far the children of a batch are. */
    async childCounts(parentId: JobId): Promise<{ total: number; succeeded: number; failed: number }> {
      const row = await db
        .selectFrom("jobs")
        .select([
          sql<number>`count(*)`.as("total"),
          // A key that was still being made is as good as revoked when its making was stopped.
          sql<number>`count(*) filter (where case when kind = 'revoke' then state = 'succeeded'
            else state in ('failed', 'cancelled') end)`.as("succeeded"),
          sql<number>`count(*) filter (where case when kind = 'revoke' then state in ('failed', 'cancelled')
            else state = 'succeeded' end)`.as("failed"),
        ])
        .where("parent_id", "=", parentId)
        .executeTakeFirstOrThrow();
      return row;
    },

    /** How far some batches are, with all that is in batches which they joined. Batches without children are left out. */
    async batchProgress(ids: readonly JobId[]) {
      const { rows } = await sql<{ root: JobId; total: number; succeeded: number; failed: number }>`
        with recursive tree (root, id, kind, state, written_off_at) as (
          select parent_id, id, kind, state, written_off_at from jobs where parent_id = any(${[...ids]}::text[])
          union all
          select tree.root, jobs.id, jobs.kind, jobs.state, jobs.written_off_at
          from tree join jobs on jobs.parent_id = tree.id where tree.kind = 'batch_revoke')
        select root, count(*) as total,
          count(*) filter (where ${endedWell}) as succeeded,
          count(*) filter (where not ${endedWell}
            and (state in ('succeeded', 'failed', 'cancelled') or written_off_at is not null)) as failed
        from tree where kind <> 'batch_revoke' group by root`.execute(db);
      return new Map(rows.map(({ root, ...counts }) => [root, counts]));
    },

    /**
     * Jobs that belong to an earlier, unfinished batch already bring that batch along: it becomes part of this one,
     * which therefore ends only when they have ended.
     */
    async joinBatchesOf(ids: readonly JobId[], parentId: JobId): Promise<void> {
      await sql`
        with recursive up (id) as (
          select parent_id from jobs where id = any(${[...ids]}::text[]) and parent_id is not null
          union
          select jobs.parent_id from up join jobs on jobs.id = up.id where jobs.parent_id is not null)
        update jobs set parent_id = ${parentId}
        where id in (select id from up) and id <> ${parentId} and parent_id is null and kind = 'batch_revoke'
          and state = 'running'`.execute(db);
    },

    /** Ends the batches whose children have all ended; returns those that it ended. */
    async finishBatches(only?: JobId): Promise<JobRow[]> {
      let update = db
        .updateTable("jobs")
        .set({ state: "succeeded", finished_at: now })
        .where("kind", "=", "batch_revoke")
        .where("state", "=", "running")
        .where((where) =>
          where.not(
            where.exists(
              where
                .selectFrom("jobs as child")
                .select("child.id")
                .whereRef("child.parent_id", "=", "jobs.id")
                .where("child.state", "not in", ["succeeded", "failed", "cancelled"])
                // What was written off is not waited for; the batch shows it as failed.
                .where("child.written_off_at", "is", null),
            ),
          ),
        );
      if (only) update = update.where("id", "=", only);
      return update.returning(columns).execute();
    },

    /** Puts what waits for a vendor's credential back to work; returns the rows to enqueue. */
    async wakeVendor(vendor: VendorId): Promise<JobRow[]> {
      return db
        .updateTable("jobs")
        .set({ run_at: now, enqueued_at: now })
        .where("vendor", "=", vendor)
        .where("written_off_at", "is", null)
        .where("state", "in", ["waiting_for_vendor", "needs_attention", "compensating", "queued"])
        .where("run_at", ">", now)
        .returning(columns)
        .execute();
    },

    /**
     * Due jobs that the queue may not know: never added, lost with the queue, or held by a worker that died. Marks them
     * as added, so that each is offered again only after a while.
     */
    async takeForQueue(limit: number, againAfterSeconds: number) {
      const due = db
        .selectFrom("jobs")
        .select("id")
        .where("state", "in", workable)
        .where("vendor", "is not", null)
        .where("written_off_at", "is", null)
        .where("run_at", "<=", now)
        .where((where) => where.or([where("lease_until", "is", null), where("lease_until", "<=", now)]))
        .where((where) =>
          where.or([where("enqueued_at", "is", null), where("enqueued_at", "<=", nowPlus(-againAfterSeconds))]),
        )
        // A pile of expiries, offered anew after a lost queue, must not stand before a person's revoke.
        .orderBy("priority")
        .orderBy("run_at")
        .limit(limit)
        .forUpdate()
        .skipLocked();
      return db
        .updateTable("jobs")
        .set({ enqueued_at: now })
        .where("id", "in", due)
        .returning(["id", "vendor", "priority"])
        .execute();
    },

    /** Jobs whose key nobody took in time. Not locked: lock key and job, in this order, and look again. */
    async listUnclaimed(limit: number): Promise<JobRow[]> {
      return db
        .selectFrom("jobs")
        .select(columns)
        .where("state", "=", "succeeded")
        .where("claimed_at", "is", null)
        .where("claim_until", "<=", now)
        .orderBy("claim_until")
        .limit(limit)
        .execute();
    },

    /** So that an unclaimed key is dealt with once. False when it was taken, or dealt with, meanwhile. */
    async closeClaim(id: JobId): Promise<boolean> {
      const row = await db
        .updateTable("jobs")
        .set({ claim_until: null })
        .where("id", "=", id)
        .where("state", "=", "succeeded")
        .where("claimed_at", "is", null)
        .where("claim_until", "<=", now)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Waiting jobs whose time is over (Anthropic keys that nobody brought), asked to stop. */
    async cancelOverdueInputs(limit: number): Promise<JobRow[]> {
      const due = db
        .selectFrom("jobs")
        .select("id")
        .where("state", "=", "waiting_for_input")
        .where("run_at", "<=", now)
        .limit(limit)
        .forUpdate()
        .skipLocked();
      return db
        .updateTable("jobs")
        .set({
          cancel_requested: true,
          state: "queued",
          enqueued_at: now,
          error: json({
            code: "job.input_required",
            title: "The job waits for a person",
            detail: "Nobody gave the job what it waited for in time.",
          }),
        })
        .where("id", "in", due)
        .returning(columns)
        .execute();
    },

    /** How many keys of a vendor are being made, counted up to a bound. */
    async countMaking(vendor: VendorId, upTo: number): Promise<number> {
      const some = db
        .selectFrom("jobs")
        .select("id")
        .where("vendor", "=", vendor)
        .where("state", "in", workable)
        .where("kind", "in", ["provision", "rotate"])
        .limit(upTo)
        .as("some");
      const row = await db.selectFrom(some).select(sql<number>`count(*)`.as("n")).executeTakeFirstOrThrow();
      return row.n;
    },

    async countWaitingForPeople(): Promise<number> {
      const row = await db
        .selectFrom("jobs")
        .select(sql<number>`count(*)`.as("n"))
        .where("state", "in", ["waiting_for_input", "needs_attention"])
        .executeTakeFirstOrThrow();
      return row.n;
    },
  };
}
