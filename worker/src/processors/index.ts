import { randomUUID } from "node:crypto";
import type { JobKind } from "@keygate/shared/contracts/jobs";
import { priorities } from "@keygate/shared/contracts/jobs";
import { delayInQueueMaxMs, type JobRow, jobRows, type Lease, leaseJob } from "@keygate/shared/db/jobs";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { EntryHandler } from "@keygate/shared/queue";
import type { ActiveSpan, SpanOptions } from "@keygate/shared/tracer";
import { traced } from "@keygate/shared/tracing";
import type { WorkerDeps } from "../deps.ts";
import { createLeaseWatch, type LeaseWatch, type Moment, thisMoment, underLease } from "../lease-watch.ts";
import { observeTry } from "../metrics.ts";
import { checkVendor } from "./check-vendor.ts";
import { deliverKey } from "./deliver-key.ts";
import { dismantle } from "./dismantle.ts";
import type { JobContext } from "./job-context.ts";
import { type EntryOutcome, settleFailure } from "./outcome.ts";
import { reconcile } from "./reconcile.ts";
import { removeOrphan } from "./remove-orphan.ts";
import { revokeKey } from "./revoke-key.ts";
import { createSlots } from "./slots.ts";

type Handler = (ctx: JobContext) => Promise<void>;

/** A kind without a handler does not compile. */
const handlers = {
  provision: deliverKey,
  rotate: deliverKey,
  revoke: revokeKey,
  dismantle,
  check: checkVendor,
  reconcile,
  remove_orphan: removeOrphan,
  // Its children do the work, and the last of them ends it.
  batch_revoke: async () => {},
} as const satisfies Record<JobKind, Handler>;

/** Entries of this priority or better are revocations and checks: they may use every place. */
const urgentPriority = 2;
/** How long an entry holds its place while it waits for one of the places of its sort. */
const slotWaitMs = 250;
/** Debt is tried for weeks: what shows traces gives up long before. */
const traceLengthMaxMs = 3_600_000;

/** Takes queue entries: leases the job's row, works it, and writes down what came of it. */
export function createEntryHandler(deps: WorkerDeps): EntryHandler {
  // A quarter of the places is kept free of everything slow, so that a revocation never waits behind provisioning.
  const slots = createSlots(Math.max(1, Math.floor(deps.config.worker.concurrency * 0.75)));
  // What nobody waits for gets a quarter: very many expiries at once would share the vendor and this process with a
  // person's revocation, and make each of its calls slower.
  const backgroundSlots = createSlots(Math.max(1, Math.floor(deps.config.worker.concurrency * 0.25)));

  return async ({ queue, jobId, priority }, putOff) => {
    const isBackground = priority >= priorities.expire;
    const places = isBackground ? backgroundSlots : slots;
    const release = priority > urgentPriority ? await places.take(queue, slotWaitMs) : () => {};
    if (!release) throw await putOff((isBackground ? 1_000 : 100) * (1 + Math.random()));
    let outcome: EntryOutcome;
    try {
      outcome = await workJob(deps, jobId);
    } finally {
      release();
    }
    // What is due later than that is left to the row: the sweep offers it again when its time has come.
    if (outcome !== "done" && outcome.againInMs <= delayInQueueMaxMs) throw await putOff(outcome.againInMs);
  };
}

/** One try at one job. Runs at most as long as its lease can be prolonged; a lost lease ends its writes. */
export async function workJob(deps: WorkerDeps, jobId: Parameters<EntryHandler>[0]["jobId"]): Promise<EntryOutcome> {
  const { leaseSeconds } = deps.config.worker;
  const jobs = jobRows(deps.db);
  const token = randomUUID();
  const asked = thisMoment();
  const job = await leaseJob(deps.db)({ jobId, token, seconds: leaseSeconds });
  if (!job) {
    const dueInMs = await jobs.dueInMs(jobId);
    return dueInMs === null ? "done" : { againInMs: dueInMs + 50 };
  }
  return traced(`job ${job.kind}`, traceOf(job), (span) => workLeased(deps, job, { jobId, token }, asked, span));
}

/** A try goes on with the trace of whoever asked; one that comes hours later begins its own and points to that one. */
function traceOf(job: JobRow): SpanOptions {
  const ageMs = Date.now() - job.created_at.getTime();
  const facts = {
    "keygate.job_id": job.id,
    "keygate.vendor": job.vendor,
    "keygate.attempt": job.attempts + 1,
    "messaging.system": "bullmq",
  };
  const isOneTrace = ageMs < traceLengthMaxMs;
  return { kind: "consumer", facts, parent: isOneTrace ? job.traceparent : null, link: job.traceparent };
}

async function workLeased(
  deps: WorkerDeps,
  job: JobRow,
  lease: Lease,
  asked: Moment,
  span: ActiveSpan,
): Promise<EntryOutcome> {
  const { jobId } = lease;
  const { leaseSeconds } = deps.config.worker;
  const watch = createLeaseWatch(leaseSeconds * 1000, asked);
  const stopRenewing = keepRenewing(deps, lease, leaseSeconds, watch);
  const ctx: JobContext = { deps, job, lease };
  const begun = Date.now();
  try {
    await underLease(watch, () => handlers[job.kind](ctx));
    if (job.kind !== "check" && job.vendor) await deps.vendors.reportHealthy(job.vendor);
    observeTry(job, "ended", Date.now() - begun);
    deps.log.info({ jobId, kind: job.kind, vendor: job.vendor, durationMs: Date.now() - begun }, "job.ended");
    return "done";
  } catch (error) {
    observeTry(job, "failed", Date.now() - begun);
    span.fail(error instanceof KeyGateError ? error.code : error instanceof Error ? error.name : "unknown");
    const outcome = await settleFailure(ctx, error);
    return outcome === "compensate" ? await underLease(watch, () => compensateNow(ctx)) : outcome;
  } finally {
    stopRenewing();
  }
}

/** The job was just given up: what it made is undone in the same try, and later tries go on from there. */
async function compensateNow(ctx: JobContext): Promise<EntryOutcome> {
  const job = must(await jobRows(ctx.deps.db).find(ctx.job.id), "the job's row");
  const undoing: JobContext = { ...ctx, job };
  try {
    await handlers[job.kind](undoing);
    return "done";
  } catch (error) {
    const outcome = await settleFailure(undoing, error);
    return outcome === "compensate" ? { againInMs: 1_000 } : outcome;
  }
}

function keepRenewing(deps: WorkerDeps, lease: Lease, leaseSeconds: number, watch: LeaseWatch): () => void {
  const timer = setInterval(
    () => {
      const asked = thisMoment();
      jobRows(deps.db)
        .renew(lease, leaseSeconds)
        .then((isHeld) => isHeld && watch.heldSince(asked))
        .catch((error: unknown) => deps.log.warn({ error, jobId: lease.jobId }, "job.renew_failed"));
    },
    (leaseSeconds * 1000) / 3,
  );
  return () => clearInterval(timer);
}
