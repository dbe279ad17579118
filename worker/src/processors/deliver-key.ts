import { thumbprintOf } from "@keygate/shared/crypto/sealing";
import { writeAudit } from "@keygate/shared/db/audit";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyMoments } from "@keygate/shared/db/key-moments";
import { type IssuedKey, type KeyRow, keyRows } from "@keygate/shared/db/keys";
import type { JobError } from "@keygate/shared/db/schema";
import { KeyGateError, must } from "@keygate/shared/errors";
import { observeStep } from "../metrics.ts";
import { runSteps, undoSteps } from "../saga/run.ts";
import type { SagaState } from "../saga/step.ts";
import { actorOf } from "./actor.ts";
import { dismantleIfUnused } from "./dismantle.ts";
import { type JobContext, openSagaWork, type SagaWork } from "./job-context.ts";

/** The caller named another receiver, or the sealed key was lost: the key has to be made and sealed anew. */
class ReceiverChanged extends Error {}

const deliveriesMax = 5;

/**
 * Works a provision or a rotation: runs its saga and makes the key active, or, once the job is being compensated,
 * undoes what was made. Repeatable at any point.
 */
export async function deliverKey(ctx: JobContext): Promise<void> {
  const work = await openSagaWork(ctx, true);
  if (ctx.job.state === "compensating" || ctx.job.state === "needs_attention") {
    await compensate(ctx, work);
    return;
  }
  for (let round = 0; ; round++) {
    await reopenLostDelivery(ctx, work);
    const state = await runForward(ctx, work);
    try {
      await activate(ctx, work, state);
      return;
    } catch (error) {
      if (!(error instanceof ReceiverChanged) || round >= deliveriesMax) throw error;
    }
  }
}

const stepsOf = ({ job }: JobContext, { connection }: SagaWork) =>
  job.kind === "rotate" ? connection.vendor.rotate : connection.vendor.provision;

/** The steps that hand the key over run again when what they sealed is not what the receiver can take. */
async function reopenLostDelivery(ctx: JobContext, work: SagaWork): Promise<void> {
  const steps = stepsOf(ctx, work);
  const first = steps.findIndex((step) => step.delivers);
  const delivering = steps[first];
  if (!delivering || work.journal.statusOf(delivering.name) !== "done") return;
  const job = must(await jobRows(ctx.deps.db).find(ctx.job.id), "the job's row");
  const receiver = must(job.delivery_key, "the receiver's public key");
  if (job.sealed_to === thumbprintOf(receiver)) return;
  await work.journal.reopen(steps.slice(first).map((step) => step.name));
}

async function runForward(ctx: JobContext, work: SagaWork): Promise<SagaState> {
  const { deps, job, lease } = ctx;
  if (job.cancel_requested) throw await cancelled(ctx, work);
  requireNotEnded(work.key);
  const steps = stepsOf(ctx, work);
  // A successor starts from what its predecessor has at the vendor; everything else starts from nothing.
  const initial = job.kind === "rotate" ? predecessorState(work) : {};
  return runSteps(steps, work.saga, initial, work.journal, {
    settleMs: work.connection.settleMs,
    async checkpoint(step) {
      work.enter(step.name);
      // The last moment to stop before there is a key.
      if (!step.delivers) return;
      // The write that noted the step a moment ago told it already.
      const noted = work.journal.wishes();
      if (noted ? noted.cancel_requested : await jobRows(deps.db).cancelRequested(lease)) {
        throw await cancelled(ctx, work);
      }
    },
    onStep: (step, event, durationMs) => {
      observeStep(job.vendor, step, event, durationMs);
      deps.log.debug({ jobId: job.id, vendor: job.vendor, step, durationMs }, `saga.step_${event}`);
    },
  });
}

const predecessorState = (work: SagaWork): SagaState => {
  const { issued: _issued, ...resources } = work.key.vendor_ref as SagaState;
  return resources;
};

/** Why the job is stopped: its key was revoked, nobody gave it what it waited for, or somebody stopped the job itself. */
async function cancelled({ deps, job }: JobContext, { key: { id } }: SagaWork): Promise<KeyGateError> {
  const key = await keyRows(deps.db).find(id);
  return stoppedFor(key?.status_reason ?? null, job.error);
}

/** A key that came to its end while it was being delivered anew must not come back to life. @throws job.cancelled */
function requireNotEnded({ status }: Pick<KeyRow, "status">): void {
  if (status === "pending" || status === "active") return;
  throw new KeyGateError("job.cancelled", { detail: `The key is ${status} already.` });
}

/** @param error what the row says: why its waiting ended, or what was wrong with some earlier try, which is no reason. */
function stoppedFor(keysReason: string | null, error: JobError | null): KeyGateError {
  const outOfTime = error?.code === "job.input_required" ? error.detail : null;
  const detail = keysReason
    ? `Stopped before there was a key: ${keysReason}.`
    : (outOfTime ?? "Somebody asked for the job to stop.");
  return new KeyGateError("job.cancelled", { detail });
}

