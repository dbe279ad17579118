import { setTimeout as sleep } from "node:timers/promises";
import { makeReceiverPair, openSealed } from "@keygate/shared/crypto/sealing";
import { Secret } from "@keygate/shared/secret";
import type { VendorName } from "@keygate/simulator/start";
import { z } from "zod";
import type { Answer } from "./client.ts";
import type { ClaimPlan } from "./schedule.ts";
import type { Asked, World } from "./world.ts";

const Issued = z.object({
  key_id: z.string(),
  job_id: z.string(),
  api_key: z.string().nullable(),
  api_key_jwe: z.string().optional(),
  instructions: z.record(z.string(), z.unknown()),
});

const pollMs = 60;
const patienceMs = 120_000;
/** Who is signed in and has no token names a new receiver with every try: a key that nobody has to make is waited for. */
const requesterWaitSeconds = 5;
const requesterPollMs = 1_000;

/** Notes the key that an answer holds, if it holds one. */
export async function noteDelivery(world: World, vendor: VendorName, answer: Answer, token?: Secret): Promise<boolean> {
  const { data } = Issued.safeParse(answer.body);
  if (answer.status !== 200 || !data) return false;
  const { key_id: keyId, job_id: jobId, api_key_jwe: jwe, instructions } = data;
  let secret = data.api_key;
  if (jwe && token) {
    secret = await openSealed(jwe, token).then(
      (opened) => opened.reveal(),
      () => null,
    );
    if (secret === null) world.violations.add(`${keyId}: its receiver cannot open what was handed out`);
  }
  if (secret === null) return false;
  world.deliveries.push({ keyId, jobId, vendor, secret, instructions });
  return true;
}

/** Takes the key of a job as planned. Asks from the first moment on, so that a handoff which opens too early is caught. */
export async function claim(world: World, asked: Asked, plan: ClaimPlan): Promise<void> {
  if (plan === "never") return;
  // A person makes these keys: nobody polls for one with a request that has another made each time.
  if (plan === "as the requester" && asked.vendor !== "anthropic") return take(world, asked, null);
  const token = await tokenFor(world, asked, plan);
  if (!token) return;
  const takers = plan === "three at once" ? 3 : 1;
  await Promise.all(Array.from({ length: takers }, () => take(world, asked, token)));
  if (plan === "twice") await take(world, asked, token);
}

/** The claim token. Who lost it, with the answer or otherwise, names a new receiver. */
async function tokenFor({ client }: World, asked: Asked, plan: ClaimPlan): Promise<Secret | null> {
  if (asked.claimToken && plan !== "as the requester") return new Secret(asked.claimToken);
  const { publicKey, privateHalf } = makeReceiverPair();
  const named = await client.call("PUT", `/jobs/${asked.jobId}/receiver`, { public_key: publicKey });
  return named?.status === 202 ? privateHalf : null;
}

/** Polls until the key was taken, by whomever, or can no longer be. */
async function take(world: World, asked: Asked, token: Secret | null): Promise<void> {
  const path = `/jobs/${asked.jobId}/claim`;
  const body = token ? { claim_token: token.reveal() } : {};
  const options = { waitSeconds: token ? 0 : requesterWaitSeconds, anonymous: token !== null };
  const pauseMs = token ? pollMs : requesterPollMs;
  for (const deadline = Date.now() + patienceMs; Date.now() < deadline && world.isRunning(); await sleep(pauseMs)) {
    const answer = await world.client.call("POST", path, body, options);
    if (!answer || (await noteDelivery(world, asked.vendor, answer, token ?? undefined))) return;
    // Anything but "not yet" is final: taken, too late, revoked, sealed for somebody else by now, or the job has failed.
    if (answer.body.code !== "claim.not_ready") return;
  }
}
