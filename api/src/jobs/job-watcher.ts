import type { JobId } from "@keygate/shared/contracts/ids";
import type { Db } from "@keygate/shared/db/client";
import { type JobGlance, jobRows } from "@keygate/shared/db/jobs";
import type { Log } from "@keygate/shared/log";

// A caller hears of its job's end within 20 ms: nobody notices that, and it is one primary-key query for all callers.
const lookEveryMs = 20;
// As long as few are watched, a look costs next to nothing.
const fewWatches = 8;
const fewEveryMs = 8;
// Whoever has waited this long does not feel a tenth of a second more, and most that is looked at is then looked at rarely.
const patientAfterMs = 2_000;
const patientEveryMs = 100;
// A database that just failed is not asked fifty times a second.
const afterErrorMs = 500;

export type { JobGlance };

/**
 * Watches jobs for everybody in this process who waits for one, with one query for all of them. No LISTEN/NOTIFY, which
 * breaks behind a transaction pooler; no connection is held between looks; a failing database only delays.
 */
export interface JobWatcher {
  /**
   * Resolves with the first look at the job that `until` accepts. Null when the time was over, `signal` was aborted or
   * the watcher closed before.
   */
  waitFor(
    jobId: JobId,
    until: (job: JobGlance) => boolean,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<JobGlance | null>;
  /**
   * Tells the listener of the job as it is now and of every change after that. The answer ends the subscription.
   * `onClose` is told when the watcher closes.
   */
  subscribe(jobId: JobId, listener: (job: JobGlance) => void, onClose?: () => void): () => void;
  /** Lets everybody go who waits. */
  close(): Promise<void>;
}

interface Watch {
  jobId: JobId;
  since: number;
  dueAt: number;
  seen: string | null;
  listener: (job: JobGlance) => void;
  onClose: (() => void) | undefined;
}

/** Makes the watcher; it asks the database only while somebody waits. */
export function createJobWatcher(db: Db, log: Log): JobWatcher {
  const watches = new Set<Watch>();
  let timer: NodeJS.Timeout | undefined;
  let nextLookAt = 0;
  let isLooking = false;
  let isFailing = false;
  let isClosed = false;

  const plan = () => {
    clearTimeout(timer);
    if (isLooking || isClosed || watches.size === 0) return;
    let dueAt = Number.POSITIVE_INFINITY;
    for (const watch of watches) dueAt = Math.min(dueAt, watch.dueAt);
    timer = setTimeout(look, Math.max(0, Math.max(dueAt, nextLookAt) - performance.now()));
  };

  const tell = (watch: Watch, job: JobGlance) => {
    const seen = JSON.stringify(job);
    if (seen === watch.seen || !watches.has(watch)) return;
    watch.seen = seen;
    try {
      watch.listener(job);
    } catch (error) {
      log.error({ error, jobId: watch.jobId }, "watch.listener_failed");
    }
  };

  const look = async () => {
    isLooking = true;
    const startedAt = performance.now();
    const due = [...watches].filter((watch) => watch.dueAt <= startedAt);
    const everyMs = watches.size <= fewWatches ? fewEveryMs : lookEveryMs;
    nextLookAt = startedAt + everyMs;
    try {
      const jobs = await jobRows(db).watch([...new Set(due.map((watch) => watch.jobId))]);
      const byId = new Map(jobs.map((job) => [job.id, job]));
      for (const watch of due) {
        watch.dueAt = startedAt + (startedAt - watch.since > patientAfterMs ? patientEveryMs : everyMs);
        const job = byId.get(watch.jobId);
        if (job) tell(watch, job);
      }
      isFailing = false;
    } catch (error) {
      // Once for a row of failures: the callers' own queries tell the rest.
      if (!isFailing && !isClosed) log.warn({ error }, "watch.failed");
      isFailing = true;
      nextLookAt = performance.now() + afterErrorMs;
    }
    isLooking = false;
    plan();
  };

  const subscribe: JobWatcher["subscribe"] = (jobId, listener, onClose) => {
    const at = performance.now();
    const watch: Watch = { jobId, since: at, dueAt: at, seen: null, listener, onClose };
    if (isClosed) onClose?.();
    else watches.add(watch);
    plan();
    return () => {
      watches.delete(watch);
      if (watches.size === 0) clearTimeout(timer);
    };
  };

  return {
    subscribe,

    waitFor(jobId, until, timeoutMs, signal) {
      const { promise, resolve } = Promise.withResolvers<JobGlance | null>();
      const giveUp = () => resolve(null);
      if (isClosed || signal?.aborted) return Promise.resolve(null);
      const unsubscribe = subscribe(jobId, (job) => until(job) && resolve(job), giveUp);
      const timeout = setTimeout(giveUp, timeoutMs);
      signal?.addEventListener("abort", giveUp, { once: true });
      return promise.finally(() => {
        unsubscribe();
        clearTimeout(timeout);
        signal?.removeEventListener("abort", giveUp);
      });
    },

    async close() {
      isClosed = true;
      clearTimeout(timer);
      const left = [...watches];
      watches.clear();
      for (const watch of left) watch.onClose?.();
    },
  };
}
