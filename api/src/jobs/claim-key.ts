import type { JobId } from "@keygate/shared/contracts/ids";
import type { Actor } from "@keygate/shared/db/audit";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import { isProof } from "./claim-challenge.ts";
import { deliverKey } from "./deliver-key.ts";
import { isReceiverOf, type Receiver, receiverFor, receiverOfToken } from "./receiver.ts";
import { redirectDelivery } from "./remake-key.ts";
import { claimGone, type Taken } from "./take-key.ts";
import { findJob, type Patience } from "./wait-for-job.ts";

export interface Claimant extends Patience {
  token: Secret | null;
  /** An opened challenge: whoever has it holds the private half, which stays with them. */
  proof: Secret | null;
  /** Who is signed in and may ask for keys; null for whoever only holds the token. */
  actor: Actor | null;
  ipAddress: string | null;
}

const retryAfterMs = 2_000;

/**
 * Takes the key of a job, once: for whoever holds the claim token or proves to, signed in or not, or for who asked.
 *
 * @throws job.not_found, auth.required, auth.forbidden, claim.wrong_token, claim.not_ready, claim.gone, what the job
 *   failed with.
 */
export async function claimKey(deps: ApiDeps, jobId: JobId, claimant: Claimant): Promise<Taken> {
  const job = await findJob(deps, jobId);
  const { token, proof, waitSeconds, signal } = claimant;
  // Whoever holds the token, or what opens the key, needs no session for it.
  const stillHolds = token || proof ? undefined : claimant.stillHolds;
  const actor = claimant.actor ?? { name: "token:claim", id: `claim:${jobId}`, ipAddress: claimant.ipAddress };
  const holder = token ? byToken(job, token) : proof && byProof(deps, job, proof);
  const receiver = holder ?? (await asRequester(deps, job, claimant.actor));
  const delivery = await deliverKey(deps, jobId, { receiver, actor, waitSeconds, signal, stillHolds });
  switch (delivery.outcome) {
    case "taken":
      return delivery;
    case "taken_before":
      throw claimGone("The key was taken already. If that was not you, revoke it.");
    case "out_of_reach": {
      const detail = "The key waits sealed, but cannot be reached right now; claim it again in a moment.";
      throw new KeyGateError("service.unavailable", { detail, retryAfterMs });
    }
    case "waiting":
      throw notReady(delivery.job);
  }
}

function byToken(job: JobRow, token: Secret): Receiver {
  const receiver = receiverOfToken(token);
  if (!receiver || !isReceiverOf(job, receiver)) throw new KeyGateError("claim.wrong_token");
  // The key goes out sealed when it was asked for so, even to somebody who shows that they could open it.
  return job.delivery_is_callers ? { key: receiver.key, privateHalf: null } : receiver;
}

/** The key goes out sealed as it is: only the holder of the private half can open it. */
function byProof(deps: ApiDeps, job: JobRow, proof: Secret): Receiver {
  if (!job.delivery_key || !isProof(deps, job, proof)) throw new KeyGateError("claim.wrong_token");
  return { key: job.delivery_key, privateHalf: null };
}

/** Who asked has lost the token: from now on the key is for a new receiver. One who brought a public key has that still. */
async function asRequester(deps: ApiDeps, job: JobRow, actor: Actor | null): Promise<Receiver> {
  if (!actor) throw new KeyGateError("auth.required", { detail: "Sign in, or bring the claim token." });
  if (job.requested_by_id !== actor.id) {
    throw new KeyGateError("auth.forbidden", {
      detail: `Only ${job.requested_by}, who asked for the key, or whoever holds its claim token can take it.`,
    });
  }
  if (!job.delivery_key) throw new KeyGateError("claim.not_ready", { detail: "This job makes no key." });
  if (job.delivery_is_callers) return { key: job.delivery_key, privateHalf: null };
  const receiver = await receiverFor(undefined);
  await redirectDelivery(deps, job, receiver, actor);
  return receiver;
}

function notReady(job: JobRow): KeyGateError {
  const detail =
    job.state === "waiting_for_input"
      ? `The job waits for a person: ${job.waiting?.reason ?? "see the job"}`
      : `The job is ${job.state}. Claim the key when the job has succeeded.`;
  return new KeyGateError("claim.not_ready", { detail, retryAfterMs, facts: { jobId: job.id } });
}
