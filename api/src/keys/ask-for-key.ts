import type { PublicJwk } from "@keygate/shared/contracts/common";
import type { Actor } from "@keygate/shared/db/audit";
import { isDatabaseOutage } from "@keygate/shared/db/client";
import type { JobRow } from "@keygate/shared/db/jobs";
import type { Context } from "hono";
import type { ApiDeps } from "../deps.ts";
import type { Env, Idempotency } from "../env.ts";
import { type Delivery, deliverKey } from "../jobs/deliver-key.ts";
import { waitSecondsOf } from "../jobs/prefer.ts";
import { type Receiver, receiverFor } from "../jobs/receiver.ts";
import { redirectDelivery } from "../jobs/remake-key.ts";
import { findJob, type Patience } from "../jobs/wait-for-job.ts";
import type { Asking } from "./provision-key.ts";

/** Who asks, how long they wait, and whether they asked before. */
export interface Caller extends Patience {
  actor: Actor;
  idempotency: Idempotency | null;
}

export const callerOf = (c: Context<Env>): Caller => ({
  actor: c.var.actor,
  idempotency: c.var.idempotency,
  waitSeconds: waitSecondsOf(c),
  signal: c.req.raw.signal,
  stillHolds: c.var.stillHolds,
});

/**
 * Makes the job that makes a key, or goes on with the one that the same request made before, and waits for the key.
 *
 * @param ask makes the job; not called for a repeated request.
 */
export async function askForKey(
  deps: ApiDeps,
  caller: Caller,
  delivery: { public_key: PublicJwk } | undefined,
  ask: (asking: Asking) => Promise<JobRow>,
): Promise<{ delivery: Delivery; receiver: Receiver }> {
  const { actor, idempotency } = caller;
  const receiver = await receiverFor(delivery);
  const earlier = idempotency?.existingJobId ?? null;
  const job = earlier ? await findJob(deps, earlier) : await ask({ actor, receiver, idempotency });
  if (earlier) await redirectDelivery(deps, job, receiver, actor);
  try {
    const delivered = await deliverKey(deps, job.id, { ...caller, receiver }, earlier ? undefined : job);
    return { delivery: delivered, receiver };
  } catch (error) {
    if (!isDatabaseOutage(error)) throw error;
    // The job is committed and goes on when the database is back: with the claim token its caller gets the key later.
    deps.log.warn({ error, jobId: job.id }, "job.wait_failed");
    return { delivery: { outcome: "waiting", job }, receiver };
  }
}
