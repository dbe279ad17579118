import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "./enqueue.ts";
import { isReceiverOf, type Receiver } from "./receiver.ts";
import { claimGone } from "./take-key.ts";

/** Runs the job again, so that the worker removes the key that nobody has and makes another. Undefined: too late. */
async function reopen(
  tx: Tx,
  job: JobRow,
  key: KeyRow | undefined,
  actor: Actor,
  reason: string,
): Promise<JobRow | undefined> {
  if (key?.status !== "active") return undefined;
  const reopened = await jobRows(tx).reopenForDelivery(job.id);
  if (!reopened) return undefined;
  await writeAudit(tx, {
    action: "key.remake",
    actor,
    resourceType: "key",
    resourceId: key.id,
    details: { outcome: "requested", reason, job_id: job.id, vendor: key.vendor },
  });
  return reopened;
}

/**
 * The sealed key was lost before anybody took it: has it made anew.
 *
 * @throws claim.gone when it was taken meanwhile, its time is over, or it was revoked.
 */
export async function remakeLostKey(deps: ApiDeps, job: JobRow, actor: Actor): Promise<void> {
  const reopened = await deps.db.transaction().execute(async (tx) => {
    const key = await keyRows(tx).lock(must(job.key_id, "key_id of a job that delivers"));
    return reopen(tx, job, key, actor, "the sealed key was lost");
  });
  if (!reopened) throw claimGone("The key was taken already, its time is over, or it has been revoked.");
  deps.log.warn({ jobId: job.id, keyId: job.key_id }, "key.remake_requested");
  await enqueueJobs(deps, [reopened]);
}

/**
 * Whoever asked for the key asks again with nothing in hand: seals it for a new receiver from now on. A key that is
 * sealed for the earlier one already is made anew, since nobody can open that. Nothing happens when it was taken.
 */
export async function redirectDelivery(deps: ApiDeps, asked: JobRow, receiver: Receiver, actor: Actor): Promise<void> {
  const reopened = await deps.db.transaction().execute(async (tx) => {
    const key = await keyRows(tx).lock(must(asked.key_id, "key_id of a job that delivers"));
    const job = await jobRows(tx).lock(asked.id);
    if (!job || job.claimed_at || job.state === "failed" || job.state === "cancelled") return undefined;
    if (isReceiverOf(job, receiver)) return undefined;
    await jobRows(tx).setReceiver(job.id, receiver.key, receiver.privateHalf === null);
    await writeAudit(tx, {
      action: "key.redirect",
      actor,
      resourceType: "key",
      resourceId: asked.key_id ?? asked.id,
      details: { outcome: "succeeded", reason: "its requester asked for it again", job_id: job.id },
    });
    return job.state === "succeeded" ? reopen(tx, job, key, actor, "it was sealed for an earlier receiver") : undefined;
  });
  if (reopened) await enqueueJobs(deps, [reopened]);
}
