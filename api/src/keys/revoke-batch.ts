import type { JobId } from "@keygate/shared/contracts/ids";
import { priorities } from "@keygate/shared/contracts/jobs";
import type { BatchResult, BatchRevokeRequest } from "@keygate/shared/contracts/keys";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { idempotencyRows } from "@keygate/shared/db/idempotency";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { requestRevocations } from "@keygate/shared/revocation";
import type { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { progressOf } from "../jobs/job-view.ts";
import { hasEnded, waitForJob } from "../jobs/wait-for-job.ts";
import type { RevocationCaller } from "./revoke-key.ts";

// One statement holds at most 65,535 values, and a job's row has 17 of them.
const keysPerStatement = 1_000;

/**
 * Asks for the end of many keys, which the caller has locked, as one job with progress, ahead of everything else.
 * Revocations that an earlier batch began are part of this one too; without any key it is done at once.
 *
 * @returns the batch's job, and what to put into the queue after the commit.
 */
export async function requestBatchRevocation(
  tx: Tx,
  keys: readonly KeyRow[],
  { actor, reason, filter }: { actor: Actor; reason: string; filter: Record<string, unknown> },
): Promise<{ batch: JobRow; toQueue: JobRow[] }> {
  const rows = jobRows(tx);
  const input = { keysTotal: keys.length };
  const [inserted] = await rows.insert([
    { kind: "batch_revoke", input, vendor: null, keyId: null, actor, state: "running" },
  ]);
  const batch = must(inserted, "the inserted batch");
  const toQueue: JobRow[] = [];
  for (let start = 0; start < keys.length; start += keysPerStatement) {
    const request = { actor, reason, ending: "revoked", priority: priorities.panic, parentId: batch.id } as const;
    toQueue.push(...(await requestRevocations(tx, keys.slice(start, start + keysPerStatement), request)));
  }
  const ids = toQueue.map((job) => job.id);
  await rows.joinBatchesOf(ids, batch.id);
  await writeAudit(tx, {
    action: "key.revoke",
    actor,
    resourceType: "job",
    resourceId: batch.id,
    details: { outcome: "requested", reason, filter, keys_total: keys.length },
  });
  const [finished] = await rows.finishBatches(batch.id);
  return { batch: finished ?? batch, toQueue };
}

/** The leak button: revokes every live key that the filter names, and waits until the vendors confirmed. */
export async function revokeBatch(
  deps: ApiDeps,
  filter: BatchRevokeRequest,
  caller: RevocationCaller,
): Promise<JobRow> {
  const id = caller.idempotency?.existingJobId ?? (await requestByFilter(deps, filter, caller));
  return waitForJob(deps, id, hasEnded, caller);
}

async function requestByFilter(deps: ApiDeps, filter: BatchRevokeRequest, caller: RevocationCaller): Promise<JobId> {
  const { actor, idempotency } = caller;
  const { batch, toQueue } = await deps.db.transaction().execute(async (tx) => {
    const keys = await keyRows(tx).lockLive(filter);
    // Each key has an audit row of its own; thousands of ids need no second place.
    const { key_ids: ids, ...conditions } = filter;
    const told = ids ? { ...conditions, key_ids: ids.length } : conditions;
    const requested = await requestBatchRevocation(tx, keys, { actor, reason: "revoked on request", filter: told });
    if (idempotency) await idempotencyRows(tx).linkJob(idempotency.actor, idempotency.key, requested.batch.id);
    return requested;
  });
  deps.log.info({ jobId: batch.id, keys: toQueue.length }, "key.batch_revoke_requested");
  await enqueueJobs(deps, toQueue);
  return batch.id;
}

/** The batch as its caller sees it. */
export async function batchResult(deps: ApiDeps, batch: JobRow): Promise<z.infer<typeof BatchResult>> {
  const { total, succeeded, failed } = must((await progressOf(deps.db, [batch])).get(batch.id), "progress of a batch");
  return { job_id: batch.id, status: batch.state, keys_total: total, keys_revoked: succeeded, keys_failed: failed };
}
