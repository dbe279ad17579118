import type { Db } from "@keygate/shared/db/client";
import type { Lease } from "@keygate/shared/db/jobs";
import { sagaStepRows } from "@keygate/shared/db/saga-steps";

type StepStatus = "started" | "done" | "undone";

/** The journal of one job as the runner sees it: what stands in the rows, and fenced writes to them. */
export interface Journal {
  statusOf(name: string): StepStatus | undefined;
  /** What the done steps made, put together. */
  made(): Record<string, unknown>;
  start(step: { name: string; position: number; of: number }): Promise<void>;
  finish(
    step: { name: string; made: Record<string, unknown> },
    next: { name: string; position: number; of: number } | null,
  ): Promise<void>;
  forget(name: string): Promise<void>;
  /** Milliseconds since a look first found nothing. */
  markUnsure(name: string): Promise<number>;
  markUndone(name: string): Promise<void>;
  startedAt(name: string): Date | undefined;
  /** Makes done steps count as started again. */
  reopen(names: readonly string[]): Promise<void>;
}

/** Reads a job's journal. The writes need the lease and fail with `job.lease_lost` without it. */
export async function openJournal(db: Db, lease: Lease): Promise<Journal> {
  const rows = sagaStepRows(db);
  const entries = new Map(
    (await rows.list(lease.jobId)).map((row) => [
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
    async finish(step, next) {
      await rows.finish(lease, step, next);
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
      await rows.reopen(lease.jobId, names);
      for (const name of names) if (entries.get(name)?.status === "done") put(name, "started");
    },
  };
}
