import {
  createPostgresBackend,
  DelayedError,
  type Job,
  type JobsOptions,
  type PgPool,
  type Processor,
  Queue,
  Worker,
  type WorkerOptions,
} from "bullmq";
import pg from "pg";
import type { JobId } from "./contracts/ids.ts";
import { QueuedJob } from "./contracts/jobs.ts";
import { type VendorId, vendorIds } from "./contracts/vendors/registry.ts";
import { must } from "./errors.ts";
import { inRounds } from "./in-rounds.ts";
import { type AnyRedis, openRedis } from "./redis.ts";

export type QueueName = `vendor-${VendorId}` | "maintenance";

export const queueOf = (vendor: VendorId): QueueName => `vendor-${vendor}`;
export const queueNames: readonly QueueName[] = [...vendorIds.map(queueOf), "maintenance"];

const prefix = "{keygate}";
/** How far the clocks of machines that work together may be apart without anybody minding. */
const clocksDifferMs = 5_000;

export interface QueuedEntry {
  queue: QueueName;
  jobId: JobId;
  priority: number;
  delayMs?: number;
}

/** Asks for a later try of the same entry: throw what it returns. */
export type PutOff = (delayMs: number) => Promise<Error>;

/**
 * Handles one queue entry. It may run twice, late or beside itself: the row decides.
 * A value it throws other than `putOff`'s counts as a crash; the sweep finds the job again.
 */
export type EntryHandler = (
  entry: { queue: QueueName; jobId: JobId; priority: number },
  putOff: PutOff,
) => Promise<void>;

export interface Schedule {
  name: string;
  everyMs: number;
  run(): Promise<void>;
}

export interface Queues {
  /** Adds entries; one that the queue knows already stays as it is. Fails fast when the queue is away. */
  add(entries: readonly QueuedEntry[]): Promise<void>;
  /** Offers at once what was put off: each row says itself whether its time has come. */
  bringForward(): Promise<void>;
  /** Answers whether the queue can be reached. */
  ping(): Promise<void>;
  /** The BullMQ queues, for the board. */
  boardQueues(): Queue[];
  close(): Promise<void>;
}

export interface QueueWorkers {
  /** Stops taking entries and waits for those under way; with `force` it leaves them to their leases. */
  close(force?: boolean): Promise<void>;
}

export interface QueueConfig {
  redisUrl: string | null;
  databaseUrl: string;
  /** Past a pooler: BullMQ listens, and needs a session of its own. */
  databaseDirectUrl?: string | null;
}

type Connection = { redis: AnyRedis } | { pool: pg.Pool };

/** The one place that decides where BullMQ lives: Redis when there is one, otherwise PostgreSQL. */
function connect(config: QueueConfig, failFast: boolean, onError: (error: Error) => void, poolMax: number): Connection {
  if (config.redisUrl) {
    // Whoever serves a request wants an error now; whoever works jobs waits until Redis is back.
    const patience = failFast ? { maxRetriesPerRequest: 1, commandTimeout: 3_000 } : { maxRetriesPerRequest: null };
    return { redis: openRedis(config.redisUrl, patience, onError) };
  }
  const pool = new pg.Pool({
    connectionString: config.databaseDirectUrl ?? config.databaseUrl,
    max: poolMax,
    application_name: "keygate-queue",
    connectionTimeoutMillis: 10_000,
    // BullMQ's tables live in a schema of their own; a pool given to it has to say so itself.
    options: "-c search_path=bullmq",
    keepAlive: true,
  });
  pool.on("error", onError);
  return { pool };
}

// pg's own typing of `on` is an overload set that BullMQ's structural copy of it does not match; the object does.
const poolForBullMq = (pool: pg.Pool): PgPool => pool as unknown as PgPool;

const closeConnection = async (connection: Connection) => {
  if ("redis" in connection) connection.redis.disconnect();
  else await connection.pool.end();
};

// An entry must not outlive its work: a finished one would make the next add of the same job a no-op.
const entryOptions = { removeOnComplete: true, removeOnFail: true, attempts: 1 } as const satisfies JobsOptions;

