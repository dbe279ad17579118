import { setTimeout as sleep } from "node:timers/promises";
import type { JobKind } from "@keygate/shared/contracts/jobs";
import { jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import { jobRows } from "@keygate/shared/db/jobs";
import type { JobError } from "@keygate/shared/db/schema";
import { KeyGateError, kindOf, must } from "@keygate/shared/errors";
import { WaitForInput, WaitForVendor } from "../saga/wait.ts";
import type { JobContext } from "./job-context.ts";

/** What becomes of the queue entry: gone, or back after some time. */
export type EntryOutcome = { againInMs: number } | "done";

const backoffBaseMs = 500;
const backoffMaxMs = 30_000;
const credentialsFirstRetryMs = 3_000;
const credentialsRetryMs = 60_000;
/** A debt that fast tries did not settle is tried slowly, without end. */
const slowRetryMs = 5 * 60_000;
const fastTriesMax = 10;
const undoTriesBeforeAttention = 5;

/** Exponential backoff with full jitter, in milliseconds, never less than a quarter second. */
export const backoffMs = (attempt: number, random = Math.random()): number =>
  250 + random * Math.min(backoffMaxMs, backoffBaseMs * 2 ** Math.min(attempt, 16));

/** Whether a failure that will not pass by itself ends the job (and undoes it), or is carried as debt for ever. */
const endsByFailing: Record<JobKind, boolean> = {
  provision: true,
  rotate: true,
  revoke: false,
  dismantle: false,
  batch_revoke: true,
  check: true,
  reconcile: true,
  remove_orphan: false,
};

/**
 * When to try again, in milliseconds. What the vendor asks for is the least: one that says "at once", or names a moment
 * that our clock has passed, must not see all tries of a job within one second.
 */
export const retryPauseMs = (attempt: number, retryAfterMs: number | undefined, random = Math.random()): number =>
  Math.max(retryAfterMs ?? 0, backoffMs(attempt, random));

export function jobErrorOf(error: unknown): JobError {
  if (error instanceof KeyGateError) {
    return { code: error.code, title: error.title, detail: error.detail ?? error.title };
  }
  return {
    code: "service.failed",
    title: "Something went wrong inside KeyGate",
    detail: "KeyGate tries again by itself.",
  };
}

/**
 * Decides what a failed try means for its job and writes it down. The only place that knows.
 *
 * @returns what becomes of the queue entry; `compensate` when the job has to be undone right away.
 */
export async function settleFailure(ctx: JobContext, error: unknown): Promise<EntryOutcome | "compensate"> {
  const { deps, job, lease } = ctx;
  const jobs = jobRows(deps.db);
  const isUndoing = job.state === "compensating" || (job.state === "needs_attention" && endsByFailing[job.kind]);

  if (error instanceof KeyGateError && error.code === "job.lease_lost") {
    deps.log.info({ jobId: job.id }, "job.lease_lost");
    return "done";
  }
  const putBack = async (change: Parameters<typeof jobs.putBack>[1]): Promise<EntryOutcome> => {
    await jobs.putBack(lease, change);
    return { againInMs: change.delayMs };
  };
  if (error instanceof WaitForVendor) {
    return putBack({
      state: isUndoing ? "compensating" : "waiting_for_vendor",
      delayMs: error.delayMs,
      error: job.error,
      waiting: { reason: error.reason, instructions: null, link: null },
      countAttempt: false,
    });
  }
  if (error instanceof WaitForInput) {
    const patienceEnds = job.created_at.getTime() + deps.config.worker.inputWaitDays * 86_400_000;
    const deadline = Math.min(patienceEnds, error.until?.getTime() ?? patienceEnds);
    await jobs.putBack(lease, {
      state: "waiting_for_input",
      delayMs: Math.max(1_000, deadline - Date.now()),
      error: error.refusal ? { ...jobErrorOf(new KeyGateError("job.input_refused")), detail: error.refusal } : null,
      waiting: error.waiting,
      countAttempt: false,
      dropInput: true,
    });
    return "done";
  }

  const kind = kindOf(error);
  const words = jobErrorOf(error);
  const facts = { jobId: job.id, kind: job.kind, vendor: job.vendor, attempt: job.attempts, code: words.code };
  const retryAfterMs = error instanceof KeyGateError ? error.retryAfterMs : undefined;
  deps.log[kind === "rate_limited" ? "info" : "warn"]({ ...facts, error }, "job.attempt_failed");
  // A refusal that is new may be a slip of the vendor's; one that lasts needs a person, who wakes the jobs.
  const refusedForMs =
    kind === "credentials" ? await deps.vendors.reportUnhealthy(must(job.vendor, "the job's vendor"), words.detail) : 0;

  if (isUndoing) {
    const tries = job.undo_attempts + 1;
    const isStuck = tries >= undoTriesBeforeAttention && kind !== "rate_limited";
    return putBack({
      state: isStuck ? "needs_attention" : "compensating",
      delayMs:
        isStuck && retryAfterMs === undefined
          ? slowRetryMs * (0.75 + Math.random() / 2)
          : retryPauseMs(tries, retryAfterMs),
      // Why the job failed stays on show; why it cannot be undone stands beside it.
      error: job.error,
      waiting: { reason: `Undoing what was made did not work yet: ${words.detail}`, instructions: null, link: null },
      countAttempt: false,
      countUndoAttempt: kind !== "rate_limited",
    });
  }

  switch (kind) {
    case "rate_limited":
      return putBack({
        state: "queued",
        delayMs: (retryAfterMs ?? credentialsRetryMs) + Math.random() * 500,
        error: words,
        countAttempt: false,
      });
    case "credentials":
      return putBack({
        state: "waiting_for_vendor",
        delayMs:
          Math.min(credentialsRetryMs, Math.max(credentialsFirstRetryMs, refusedForMs)) * (0.75 + Math.random() / 2),
        error: words,
        waiting: { reason: `The vendor refuses our credential: ${words.detail}`, instructions: null, link: null },
        countAttempt: false,
      });
    case "retryable":
    case "ambiguous":
    case "conflict": {
      const isOurPause = error instanceof KeyGateError && error.facts.breaker === "open";
      const attempt = job.attempts + 1;
      if (endsByFailing[job.kind] && attempt >= jobSpecs[job.kind].attemptsMax && !isOurPause) {
        return beginCompensation(ctx, words);
      }
      const isDebt = attempt > fastTriesMax && !endsByFailing[job.kind];
      const slowMs = slowRetryMs * (0.75 + Math.random() / 2);
      return putBack({
        state: "queued",
        delayMs: isDebt && retryAfterMs === undefined ? slowMs : retryPauseMs(job.attempts, retryAfterMs),
        error: words,
        countAttempt: !isOurPause,
      });
    }
    case "permanent":
    case "needs_input":
      if (endsByFailing[job.kind]) return beginCompensation(ctx, words);
      return putBack({
        state: "needs_attention",
        delayMs: slowRetryMs * (0.75 + Math.random() / 2),
        error: words,
        waiting: {
          reason: "The vendor refuses to remove the key. KeyGate goes on trying; look at the vendor's words.",
          instructions: null,
          link: null,
        },
        countAttempt: true,
      });
  }
}

async function beginCompensation(ctx: JobContext, error: JobError): Promise<"compensate"> {
  await jobRows(ctx.deps.db).beginCompensation(ctx.lease, error);
  // Nothing else may be under way at the vendor when the undoing starts.
  await sleep(0);
  return "compensate";
}
