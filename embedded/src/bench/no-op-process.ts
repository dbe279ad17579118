import { Queue, Worker } from "bullmq";

/** BullMQ with jobs that do nothing: the most that any engine on this queue can do. Tells its rate, and goes. */
const { REDIS_URL = "", JOBS = "1000" } = process.env;
const total = Number(JOBS);
const url = new URL(REDIS_URL);
const connection = { host: url.hostname, port: Number(url.port), password: decodeURIComponent(url.password) };
const options = { connection: { ...connection, maxRetriesPerRequest: null }, prefix: "{bench}" };

const queue = new Queue("no-op", options);
await queue.obliterate({ force: true });
const batch = 1_000;
for (let start = 0; start < total; start += batch) {
  const size = Math.min(batch, total - start);
  await queue.addBulk(
    Array.from({ length: size }, (_, index) => ({
      name: "job",
      data: { v: 1, jobId: `job-${start + index}` },
      opts: { removeOnComplete: true, removeOnFail: true, attempts: 1, priority: 3 },
    })),
  );
}
let done = 0;
const { promise, resolve } = Promise.withResolvers<void>();
const begun = performance.now();
const worker = new Worker(
  "no-op",
  async () => {
    done += 1;
    if (done === total) resolve();
  },
  { ...options, concurrency: 100 },
);
await promise;
const perSecond = total / ((performance.now() - begun) / 1000);
await worker.close();
await queue.close();
process.send?.({ perSecond });
process.once("SIGTERM", () => process.exit(0)).once("disconnect", () => process.exit(0));
