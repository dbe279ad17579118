import type { Db } from "@keygate/shared/db/client";
import type { Lease } from "@keygate/shared/db/jobs";
import { type JobWishes, sagaStepRows } from "@keygate/shared/db/saga-steps";

type StepStatus = "started" | "done" | "undone";

/** The journal of one job as the runner sees it: what stands in the rows, and fenced writes to them. */
export interface Journal {
  statusOf(name: string): StepStatus | undefined;
  /** What the done steps made, put together. */
  made(): Record<string, unknown>;
  start(step: { name: string; position: number; of: number }): Promise<void>;
  finish(
    step: { name: string; made: Record<string, unknown>; isLast?: boolean },
    next: { name: string; position: number; of: number } | null,
  ): Promise<void>;
  forget(name: string): Promise<void>;
  /** Milliseconds since a look first found nothing. */
  markUnsure(name: string): Promise<number>;
  markUndone(name: string): Promise<void>;
  startedAt(name: string): Date | undefined;
  /** What the job's row said when the running step was noted; null when nothing was noted in this try. */
  wishes(): JobWishes | null;
  /** Whom the running step sealed the key for: written down with what the step made. */
  noteSealedTo(thumbprint: string): void;
  /** The last step's result, when the journal was opened to keep it for the write that ends the job. */
  unwritten(): Unwritten | null;
  /** Writes it down for whoever ends the job otherwise. */
  flush(): Promise<void>;
  /** Makes done steps count as started again. */
  reopen(names: readonly string[]): Promise<void>;
}

export interface Unwritten {
  name: string;
  made: Record<string, unknown>;
  sealedTo: string | null;
}

/**
 * Reads a job's journal. The writes need the lease and fail with `job.lease_lost` without it.
 *
 * @param options `isNew`: nobody had the job before, so there is nothing to read. `keepLast`: see `unwritten`.
 */
export async function openJournal(
  db: Db,
  lease: Lease,
  options: { isNew?: boolean; keepLast?: boolean } = {},
): Promise<Journal> {
  const rows = sagaStepRows(db);
  let wishes: JobWishes | null = null;
  let sealedTo: string | null = null;
  let unwritten: Unwritten | null = null;
  const entries = new Map(
    (options.isNew ? [] : await rows.list(lease.jobId)).map((row) => [
      row.name,
      { status: row.status as StepStatus, made: row.made, startedAt: row.started_at },
    ]),
  );
  const put = (name: string, status: StepStatus, made: Record<string, unknown> = {}) =>
    entries.set(name, { status, made, startedAt: entries.get(name)?.startedAt ?? new Date() });

  return {
    statusOf: (name) => entries.get(name)?.status,
    made: () => Object.assign({}, ...[...entries.values()].filter((e) => e.status === "done").map((e) => e.made)),
    startedAt: (name) => entries.get(name)?.startedAt,
    async start(step) {
      await rows.start(lease, step);
      put(step.name, "started");
    },
    wishes: () => wishes,
    noteSealedTo(thumbprint) {
      sealedTo = thumbprint;
    },
    unwritten: () => unwritten,
    async flush() {
      if (!unwritten) return;
      const { sealedTo: thumbprint, ...step } = unwritten;
      wishes = await rows.finish(lease, step, null, thumbprint);
      unwritten = null;
    },
    async finish(step, next) {
      if (step.isLast && options.keepLast) unwritten = { name: step.name, made: step.made, sealedTo };
      else wishes = await rows.finish(lease, step, next, sealedTo);
      sealedTo = null;
      put(step.name, "done", step.made);
      if (next) put(next.name, "started");
    },
    async forget(name) {
      await rows.forget(lease, name);
      entries.delete(name);
    },
    markUnsure: async (name) => (await rows.markUnsure(lease, name)) * 1000,
    async markUndone(name) {
      await rows.markUndone(lease, name);
      put(name, "undone");
    },
    async reopen(names) {
      await rows.reopen(lease, names);
      if (unwritten && names.includes(unwritten.name)) unwritten = null;
      // Whoever reopens does so because the row has changed.
      wishes = null;
      for (const name of names) if (entries.get(name)?.status === "done") put(name, "started");
    },
  };
}
