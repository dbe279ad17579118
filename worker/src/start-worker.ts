import { setTimeout as sleep } from "node:timers/promises";
import { createSealer } from "@keygate/shared/audit/seal";
import type { Config } from "@keygate/shared/config";
import type { Log } from "@keygate/shared/log";
import { startQueueWorkers } from "@keygate/shared/queue";
import { closeDeps, openDeps } from "./deps.ts";
import { startWorkerMetrics } from "./metrics.ts";
import { createEntryHandler } from "./processors/index.ts";
import { scheduleReconcile } from "./processors/reconcile.ts";
import { endDueKeys, endOverdueJobs, refillQueues, revokeUnclaimed, tidyUp } from "./processors/sweep.ts";

export interface RunningWorker {
  /** Takes no more work, lets what is under way end for the grace time, hands the rest back, and closes. */
  close(): Promise<void>;
}

/** Milliseconds between runs of schedules that have a pace of their own. */
const paceFor = (sweepMs: number): Readonly<Record<string, number>> => ({
  tidy: 60_000,
  reconcile: 60_000,
  "seal-audit": 3_000,
  "bring-forward": 10 * sweepMs,
});

/** Starts a worker: takes jobs from every queue and runs the schedules. */
export function startWorker(config: Config, log: Log): RunningWorker {
  const deps = openDeps(config, log);
  const metrics = startWorkerMetrics(config.metrics, deps.db, log);
  const everyMs = config.worker.sweepIntervalMs;
  const pace = paceFor(everyMs);
  const guarded = (name: string, run: () => Promise<unknown>) => ({
    name,
    everyMs: pace[name] ?? everyMs,
    run: async () => {
      await run().catch((error: unknown) => log.warn({ error, schedule: name }, "schedule.failed"));
    },
  });
  const workers = startQueueWorkers(
    config,
    createEntryHandler(deps),
    [
      guarded("refill", () => refillQueues(deps)),
      // The queue keeps what is put off by the time of day of whoever put it off, and does not notice that it was set back.
      guarded("bring-forward", () => deps.queues.bringForward()),
      guarded("end-due-keys", () => endDueKeys(deps)),
      guarded("revoke-unclaimed", () => revokeUnclaimed(deps)),
      guarded("end-overdue-jobs", () => endOverdueJobs(deps)),
      guarded("tidy", () => tidyUp(deps)),
      guarded("reconcile", () => scheduleReconcile(deps)),
      guarded("seal-audit", createSealer(deps)),
    ],
    {
      concurrency: config.worker.concurrency,
      lockMs: config.worker.leaseSeconds * 1000,
      onError: (error) => log.warn({ error, part: "queue" }, "connection.error"),
    },
  );
  return {
    async close() {
      const graceMs = config.worker.shutdownGraceSeconds * 1000;
      const isDone = await Promise.race([workers.close().then(() => true), sleep(graceMs, false, { ref: false })]);
      // What did not end in time keeps its lease until that runs out; another worker goes on from the journal.
      if (!isDone) log.warn({ graceMs }, "worker.grace_over");
      await (await metrics).close();
      await closeDeps(deps);
    },
  };
}
