import type { DeveloperId, JobId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { developerRows } from "@keygate/shared/db/developers";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { hasEnded, type Patience, waitForJob } from "../jobs/wait-for-job.ts";
import { requestBatchRevocation } from "../keys/revoke-batch.ts";

export interface Deactivation {
  /** Null when there was no key to revoke. */
  jobId: JobId | null;
  keysRevoked: number;
  /** Whether every key's revocation has ended. */
  isDone: boolean;
}

interface Begun {
  batchId: JobId | null;
  toQueue: JobRow[];
}

/** What an earlier deactivation began and has not ended yet is answered for, not begun again. */
async function findRunning(tx: Tx, keys: readonly KeyRow[]): Promise<Begun> {
  const revocations = await jobRows(tx).findRevocations(keys.map((key) => key.id));
  return { batchId: revocations.find((job) => job.parent_id)?.parent_id ?? null, toQueue: [] };
}

async function begin(tx: Tx, by: Actor, id: DeveloperId): Promise<Begun> {
  const developer = await developerRows(tx).lock(id);
  if (!developer) throw new KeyGateError("developer.not_found");
  const keys = await keyRows(tx).lockLive({ developer_id: id });
  if (!developer.is_active && keys.every((key) => key.status === "revoking")) return findRunning(tx, keys);
  await developerRows(tx).setActive(id, false);
  const reason = "the developer was deactivated";
  const requested =
    keys.length > 0
      ? await requestBatchRevocation(tx, keys, { actor: by, reason, filter: { developer_id: id } })
      : null;
  const batchId = requested?.batch.id ?? null;
  await writeAudit(tx, {
    action: "developer.deactivate",
    actor: by,
    resourceType: "developer",
    resourceId: id,
    details: { outcome: "succeeded", keys: keys.length, job_id: batchId },
  });
  return { batchId, toQueue: requested?.toQueue ?? [] };
}

/**
 * Deactivates a developer and revokes every live key of theirs at its vendor, ahead of everything else. Doing it twice
 * is fine. The revocations go on when the caller's patience ends.
 *
 * @throws developer.not_found
 */
export async function deactivateDeveloper(
  deps: ApiDeps,
  id: DeveloperId,
  caller: Patience & { actor: Actor },
): Promise<Deactivation> {
  const { batchId, toQueue } = await deps.db.transaction().execute((tx) => begin(tx, caller.actor, id));
  if (batchId === null) return { jobId: null, keysRevoked: 0, isDone: true };
  await enqueueJobs(deps, toQueue);
  const batch = await waitForJob(deps, batchId, hasEnded, caller);
  const progress = (await jobRows(deps.db).batchProgress([batchId])).get(batchId);
  return { jobId: batchId, keysRevoked: progress?.succeeded ?? 0, isDone: hasEnded(batch) };
}
