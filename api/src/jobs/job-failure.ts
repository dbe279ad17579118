import { type ProblemCode, problems } from "@keygate/shared/contracts/problems";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";

const isProblemCode = (code: string | undefined): code is ProblemCode =>
  code !== undefined && Object.hasOwn(problems, code);

/** Whether the job came to nothing, or is being undone with difficulty. */
export const hasFailed = ({ state }: Pick<JobRow, "state">): boolean =>
  state === "failed" || state === "cancelled" || state === "needs_attention";

const leftBehind =
  "Not everything that was made on the way could be removed at the vendor yet; KeyGate goes on undoing it, and the job shows what is left.";

/** The problem that a failed job is answered with: its reason in the vendor's words, under its own code. */
export function jobFailure(job: JobRow): KeyGateError {
  const fallback = job.state === "cancelled" ? "job.cancelled" : "job.failed";
  const code = isProblemCode(job.error?.code) ? job.error.code : fallback;
  const reason = job.error?.detail || problems[code].title;
  return new KeyGateError(code, {
    detail: job.state === "needs_attention" ? `${reason} ${leftBehind}` : reason,
    facts: { jobId: job.id },
  });
}
