import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal, type JobDetail, type JobView, jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import type { Db } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { sagaStepRows } from "@keygate/shared/db/saga-steps";

type Progress = NonNullable<JobView["progress"]>;

const iso = (at: Date | null) => at?.toISOString() ?? null;

function claimOf(job: JobRow, now: Date): JobView["claim"] {
  if (job.kind !== "provision" && job.kind !== "rotate") return null;
  const isOpen = job.state === "succeeded" && !job.claimed_at && job.claim_until !== null && job.claim_until > now;
  return { available: isOpen, until: isOpen ? iso(job.claim_until) : null, claimed_at: iso(job.claimed_at) };
}

/** When a worker takes it up again; null when that is now, never, or up to a person. */
function nextTryOf(job: JobRow, now: Date): string | null {
  return isFinal(job.state) || job.state === "waiting_for_input" || job.run_at <= now ? null : iso(job.run_at);
}

/** A job as the API shows it. `progress` is a batch's. */
export function jobView(job: JobRow, progress: Progress | null, now: Date): JobView {
  return {
    id: job.id,
    job_id: job.id,
    kind: job.kind,
    status: job.state,
    vendor: job.vendor,
    key_id: job.key_id,
    parent_id: job.parent_id,
    step: { name: job.step, number: job.step_number, of: job.step_total },
    attempts: job.attempts,
    error: job.error,
    waiting: job.waiting,
    claim: claimOf(job, now),
    progress,
    requested_by: job.requested_by,
    next_try_at: nextTryOf(job, now),
    created_at: job.created_at.toISOString(),
    started_at: iso(job.started_at),
    finished_at: iso(job.finished_at),
  };
}

/** How far the batches among some jobs are. */
export async function progressOf(db: Db, jobs: readonly JobRow[]): Promise<Map<JobId, Progress>> {
  const batches = jobs.filter((job) => job.kind === "batch_revoke");
  if (batches.length === 0) return new Map();
  const counts = await jobRows(db).batchProgress(batches.map((job) => job.id));
  return new Map(
    batches.map((job) => {
      const { total = 0, succeeded = 0, failed = 0 } = counts.get(job.id) ?? {};
      const { keysTotal } = jobSpecs.batch_revoke.input.parse(job.input);
      return [job.id, { total: Math.max(total, keysTotal), succeeded, failed }];
    }),
  );
}

/** The views of some jobs, with the progress of batches among them. */
export async function jobViews(db: Db, jobs: readonly JobRow[], now: Date): Promise<JobView[]> {
  const progress = await progressOf(db, jobs);
  return jobs.map((job) => jobView(job, progress.get(job.id) ?? null, now));
}

/** A job with its journal: steps that were begun, without what they made. */
export async function jobDetail(db: Db, job: JobRow, now: Date): Promise<JobDetail> {
  const [progress, steps] = await Promise.all([progressOf(db, [job]), sagaStepRows(db).list(job.id)]);
  return {
    ...jobView(job, progress.get(job.id) ?? null, now),
    steps: steps.map((step) => ({
      name: step.name,
      status: step.status,
      started_at: iso(step.started_at),
      finished_at: iso(step.finished_at),
    })),
  };
}
