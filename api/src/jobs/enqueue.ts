import type { JobRow } from "@keygate/shared/db/jobs";
import type { Log } from "@keygate/shared/log";
import { type QueuedEntry, type Queues, queueOf } from "@keygate/shared/queue";
import { traced } from "@keygate/shared/tracing";

// A queue that is away must not hold a request: the rows are committed, and the sweep brings them to the queue later.
const patienceMs = 2_000;

/**
 * Offers committed jobs to the queue. It never fails: what the queue did not take is logged as `queue.add_failed`, and
 * the sweep adds it once the queue is back. Jobs without a vendor have no queue and are left out.
 */
export async function enqueueJobs(deps: { queues: Queues; log: Log }, rows: readonly JobRow[]): Promise<void> {
  const entries = rows.flatMap(({ id, vendor, priority }): QueuedEntry[] =>
    vendor ? [{ queue: queueOf(vendor), jobId: id, priority }] : [],
  );
  if (entries.length === 0) return;
  const { promise: tooLong, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`The queue did not answer in ${patienceMs} ms`)), patienceMs);
  try {
    const facts = { "messaging.system": "bullmq", "messaging.batch.message_count": entries.length };
    await traced("queue add", { kind: "producer", facts }, () => Promise.race([deps.queues.add(entries), tooLong]));
  } catch (error) {
    deps.log.warn({ error, jobIds: entries.slice(0, 20).map((entry) => entry.jobId) }, "queue.add_failed");
  } finally {
    clearTimeout(timer);
  }
}
