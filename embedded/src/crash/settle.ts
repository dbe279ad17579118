import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import { lookForEarlyEnds } from "./checks.ts";
import type { World } from "./world.ts";

const Open = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.string(),
  step: z.string().nullable(),
  error: z.unknown(),
  waiting: z.string().nullable(),
});
const Nothing = z.unknown();
type Open = z.infer<typeof Open>;

const settleMs = 180_000;
const pollMs = 120;
/** How often what is due later is pulled to now. */
const pullMs = 400;

/** What still goes on: unfinished jobs, and what is due and has not been asked for yet. */
async function whatGoesOn({ lane }: World): Promise<Open[]> {
  return lane.ask(
    Open,
    `select id, kind, state, step, error, waiting ->> 'reason' as waiting from jobs where state not in ('succeeded', 'failed', 'cancelled')
     union all
     select id, 'key', status, 'its end is due', null, null from keys
     where status in ('active', 'retiring') and (expires_at <= now() or (status = 'retiring' and retire_at <= now()))
     union all
     select id, kind, state, 'its claim is over', null, null from jobs
     where state = 'succeeded' and claimed_at is null and claim_until <= now()`,
  );
}

/** Lets minutes pass at once: what waits for a later try is due now. What is due already is left to the sweep alone. */
async function pullToNow({ lane }: World): Promise<void> {
  await lane.ask(
    Nothing,
    `update jobs set run_at = now(), enqueued_at = null
     where state in ('queued', 'running', 'waiting_for_vendor', 'compensating', 'needs_attention')
       and run_at > now() and vendor is not null and (lease_until is null or lease_until <= now())`,
  );
}

/** Waits until nothing goes on any more, looking all the while for keys that are called ended too early. */
export async function settle(world: World): Promise<boolean> {
  const deadline = Date.now() + settleMs;
  let pulledAt = 0;
  for (;;) {
    await lookForEarlyEnds(world);
    const open = await whatGoesOn(world);
    if (open.length === 0) return true;
    if (Date.now() > deadline) {
      for (const { id, kind, state, step, error, waiting } of open) {
        world.violations.add(`${kind} ${id} did not end: ${state}, ${step}, ${JSON.stringify(error)}, ${waiting}`);
      }
      return false;
    }
    if (Date.now() - pulledAt > pullMs) {
      pulledAt = Date.now();
      await pullToNow(world);
    }
    await sleep(pollMs);
  }
}
