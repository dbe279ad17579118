import { setTimeout as sleep } from "node:timers/promises";
import type { VendorName } from "@keygate/simulator/start";
import { checkAll, checkFindings, checkNothingLeft, openKeyIds } from "./checks.ts";
import { calm, disturb, type Tally } from "./disturb.ts";
import type { Lane } from "./lane.ts";
import { operate, reconcileAll } from "./operations.ts";
import { playPerson } from "./person.ts";
import { describeSchedule, makeSchedule, operationsOf } from "./schedule.ts";
import { settle } from "./settle.ts";
import { openWorld, type World } from "./world.ts";

/** What came of one seed. */
export interface SeedResult {
  seed: number;
  operations: number;
  /** Faults and kills that took place, by kind. */
  tally: Tally;
  durationMs: number;
  /** In words; none when everything held. */
  violations: string[];
  /** For a failure: the schedule, and the last lines of every process. */
  story: string[];
}

/** Ends what hangs. Far longer than any disturbance takes with its restarts, also where many runs share a machine. */
const disturbanceMaxMs = 180_000;
const operationsMaxMs = 300_000;
/** When the calls of a seed have met what they should, faults that nobody ran into are taken away. */
const calmAfterMs = 2_500;
const logLinesShown = 25;
const logLineMax = 400;

/** Runs one seed in a lane whose vendors are empty, and leaves them empty when everything held. */
export async function runSeed(
  lane: Lane,
  seed: number,
  vendors: readonly [VendorName, ...VendorName[]],
): Promise<SeedResult> {
  const begun = Date.now();
  const schedule = makeSchedule(seed, vendors);
  const tally: Tally = new Map();
  let isRunning = true;
  for (const log of lane.logs.values()) log.mark();
  const world = await openWorld(lane, () => isRunning);
  const person = playPerson(world, schedule.bringsWrongKeys);
  // What it runs into while everything is being torn down is no longer of interest.
  person.catch(() => {});
  try {
    await live(world, schedule, tally);
  } catch (error) {
    world.violations.add(`the run itself failed: ${error instanceof Error ? error.stack : String(error)}`);
  } finally {
    isRunning = false;
    await person.catch((error: unknown) => world.violations.add(`the person failed: ${String(error)}`));
  }
  const violations = [...world.violations];
  return {
    seed,
    operations: operationsOf(schedule),
    tally,
    durationMs: Date.now() - begun,
    violations,
    story: violations.length > 0 ? tell(lane, describeSchedule(schedule), violations) : [],
  };
}

async function live(world: World, schedule: ReturnType<typeof makeSchedule>, tally: Tally): Promise<void> {
  const operations = operate(world, schedule);
  const disturbances = disturb(world, schedule, tally);
  operations.catch(() => {});
  await within(
    disturbanceMaxMs,
    "the disturbances",
    Promise.all([disturbances, Promise.race([operations, sleep(calmAfterMs)])]),
  );
  calm(world, tally);
  await world.lane.revive();
  // Claims and later operations of a story go on while what waits is pulled to now.
  let areOver = false;
  const over = within(operationsMaxMs, "the operations", operations).finally(() => {
    areOver = true;
  });
  over.catch(() => {});
  while (!areOver) {
    // What does not end has been noted; whoever still waits for it is stopped.
    if (!(await settle(world))) return;
    await Promise.race([over, sleep(200)]).catch(() => {});
  }
  await over;
  if (!(await settle(world))) return;
  await checkAll(world);
  if (world.violations.size > 0) return;
  if (schedule.reconciles.length > 0) {
    await reconcileAll(world);
    if (!(await settle(world))) return;
    await checkFindings(world);
  }
  await endEverything(world);
}

/** Revokes what is left, so that nothing at all may stand at the vendors, and the next seed begins with empty ones. */
async function endEverything(world: World): Promise<void> {
  const keyIds = await openKeyIds(world);
  if (keyIds.length > 0) await world.client.call("POST", "/keys/revoke", { key_ids: keyIds }, { waitSeconds: 0 });
  if (await settle(world)) await checkNothingLeft(world);
}

async function within<T>(ms: number, what: string, work: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`${what} did not end in ${ms / 1000} s`)), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Polls for a key that is not there yet fill the log and tell nothing. */
const isNoise = (line: string) => /"status":409|claim\.not_ready|audit\.sealed/.test(line);

function tell(lane: Lane, schedule: string[], violations: string[]): string[] {
  const ids = [...new Set(violations.flatMap((text) => text.match(/\b(?:key|job)-[0-9a-z-]{20,}/g) ?? []))];
  const logs = [...lane.logs].flatMap(([name, log]) => {
    const lines = log
      .sinceMark()
      .trimEnd()
      .split("\n")
      .filter((line) => !isNoise(line));
    const about = lines.filter((line) => ids.some((id) => line.includes(id)));
    const shown = (about.length > 0 ? about : lines).slice(-logLinesShown);
    return [`  --- ${name}`, ...shown.map((line) => `  ${line.slice(0, logLineMax)}`)];
  });
  return [...schedule.map((line) => `  ${line}`), ...logs];
}