/** Opens the queues for adding. */
export function openQueues(config: QueueConfig, onError: (error: Error) => void): Queues {
  const connection = connect(config, true, onError, 4);
  const open = (name: QueueName): Queue => {
    const queue =
      "redis" in connection
        ? new Queue(name, { connection: connection.redis, prefix, skipWaitingForReady: true })
        : new Queue(name, { connection: poolForBullMq(connection.pool) }, createPostgresBackend);
    queue.on("error", onError);
    // Both backends answer to the same calls; only their type parameters differ.
    return queue as unknown as Queue;
  };
  const queues = new Map<QueueName, Queue>();
  const queueFor = (name: QueueName): Queue => {
    const queue = queues.get(name) ?? open(name);
    queues.set(name, queue);
    return queue;
  };
  // A queue object that could not start (Redis was away) stays broken for good: the next add makes a new one.
  const forget = (name: QueueName) => {
    const queue = queues.get(name);
    queues.delete(name);
    queue?.close().catch(() => {});
  };

  const addTo = (name: QueueName) =>
    inRounds(async (groups: readonly (readonly QueuedEntry[])[]) => {
      try {
        await queueFor(name).addBulk(
          groups.flat().map(({ jobId, priority, delayMs = 0 }) => ({
            name: "job",
            data: { v: 1, jobId } satisfies QueuedJob,
            opts: { ...entryOptions, jobId, priority, delay: delayMs },
          })),
        );
      } catch (error) {
        forget(name);
        throw error;
      }
      return groups;
    });
  const adders = new Map(queueNames.map((name) => [name, addTo(name)]));

  return {
    async add(entries) {
      const byQueue = Map.groupBy(entries, (entry) => entry.queue);
      const results = await Promise.allSettled(
        Array.from(byQueue, async ([name, group]) => must(adders.get(name), "the queue's adder")(group)),
      );
      const failed = results.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
    },
    async bringForward() {
      await Promise.all(vendorIds.map((vendor) => queueFor(queueOf(vendor)).promoteJobs()));
    },
    async ping() {
      if ("redis" in connection) await connection.redis.ping();
      else await connection.pool.query("select 1");
    },
    boardQueues: () => queueNames.map(queueFor),
    async close() {
      await Promise.allSettled([...queues.values()].map((queue) => queue.close()));
      await closeConnection(connection);
    },
  };
}

export interface WorkOptions {
  concurrency: number;
  onError: (error: Error) => void;
  /** Milliseconds after which an entry whose worker died is given to another. */
  lockMs: number;
}

/** Starts taking entries from every vendor's queue, and runs the schedules through the maintenance queue. */
export function startQueueWorkers(
  config: QueueConfig,
  handle: EntryHandler,
  schedules: readonly Schedule[],
  options: WorkOptions,
): QueueWorkers {
  const connection = connect(config, false, options.onError, queueNames.length * 2 + 4);

  const start = (name: QueueName, processor: Processor, concurrency: number): Worker => {
    const common = {
      concurrency,
      lockDuration: options.lockMs,
      stalledInterval: options.lockMs,
      // The row decides when a job has failed, never the queue. The column behind it is a 32-bit integer.
      maxStalledCount: 2 ** 31 - 1,
      drainDelay: 5,
    } satisfies Partial<WorkerOptions>;
    const worker =
      "redis" in connection
        ? new Worker(name, processor, { connection: connection.redis, prefix, ...common })
        : new Worker(name, processor, { connection: poolForBullMq(connection.pool), ...common }, createPostgresBackend);
    worker.on("error", options.onError);
    return worker as unknown as Worker;
  };

  const takeEntryOf =
    (queue: QueueName): Processor =>
    async (job: Job, token) => {
      const { jobId } = QueuedJob.parse(job.data);
      await handle({ queue, jobId, priority: job.priority }, async (delayMs) => {
        await job.moveToDelayed(Date.now() + Math.ceil(delayMs), token);
        return new DelayedError();
      });
    };
  const runSchedule: Processor = async (job: Job) => {
    await schedules.find((schedule) => schedule.name === job.name)?.run();
  };

  const maintenance =
    "redis" in connection
      ? new Queue("maintenance", { connection: connection.redis, prefix })
      : (new Queue(
          "maintenance",
          { connection: poolForBullMq(connection.pool) },
          createPostgresBackend,
        ) as unknown as Queue);
  maintenance.on("error", options.onError);

  const plan = async () => {
    const nextOf = new Map((await maintenance.getJobSchedulers()).map(({ key, next }) => [key, next]));
    for (const { name, everyMs } of schedules) {
      // Planned by a clock that was ahead of ours, or by ours before it was set back: nothing would run until then.
      const isFarOff = (nextOf.get(name) ?? 0) > Date.now() + everyMs + clocksDifferMs;
      if (isFarOff) await maintenance.removeJobScheduler(name);
      await maintenance.upsertJobScheduler(name, { every: everyMs }, { name, opts: entryOptions });
    }
  };
  // Schedules live in the queue too and go with it when it is flushed, so they are put back again and again.
  const replan = setInterval(() => plan().catch(options.onError), 5_000);
  plan().catch(options.onError);

  const workers = [
    ...vendorIds.map((vendor) => start(queueOf(vendor), takeEntryOf(queueOf(vendor)), options.concurrency)),
    start("maintenance", runSchedule, schedules.length),
  ];

  return {
    async close(force = false) {
      clearInterval(replan);
      await Promise.allSettled(workers.map((worker) => worker.close(force)));
      await maintenance.close().catch(() => {});
      await closeConnection(connection);
    },
  };
}
