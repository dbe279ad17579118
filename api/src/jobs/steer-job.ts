import type { JobId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "./enqueue.ts";
import { findJob } from "./wait-for-job.ts";

const steerings = {
  retry: { change: "retryNow", refusal: "job.not_retryable" },
  cancel: { change: "requestCancel", refusal: "job.not_cancellable" },
} as const;

/**
 * A person's hand on a job: run it again now, or stop it and undo what it made.
 *
 * @throws job.not_found, job.not_retryable, job.not_cancellable.
 */
export async function steerJob(
  deps: ApiDeps,
  how: keyof typeof steerings,
  jobId: JobId,
  actor: Actor,
): Promise<JobRow> {
  const { change, refusal } = steerings[how];
  const seen = await findJob(deps, jobId);
  const job = await deps.db.transaction().execute(async (tx) => {
    const steered = await jobRows(tx)[change](jobId);
    if (!steered) throw new KeyGateError(refusal, { detail: `The ${seen.kind} job is ${seen.state}.` });
    await writeAudit(tx, {
      action: `job.${how}`,
      actor,
      resourceType: "job",
      resourceId: jobId,
      details: { outcome: "requested", kind: steered.kind, key_id: steered.key_id, vendor: steered.vendor },
    });
    return steered;
  });
  await enqueueJobs(deps, [job]);
  return job;
}
