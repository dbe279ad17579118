import { randomBytes, randomUUID } from "node:crypto";
import type { JobId } from "@keygate/shared/contracts/ids";
import type { JobKind, JobState } from "@keygate/shared/contracts/jobs";
import { jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import { sealTo, thumbprintOf } from "@keygate/shared/crypto/sealing";
import { type JobRow, jobRows, type Lease, leaseJob } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import type { JobError, JobWaiting } from "@keygate/shared/db/schema";
import { must } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../src/deps.ts";

type Deps = Pick<ApiDeps, "db" | "handoff">;

export const makeSecret = () => `sk-proj-${randomBytes(24).toString("base64url")}`;

/** Waits until a look gives something; fails after ten seconds. */
export async function until<T>(look: () => Promise<T | null | undefined | false>, what: string): Promise<T> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const seen = await look();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Waited in vain for ${what}`);
}

/** Holds a job as a worker does. */
export async function hold({ db }: Deps, jobId: JobId): Promise<{ lease: Lease; job: JobRow }> {
  const token = randomUUID();
  const job = await until(() => leaseJob(db)({ jobId, token, seconds: 30 }), `the lease of ${jobId}`);
  return { lease: { jobId, token }, job };
}

const cancelled: JobError = { code: "job.cancelled", title: "", detail: "Somebody stopped it." };

/**
 * Makes the key of a provision or rotation as the worker does: sealed, handed over, active, succeeded. Like the worker
 * it makes none for a job that was cancelled, unless `deaf`.
 */
export async function issueKey(
  deps: Deps,
  jobId: JobId,
  { claimTtlSeconds = 900, deaf = false }: { claimTtlSeconds?: number; deaf?: boolean } = {},
): Promise<string> {
  const secret = makeSecret();
  const { lease, job } = await hold(deps, jobId);
  const receiver = must(job.delivery_key, "the receiver");
  await deps.handoff.put(jobId, await sealTo(receiver, new Secret(secret)), 900);
  await deps.db
    .updateTable("jobs")
    .set({ sealed_to: thumbprintOf(receiver) })
    .where("id", "=", lease.jobId)
    .execute();
  const keyId = must(job.key_id, "the key");
  const isStopped = await deps.db.transaction().execute(async (tx) => {
    const key = must(await keyRows(tx).lock(keyId), "the key");
    if ((await jobRows(tx).lock(jobId))?.cancel_requested && !deaf) return true;
    await keyRows(tx).markActive(keyId, {
      hint: `sk-proj-...${secret.slice(-4)}`,
      fingerprints: [],
      vendorRef: { projectId: "proj_1" },
      limits: [],
      instructions: { base_url: "https://api.openai.com/v1", auth_header: "Authorization: Bearer <key>" },
    });
    if (key.replaces_id) await keyRows(tx).markRetiring(key.replaces_id, key.id);
    await jobRows(tx).finish(lease, { state: "succeeded", error: null, claimTtlSeconds });
    return false;
  });
  if (isStopped) await giveUp(deps, lease, job, cancelled, "cancelled");
  return secret;
}

/** Confirms a revocation as the worker does after its look at the vendor. */
export async function confirmEnd(deps: Deps, jobId: JobId): Promise<void> {
  const { lease, job } = await hold(deps, jobId);
  const { keyId, ending } = jobSpecs.revoke.input.parse(job.input);
  await deps.db.transaction().execute(async (tx) => {
    await keyRows(tx).lock(keyId);
    await keyRows(tx).markEnded(keyId, ending);
    await jobRows(tx).finish(lease, { state: "succeeded", error: null });
  });
  if (job.parent_id) await jobRows(deps.db).finishBatches(job.parent_id);
}

/** Gives the making of a key up, all undone. */
export async function failKey(deps: Deps, jobId: JobId, error: JobError): Promise<void> {
  const { lease, job } = await hold(deps, jobId);
  await giveUp(deps, lease, job, error, "failed");
}

async function giveUp(
  deps: Deps,
  lease: Lease,
  job: JobRow,
  error: JobError,
  state: "failed" | "cancelled",
): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    await keyRows(tx).lock(must(job.key_id, "the key"));
    await keyRows(tx).markFailed(must(job.key_id, "the key"), error.detail);
    await jobRows(tx).finish(lease, { state, error });
  });
  if (job.parent_id) await jobRows(deps.db).finishBatches(job.parent_id);
}

/** Puts a job into a state in which it rests or goes on later. */
export async function putJobBack(
  deps: Deps,
  jobId: JobId,
  state: Exclude<JobState, "running" | "succeeded" | "failed" | "cancelled">,
  more: { error?: JobError; waiting?: JobWaiting } = {},
): Promise<void> {
  const { lease } = await hold(deps, jobId);
  await jobRows(deps.db).putBack(lease, {
    state,
    delayMs: 0,
    error: more.error ?? null,
    waiting: more.waiting ?? null,
    countAttempt: false,
  });
}

export interface FakeWorker {
  /** Every key that it made for a job, in order. */
  secretsOf(jobId: JobId): string[];
  stop(): Promise<void>;
}

type Handlers = Partial<Record<JobKind, (job: JobRow) => Promise<unknown>>>;

/** Works queued jobs as they appear; `handlers` replaces what it does about a kind. */
export function startFakeWorker(deps: Deps, handlers: Handlers = {}): FakeWorker {
  const secrets = new Map<JobId, string[]>();
  const make = async (job: JobRow) => {
    const secret = await issueKey(deps, job.id);
    secrets.set(job.id, [...(secrets.get(job.id) ?? []), secret]);
  };
  const work: Handlers = { provision: make, rotate: make, revoke: (job) => confirmEnd(deps, job.id), ...handlers };
  let isStopped = false;
  const loop = async () => {
    while (!isStopped) {
      const { items } = await jobRows(deps.db).list({ status: "queued", limit: 100 });
      for (const job of items) await work[job.kind]?.(job);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const running = loop();
  return {
    secretsOf: (jobId) => secrets.get(jobId) ?? [],
    async stop() {
      isStopped = true;
      await running;
    },
  };
}
