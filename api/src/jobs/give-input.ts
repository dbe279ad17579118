import type { JobId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { jobInputContext } from "@keygate/shared/db/job-inputs";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "./enqueue.ts";
import { hasFailed, jobFailure } from "./job-failure.ts";
import { findJob, isAtRest, type Patience, waitForJob } from "./wait-for-job.ts";

/**
 * Gives a waiting job the key that a person made at the vendor, sealed, and waits for what the worker says about it.
 *
 * @throws job.not_found, job.not_waiting_for_input, job.input_refused (the job goes on waiting), what the job failed
 *   with.
 */
export async function giveInput(
  deps: ApiDeps,
  jobId: JobId,
  input: Secret,
  caller: Patience & { actor: Actor },
): Promise<JobRow> {
  const sealed = deps.keyring.seal(input, jobInputContext(jobId));
  await findJob(deps, jobId);
  const given = await deps.db.transaction().execute(async (tx) => {
    const job = await jobRows(tx).giveInput(jobId, sealed);
    if (!job) throw new KeyGateError("job.not_waiting_for_input");
    await writeAudit(tx, {
      action: "key.input",
      actor: caller.actor,
      resourceType: "key",
      resourceId: job.key_id ?? job.id,
      details: { outcome: "requested", job_id: job.id, vendor: job.vendor },
    });
    return job;
  });
  await enqueueJobs(deps, [given]);
  const job = await waitForJob(deps, jobId, isAtRest, caller);
  if (hasFailed(job)) throw jobFailure(job);
  // Given input puts the job back to work, so one that waits again has been looked at.
  if (job.state === "waiting_for_input" && job.error?.code === "job.input_refused") throw jobFailure(job);
  return job;
}
