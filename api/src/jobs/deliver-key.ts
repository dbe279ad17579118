import type { JobId } from "@keygate/shared/contracts/ids";
import type { Actor } from "@keygate/shared/db/audit";
import type { JobRow } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { hasFailed, jobFailure } from "./job-failure.ts";
import { isReceiverOf, type Receiver } from "./receiver.ts";
import { remakeLostKey } from "./remake-key.ts";
import { claimGone, type Taking, takeKey } from "./take-key.ts";
import { isAtRest, type Patience, waitForJob } from "./wait-for-job.ts";

export type Delivery = Exclude<Taking, { outcome: "lost" }> | { outcome: "waiting"; job: JobRow };

// A handoff that loses a key again and again is a fault that another new key would not mend.
const remakesMax = 2;

/**
 * Waits for the job and takes its key. `made` is the job's row where it was made a moment ago. A sealed key that was
 * lost is made anew meanwhile. Nothing is taken for a client that has gone or may no longer have it.
 *
 * @throws what the job failed with, claim.gone, or auth.invalid_token.
 */
export async function deliverKey(
  deps: ApiDeps,
  jobId: JobId,
  request: Patience & { receiver: Receiver; actor: Actor },
  made?: JobRow,
): Promise<Delivery> {
  // Nobody can have worked what was just made, and its caller does not wait.
  if (made && request.waitSeconds <= 0) return { outcome: "waiting", job: made };
  const endsAt = performance.now() + request.waitSeconds * 1000;
  for (let remakes = 0; ; remakes++) {
    const waitSeconds = (endsAt - performance.now()) / 1000;
    const job = await waitForJob(deps, jobId, isAtRest, { waitSeconds, signal: request.signal });
    if (hasFailed(job)) throw jobFailure(job);
    const isForAnother = !isReceiverOf(job, request.receiver);
    // Whoever repeats a request hears that the key was taken; whoever still waits for the first answer has lost it.
    if (job.claimed_at && !(made && isForAnother)) return { outcome: "taken_before", job };
    if (job.state !== "succeeded" || request.signal.aborted) return { outcome: "waiting", job };
    if (!job.claim_until) throw claimGone("The key's time to be taken is over.");
    if (isForAnother) throw claimGone("The key was asked for anew by another request.");

    // Their session was ended while they waited: the key stays sealed, and is revoked when nobody takes it.
    if (request.stillHolds && !(await request.stillHolds())) throw new KeyGateError("auth.invalid_token");
    const taking = await takeKey(deps, job, request);
    if (taking.outcome !== "lost") return taking;
    if (remakes === remakesMax || request.signal.aborted) return { outcome: "waiting", job };
    await remakeLostKey(deps, job, request.actor);
  }
}
