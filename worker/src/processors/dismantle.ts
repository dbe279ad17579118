import type { KeyId } from "@keygate/shared/contracts/ids";
import { liveKeyStatuses } from "@keygate/shared/contracts/keys";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { observeStep } from "../metrics.ts";
import { runSteps } from "../saga/run.ts";
import type { SagaState } from "../saga/step.ts";
import { actorOf } from "./actor.ts";
import { type JobContext, openSagaWork } from "./job-context.ts";

const isLive = (key: KeyRow) => liveKeyStatuses.some((status) => status === key.status);

/** The newest key of the lineage that had anything at the vendor knows what they shared. */
const lastWithResources = (lineage: readonly KeyRow[]) =>
  lineage.findLast((key) => Object.keys(key.vendor_ref).length > 0);

/**
 * Asks for the removal of what a lineage's keys shared at the vendor, when none of them lives any more. For the case
 * that the last key's end did not know that it was the last.
 *
 * @returns the job to enqueue after the commit, if one was needed.
 */
export async function dismantleIfUnused(tx: Tx, lineageId: KeyId, actor: Actor): Promise<JobRow[]> {
  const lineage = await keyRows(tx).lockLineage(lineageId);
  const key = lastWithResources(lineage);
  if (!key || lineage.some(isLive) || key.vendor_ref.sharesContainer === true) return [];
  return jobRows(tx).insert([
    { kind: "dismantle", input: { keyId: key.id }, vendor: key.vendor, keyId: key.id, actor },
  ]);
}

/** Works a dismantle job. A lineage that has a live key again is left alone. */
export async function dismantle(ctx: JobContext): Promise<void> {
  const { deps, job, lease } = ctx;
  const work = await openSagaWork(ctx);
  const lineage = await keyRows(deps.db).lineage(work.key.lineage_id);
  if (!lineage.some(isLive)) {
    const state = work.key.vendor_ref as SagaState;
    await runSteps(work.connection.vendor.dismantle, work.saga, state, work.journal, {
      settleMs: work.connection.settleMs,
      checkpoint: async (step) => work.enter(step.name),
      onStep: (step, event, durationMs) => observeStep(job.vendor, step, event, durationMs),
    });
  }
  await deps.db.transaction().execute(async (tx) => {
    await jobRows(tx).finish(lease, { state: "succeeded", error: null });
    await writeAudit(tx, {
      action: "key.dismantle",
      actor: actorOf(job),
      resourceType: "key",
      resourceId: work.key.id,
      details: { outcome: "succeeded", job_id: job.id, vendor: work.key.vendor, project_name: work.key.project_name },
    });
  });
}
