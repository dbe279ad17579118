import type { PublicJwk } from "@keygate/shared/contracts/common";
import type { JobId } from "@keygate/shared/contracts/ids";
import type { Actor } from "@keygate/shared/db/audit";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { hasFailed, jobFailure } from "./job-failure.ts";
import { receiverFor } from "./receiver.ts";
import { redirectDelivery } from "./remake-key.ts";
import { claimGone } from "./take-key.ts";
import { findJob } from "./wait-for-job.ts";

/**
 * Has a key that nobody took yet sealed for a new receiver: a page that was closed took its private half along.
 *
 * @throws job.not_found, auth.forbidden, claim.not_ready, claim.gone, request.invalid, what the job failed with.
 */
export async function nameReceiver(deps: ApiDeps, id: JobId, key: PublicJwk, actor: Actor): Promise<JobRow> {
  const job = await findJob(deps, id);
  if (job.requested_by_id !== actor.id) {
    throw new KeyGateError("auth.forbidden", { detail: `Only ${job.requested_by}, who asked for the key, may.` });
  }
  if (!job.delivery_key) throw new KeyGateError("claim.not_ready", { detail: "This job makes no key." });
  if (hasFailed(job)) throw jobFailure(job);
  if (job.claimed_at) throw claimGone("The key was taken already.");
  await redirectDelivery(deps, job, await receiverFor({ public_key: key }), actor);
  return findJob(deps, id);
}
