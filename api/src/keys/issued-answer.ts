import { jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import type { JobAccepted, ProvisionResult, RotateResult } from "@keygate/shared/contracts/keys";
import type { JobRow } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import type { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Delivery } from "../jobs/deliver-key.ts";
import { isReceiverOf, type Receiver } from "../jobs/receiver.ts";
import { hasEnded } from "../jobs/wait-for-job.ts";
import { provisionResult, rotateResult } from "./key-view.ts";

/** A delivery that came to its end: the key is in hand, or was taken before. */
export type Delivered = Extract<Delivery, { outcome: "taken" | "taken_before" }>;

export const isDelivered = (delivery: Delivery): delivery is Delivered =>
  delivery.outcome === "taken" || delivery.outcome === "taken_before";

/** An answer that holds a key or a claim token must stay in no cache. */
export const noStore = { "Cache-Control": "no-store" } as const;

/** Where a job that is not done yet can be followed. */
export const atJob = (job: Pick<JobRow, "id">) => ({ ...noStore, Location: `/api/v1/jobs/${job.id}` });

// A vendor mostly confirms a deletion within a second or two; longer than this the new key is not held back.
const oldKeysEndMs = 3_000;

/**
 * 202: the claim token is the private half of the receiver, which nothing else keeps. Null when the caller has it, or
 * when the key is for somebody else meanwhile.
 */
export function jobAccepted(job: JobRow, receiver: Receiver | null): z.infer<typeof JobAccepted> {
  const token = receiver && isReceiverOf(job, receiver) ? receiver.privateHalf : null;
  return { job_id: job.id, key_id: job.key_id, status: job.state, claim_token: token?.reveal() ?? null };
}

/** 200 of a provision. */
export async function provisionAnswer(deps: ApiDeps, delivered: Delivered): Promise<ProvisionResult> {
  const { job } = delivered;
  if (delivered.outcome === "taken") return provisionResult(delivered.key, job.id, delivered.opened);
  const key = await keyRows(deps.db).find(must(job.key_id, "key_id of a job that delivers"));
  return provisionResult(must(key, "the issued key"), job.id, null);
}

/** 200 of a rotation. With a grace of nothing it waits a moment, so that it can say that the old key is dead. */
export async function rotateAnswer(deps: ApiDeps, delivered: Delivered, signal: AbortSignal): Promise<RotateResult> {
  const result = await provisionAnswer(deps, delivered);
  const { oldKeyId } = jobSpecs.rotate.input.parse(delivered.job.input);
  const read = () => keyRows(deps.db).find(oldKeyId);
  if (delivered.outcome === "taken_before") return rotateResult(result, must(await read(), "the replaced key"));

  const { old, oldKeysEnd } = delivered;
  if (oldKeysEnd) await deps.jobWatcher.waitFor(oldKeysEnd.id, hasEnded, oldKeysEndMs, signal);
  // The key is in hand: it goes out with what was known of the old one, should the database fail right now.
  const now = await read().catch(() => undefined);
  return rotateResult(result, must(now ?? old, "the replaced key"));
}
