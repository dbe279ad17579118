import { setTimeout as sleep } from "node:timers/promises";
import type { VendorName } from "@keygate/simulator/start";
import { z } from "zod";
import { claim, noteDelivery } from "./claims.ts";
import type { Schedule, Step, Story, Sweeping } from "./schedule.ts";
import type { Asked, World } from "./world.ts";

const Accepted = z.object({ job_id: z.string(), key_id: z.string(), claim_token: z.string().nullish() });
const Ids = z.object({ key_id: z.string(), job_id: z.string() });
const Id = z.object({ id: z.string() });
const State = z.object({ state: z.string() });
const Nothing = z.unknown();

const finalStates = ["succeeded", "failed", "cancelled"];
const ownWaitMs = 90_000;

/** Makes the schedule's developers and runs everything it asks for. Ends when every operation has been asked for and every claim has ended. */
export async function operate(world: World, schedule: Schedule): Promise<void> {
  const names = Array.from({ length: schedule.developers }, (_, index) => `${schedule.seed}-${index}-${Date.now()}`);
  const developers = await Promise.all(
    names.map(async (name) => {
      const body = { name: "Ada Lovelace", email: `ada.${name}@crash.test`, team: "engines" };
      const answer = await world.client.call("POST", "/developers", body, { idempotencyKey: `developer-${name}` });
      const made = z.object({ id: z.string() }).safeParse(answer?.body).data;
      // A repeat gets the answer that died with the API; only where no answer came at all is it looked up.
      const isUnknown = !answer || answer.status >= 500;
      const [found] =
        made || !isUnknown
          ? [made]
          : await world.lane.ask(Id, "select id from developers where email = $1", [body.email]);
      if (!found) throw new Error(`No developer was made: ${JSON.stringify(answer)}`);
      return found.id;
    }),
  );
  const idOf = (index: number) => developers[index % developers.length] ?? "";
  await Promise.all([
    ...schedule.stories.map((story, index) => live(world, story, idOf(story.developer), `${names[0]}-${index}`)),
    ...schedule.sweeping.map((one) => sweep(world, one, idOf(one.developer))),
    ...schedule.reconciles.map(async (atMs) => {
      await sleep(atMs);
      await reconcileAll(world);
    }),
  ]);
}

/** Asks for a look at everything at every vendor. */
export async function reconcileAll({ client }: World): Promise<void> {
  await client.call("POST", "/reconcile", {}, { waitSeconds: 0 });
}

async function sweep({ client }: World, { kind, atMs }: Sweeping, developerId: string): Promise<void> {
  await sleep(atMs);
  if (kind === "deactivate") await client.call("DELETE", `/developers/${developerId}`, undefined, { waitSeconds: 0 });
  else await client.call("POST", "/keys/revoke", { developer_id: developerId }, { waitSeconds: 0 });
}

async function live(world: World, story: Story, developerId: string, name: string): Promise<void> {
  const { vendor } = story;
  const models = vendor === "openai" || vendor === "azure_openai" ? { models_allowed: ["gpt-4o"] } : {};
  const body = { developer_id: developerId, vendor, description: name, ...models };
  await sleep(story.startMs);
  let asked = await ask(world, "/keys/provision", body, story.claim, `${name}-provision`, { vendor, name });
  const claims = [asked ? claim(world, asked, story.claim) : null];
  for (const [index, step] of story.steps.entries()) {
    if (!asked) break;
    if (!step.overlaps) {
      await untilEnded(world, asked.jobId);
      // What follows in an orderly life follows when the key is in hand.
      await claims.at(-1);
    }
    await sleep(step.afterMs);
    const next = await perform(world, asked, step, `${name}-${index}`);
    if (next) {
      asked = next;
      claims.push(claim(world, next, step.claim));
    }
  }
  await Promise.all(claims);
}

/** Asks for a key. An answer that never came is looked up as an operator would: by what was asked for. */
async function ask(
  world: World,
  path: string,
  body: unknown,
  claimed: Story["claim"],
  idempotencyKey: string,
  whose: { vendor: VendorName; name: string } | { vendor: VendorName; replaces: string },
): Promise<Asked | null> {
  const waitSeconds = claimed === "in the answer" ? 5 : 0;
  const answer = await world.client.call("POST", path, body, { idempotencyKey, waitSeconds });
  const { vendor } = whose;
  if (answer) await noteDelivery(world, vendor, answer);
  const accepted = Accepted.safeParse(answer?.body).data;
  if (accepted) {
    return { keyId: accepted.key_id, jobId: accepted.job_id, vendor, claimToken: accepted.claim_token ?? null };
  }
  const [column, value] = "name" in whose ? ["description", whose.name] : ["replaces_id", whose.replaces];
  const [found] = await world.lane.ask(
    Ids,
    `select jobs.key_id, jobs.id as job_id from jobs join keys on keys.id = jobs.key_id
     where keys.${column} = $1 and jobs.kind in ('provision', 'rotate') order by jobs.id desc limit 1`,
    [value],
  );
  return found ? { keyId: found.key_id, jobId: found.job_id, vendor, claimToken: null } : null;
}

async function perform(world: World, asked: Asked, step: Step, name: string): Promise<Asked | null> {
  const { client, lane } = world;
  const { keyId, jobId, vendor } = asked;
  switch (step.kind) {
    case "rotate": {
      const body = { grace_period_minutes: step.graceMinutes };
      return ask(world, `/keys/${keyId}/rotate`, body, step.claim, `${name}-rotate`, { vendor, replaces: keyId });
    }
    case "revoke":
      await client.call("POST", `/keys/${keyId}/revoke`, {}, { waitSeconds: 0 });
      return null;
    case "cancel":
      await client.call("POST", `/jobs/${jobId}/cancel`, {}, { waitSeconds: 0 });
      return null;
    case "retry":
      await client.call("POST", `/jobs/${jobId}/retry`, {}, { waitSeconds: 0 });
      return null;
    // Time passes by moving what is due: Postgres is the clock.
    case "expire":
      await lane.ask(Nothing, "update keys set expires_at = now() where id = $1 and status in ('active', 'retiring')", [
        keyId,
      ]);
      return null;
    case "end the grace":
      await lane.ask(Nothing, "update keys set retire_at = now() where replaced_by_id = $1 and retire_at is not null", [
        keyId,
      ]);
      return null;
    case "leave unclaimed":
      await untilEnded(world, jobId);
      await lane.ask(Nothing, "update jobs set claim_until = now() where id = $1 and claim_until is not null", [jobId]);
      return null;
  }
}

/** Waits until the job has ended, or waits for something that only another operation brings. Bounded. */
export async function untilEnded(world: World, jobId: string): Promise<string> {
  for (const deadline = Date.now() + ownWaitMs; Date.now() < deadline && world.isRunning(); await sleep(100)) {
    const [job] = await world.lane.ask(State, "select state from jobs where id = $1", [jobId]);
    if (!job || finalStates.includes(job.state)) return job?.state ?? "absent";
  }
  return "unended";
}
