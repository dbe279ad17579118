import { setTimeout as sleep } from "node:timers/promises";
import type { VendorName } from "@keygate/simulator/start";
import { z } from "zod";
import type { Answer } from "./client.ts";
import type { ClaimPlan } from "./schedule.ts";
import type { Asked, World } from "./world.ts";

const Issued = z.object({
  key_id: z.string(),
  job_id: z.string(),
  api_key: z.string(),
  instructions: z.record(z.string(), z.unknown()),
});

const pollMs = 60;
/** Who has no token names a new receiver with every try, for whom the key is made anew: they had better wait for it. */
const requesterWaitSeconds = 5;
const requesterPollMs = 1_000;
const patienceMs = 40_000;

/** Notes the key that an answer holds, if it holds one. */
export function noteDelivery({ deliveries }: World, vendor: VendorName, answer: Answer): boolean {
  const { data } = Issued.safeParse(answer.body);
  if (answer.status !== 200 || !data) return false;
  deliveries.push({
    keyId: data.key_id,
    jobId: data.job_id,
    vendor,
    secret: data.api_key,
    instructions: data.instructions,
  });
  return true;
}

/** Takes the key of a job as planned. Asks from the first moment on, so that a handoff which opens too early is caught. */
export async function claim(world: World, asked: Asked, plan: ClaimPlan): Promise<void> {
  if (plan === "never") return;
  const takers = plan === "three at once" ? 3 : 1;
  await Promise.all(Array.from({ length: takers }, () => takeOnce(world, asked, plan)));
  if (plan !== "twice") return;
  await takeOnce(world, asked, plan);
}

/** Polls until the key was taken, by whomever, or can no longer be. */
async function takeOnce(world: World, asked: Asked, plan: ClaimPlan): Promise<void> {
  const { client } = world;
  const token = plan === "as the requester" ? null : asked.claimToken;
  const body = token ? { claim_token: token } : {};
  const path = `/jobs/${asked.jobId}/claim`;
  for (
    const deadline = Date.now() + patienceMs;
    Date.now() < deadline && world.isRunning();
    await sleep(token ? pollMs : requesterPollMs)
  ) {
    const answer = await client.call("POST", path, body, {
      waitSeconds: token ? 0 : requesterWaitSeconds,
      anonymous: token !== null,
    });
    if (!answer) return;
    if (noteDelivery(world, asked.vendor, answer)) return;
    // Anything but "not yet" is final: taken, too late, revoked, sealed for somebody else by now, or the job has failed.
    if (answer.body.code !== "claim.not_ready") return;
  }
}
