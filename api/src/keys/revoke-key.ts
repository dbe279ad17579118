import type { JobId, KeyId } from "@keygate/shared/contracts/ids";
import { type KeyStatus, liveKeyStatuses } from "@keygate/shared/contracts/keys";
import type { Actor } from "@keygate/shared/db/audit";
import { idempotencyRows } from "@keygate/shared/db/idempotency";
import type { JobRow } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { requestRevocations } from "@keygate/shared/revocation";
import type { ApiDeps } from "../deps.ts";
import type { Idempotency } from "../env.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { hasEnded, type Patience, waitForJob } from "../jobs/wait-for-job.ts";
import { keyNotFound } from "./rotate-key.ts";

/** How far a revocation came while its caller waited: confirmed at the vendor, or still under way. */
export type Revocation = { outcome: "revoked"; jobId: JobId | null } | { outcome: "under_way"; job: JobRow };

export interface RevocationCaller extends Patience {
  actor: Actor;
  idempotency: Idempotency | null;
}

const isLive = (status: KeyStatus) => (liveKeyStatuses as readonly KeyStatus[]).includes(status);

/**
 * Revokes a key and waits until the vendor confirmed it. Repeatable: a key that has ended is revoked already, and a
 * revocation that is under way is joined.
 *
 * @throws key.not_found
 */
export async function revokeKey(deps: ApiDeps, id: KeyId, caller: RevocationCaller): Promise<Revocation> {
  const endsAt = performance.now() + caller.waitSeconds * 1000;
  let jobId = caller.idempotency?.existingJobId ?? (await requestRevocation(deps, id, caller));
  while (jobId) {
    const waitSeconds = (endsAt - performance.now()) / 1000;
    const job = await waitForJob(deps, jobId, hasEnded, { waitSeconds, signal: caller.signal });
    const key = await keyRows(deps.db).find(id);
    if (!key || !isLive(key.status)) return { outcome: "revoked", jobId: job.id };
    // Live although its job has ended: the key was just being made, and its making went through before it was stopped.
    const next = hasEnded(job) ? await requestRevocation(deps, id, caller) : jobId;
    if (next === jobId) return { outcome: "under_way", job };
    jobId = next;
  }
  return { outcome: "revoked", jobId: null };
}

/** Null when the key has ended. */
async function requestRevocation(deps: ApiDeps, id: KeyId, caller: RevocationCaller): Promise<JobId | null> {
  const { actor, idempotency } = caller;
  const job = await deps.db.transaction().execute(async (tx) => {
    const key = await keyRows(tx).lock(id);
    if (!key) throw keyNotFound(id);
    if (!isLive(key.status)) return null;
    const reason = "revoked on request";
    const [requested] = await requestRevocations(tx, [key], { actor, reason, ending: "revoked" });
    const made = must(requested, "the job of a revocation");
    if (idempotency) await idempotencyRows(tx).linkJob(idempotency.actor, idempotency.key, made.id);
    return made;
  });
  if (!job) return null;
  deps.log.info({ jobId: job.id, keyId: id, vendor: job.vendor }, "key.revoke_requested");
  await enqueueJobs(deps, [job]);
  return job.id;
}