/** Key row first, then job row: the order in which everybody locks them. */
async function activate(ctx: JobContext, work: SagaWork, state: SagaState): Promise<void> {
  const { deps, job, lease } = ctx;
  const { connection, saga } = work;
  const issued = must(state.issued, "what was noted about the key");
  const described = connection.vendor.describe(state, saga.key, connection.client);
  if (await issueAtOnce(ctx, work, { ...issued, ...described })) return;
  await work.journal.flush();
  await deps.db.transaction().execute(async (tx) => {
    const keys = keyRows(tx);
    const locked = must(await keys.lock(work.key.id), "the key's row");
    const current = must(await jobRows(tx).lock(job.id), "the job's row");
    if (current.lease_token !== lease.token) throw new KeyGateError("job.lease_lost");
    if (current.cancel_requested) throw stoppedFor(locked.status_reason, current.error);
    if (current.sealed_to !== thumbprintOf(must(current.delivery_key, "the receiver's public key"))) {
      throw new ReceiverChanged();
    }
    requireNotEnded(locked);
    await keys.markActive(work.key.id, { ...issued, ...described });
    if (job.kind === "rotate" && locked.replaces_id) await keys.markRetiring(locked.replaces_id, locked.id);
    await jobRows(tx).finish(lease, {
      state: "succeeded",
      error: null,
      claimTtlSeconds: deps.config.handoff.ttlSeconds,
    });
    await writeAudit(tx, {
      action: job.kind === "rotate" ? "key.rotate" : "key.provision",
      actor: actorOf(job),
      resourceType: "key",
      resourceId: work.key.id,
      details: {
        ...issuedDetails(ctx, work, issued.hint),
        ...(locked.replaces_id ? { replaces: locked.replaces_id } : {}),
      },
    });
  });
}

const issuedDetails = ({ job }: JobContext, { key }: SagaWork, hint: string) => ({
  outcome: "succeeded" as const,
  job_id: job.id,
  vendor: key.vendor,
  developer_id: key.developer_id,
  key_hint: hint,
  project_name: key.project_name,
});

/** A provision's end in one statement, its last step included. False when anything is in the way; nothing is done then. */
async function issueAtOnce(ctx: JobContext, work: SagaWork, issued: IssuedKey): Promise<boolean> {
  const { deps, job, lease } = ctx;
  const receiver = work.journal.wishes()?.delivery_key;
  const lastStep = work.journal.unwritten();
  if (job.kind !== "provision" || !receiver || !lastStep || lastStep.sealedTo !== null) return false;
  return keyMoments.issue(deps.db)({
    lease,
    keyId: work.key.id,
    issued,
    receiver,
    sealedTo: thumbprintOf(receiver),
    claimTtlSeconds: deps.config.handoff.ttlSeconds,
    lastStep,
    audit: { actor: actorOf(job), details: issuedDetails(ctx, work, issued.hint) },
  });
}

async function compensate(ctx: JobContext, work: SagaWork): Promise<void> {
  const { deps, job, lease } = ctx;
  const steps = stepsOf(ctx, work);
  const initial = job.kind === "rotate" ? predecessorState(work) : {};
  await undoSteps(steps, work.saga, initial, work.journal, {
    settleMs: work.connection.settleMs,
    onStep: (step, event, durationMs) => {
      observeStep(job.vendor, step, event, durationMs);
      deps.log.debug({ jobId: job.id, vendor: job.vendor, step, durationMs }, `saga.step_${event}`);
    },
  });
  await deps.handoff.drop(job.id);
  const isCancelled = job.error?.code === "job.cancelled";
  const dismantling = await deps.db.transaction().execute(async (tx) => {
    const keys = keyRows(tx);
    const locked = must(await keys.lock(work.key.id), "the key's row");
    const reason = job.error?.detail ?? "The job failed.";
    if (locked.status === "pending" || locked.status === "active") await keys.markFailed(locked.id, reason);
    await jobRows(tx).finish(lease, { state: isCancelled ? "cancelled" : "failed", error: job.error });
    await writeAudit(tx, {
      action: job.kind === "rotate" ? "key.rotate" : "key.provision",
      actor: actorOf(job),
      resourceType: "key",
      resourceId: work.key.id,
      details: {
        outcome: "failed",
        job_id: job.id,
        vendor: work.key.vendor,
        developer_id: work.key.developer_id,
        cancelled: isCancelled,
        code: job.error?.code ?? null,
        reason,
      },
    });
    return job.kind === "rotate" ? dismantleIfUnused(tx, locked.lineage_id, actorOf(job)) : [];
  });
  await deps.enqueue(dismantling);
}
