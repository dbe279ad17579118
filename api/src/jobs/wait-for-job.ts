import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal } from "@keygate/shared/contracts/jobs";
import { findJobRow, type JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import type { JobGlance } from "./job-watcher.ts";

/** What a caller brings along who waits for a job. */
export interface Patience {
  waitSeconds: number;
  /** Aborted when the client has gone. */
  signal: AbortSignal;
  /** Whether whoever waits may still have what they wait for; absent for who holds nothing but a claim token. */
  stillHolds?: (() => Promise<boolean>) | undefined;
}

/** The job ended, or nothing will happen until a person does something: waiting on would be in vain. */
export const isAtRest = ({ state }: Pick<JobGlance, "state">): boolean =>
  isFinal(state) || state === "needs_attention" || state === "waiting_for_input";

/** The job has ended, whatever its end. */
export const hasEnded = ({ state }: Pick<JobGlance, "state">): boolean => isFinal(state);

/** The row of a job. @throws job.not_found */
export async function findJob(deps: Pick<ApiDeps, "db">, id: JobId): Promise<JobRow> {
  const job = await findJobRow(deps.db)(id);
  if (!job) throw new KeyGateError("job.not_found", { detail: `There is no job ${id}.` });
  return job;
}

/** Waits until `until` holds, the time is over or the client has gone; then answers with the job as it is. */
export async function waitForJob(
  deps: Pick<ApiDeps, "db" | "jobWatcher">,
  id: JobId,
  until: (job: JobGlance) => boolean,
  { waitSeconds, signal }: Patience,
): Promise<JobRow> {
  if (waitSeconds > 0) await deps.jobWatcher.waitFor(id, until, waitSeconds * 1000, signal);
  return findJob(deps, id);
}
