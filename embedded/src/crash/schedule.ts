import type { VendorName } from "@keygate/simulator/start";
import { createRandom, type Random } from "./random.ts";
import { apiWrites, type WriteKind, workerWrites } from "./writes.ts";

/** How the key of a provision or rotation is taken. */
export type ClaimPlan =
  | "in the answer"
  | "as soon as possible"
  | "twice"
  | "three at once"
  | "as the requester"
  | "never";

/** What happens to a key after it was asked for. `afterMs` counts from the end of the operation before, or its request. */
export interface Step {
  kind: "rotate" | "revoke" | "expire" | "leave unclaimed" | "end the grace" | "cancel" | "retry";
  afterMs: number;
  /** Whether it comes while the operation before it is still under way. */
  overlaps: boolean;
  /** Of a rotation. */
  graceMinutes: number;
  claim: ClaimPlan;
}

/** A key's life, from its provision on. */
export interface Story {
  developer: number;
  vendor: VendorName;
  startMs: number;
  claim: ClaimPlan;
  steps: Step[];
}

/** An operation on all keys of one developer at once. */
export interface Sweeping {
  kind: "batch revoke" | "deactivate";
  developer: number;
  atMs: number;
}

export const faultKinds = ["drop", "500", "429", "502 html", "slow", "hang", "400", "401"] as const;
export type FaultKind = (typeof faultKinds)[number];
export type When = "before" | "during" | "after";
export type BeforeOrAfter = "before" | "after";

export type Disturbance =
  | { type: "fault"; vendor: VendorName; nth: number; when: When; kind: FaultKind; times: number }
  | { type: "kill at call"; vendor: VendorName; nth: number; when: When; everybody: boolean }
  | { type: "freeze at call"; vendor: VendorName; nth: number; when: When; forMs: number }
  | { type: "kill at write"; who: "worker" | "api"; what: WriteKind; nth: number; when: BeforeOrAfter }
  | { type: "freeze at write"; what: WriteKind; nth: number; when: BeforeOrAfter; forMs: number }
  | { type: "kill worker"; worker: number; atMs: number }
  | { type: "freeze worker"; worker: number; atMs: number; forMs: number }
  | { type: "kill api"; atMs: number }
  | { type: "flush redis"; atMs: number }
  | { type: "restart redis"; atMs: number }
  | { type: "restart postgres"; atMs: number; how: "fast" | "SIGKILL" };

export interface Schedule {
  seed: number;
  developers: number;
  stories: Story[];
  sweeping: Sweeping[];
  disturbances: Disturbance[];
  /** When everything at every vendor is looked through while all this goes on, in milliseconds; empty for most. */
  reconciles: number[];
  /** Whether the person who makes keys in a Console first brings one of another workspace. */
  bringsWrongKeys: boolean;
  /** Whether lists of the vendors lag behind their writes, for less than their settle time. */
  listsLag: boolean;
}

const refusals: readonly FaultKind[] = ["429", "400", "401"];
const claims = [
  "in the answer",
  "as soon as possible",
  "as soon as possible",
  "twice",
  "three at once",
  "as the requester",
] as const;
const whens = ["before", "during", "after", "after"] as const;
/** The window in which things happen, in milliseconds. */
const windowMs = 2_000;
/** A key's making takes 6 to 25 vendor calls: the first ones always come, the later ones reach what follows. */
const callsOften = 9;
const callsMax = 24;
/** How many writes of a kind a seed surely has, where that is more than a few. */
const writesOften: Partial<Record<WriteKind, number>> = { journal: 24, lease: 8, job: 6, commit: 6, audit: 6 };

/** Makes one seed's schedule: 3 to 6 operations and what disturbs them. */
export function makeSchedule(seed: number, vendors: readonly [VendorName, ...VendorName[]]): Schedule {
  const random = createRandom(seed);
  const developers = random.int(1, 2);
  const stories: Story[] = [];
  const sweeping: Sweeping[] = [];
  let left = random.int(3, 6);
  while (left > 0) {
    if (stories.length > 0 && random.chance(0.15)) {
      const kind = random.pick<Sweeping["kind"]>(["batch revoke", "deactivate"]);
      sweeping.push({ kind, developer: random.int(0, developers - 1), atMs: random.int(300, windowMs) });
      left -= 1;
      continue;
    }
    const story = makeStory(random, vendors, developers, Math.min(left, random.int(1, 4)));
    stories.push(story);
    left -= 1 + story.steps.length;
  }
  const used = stories.map((story) => story.vendor) as [VendorName, ...VendorName[]];
  return {
    seed,
    developers,
    stories,
    sweeping,
    disturbances: disturb(random, used),
    reconciles: random.chance(0.25) ? Array.from({ length: random.int(1, 3) }, () => random.int(0, windowMs)) : [],
    bringsWrongKeys: random.chance(0.3),
    listsLag: random.chance(0.25),
  };
}

function makeStory(
  random: Random,
  vendors: readonly [VendorName, ...VendorName[]],
  developers: number,
  operations: number,
): Story {
  const steps: Step[] = [];
  let claim: ClaimPlan = random.chance(0.12) ? "never" : random.pick(claims);
  const first = claim;
  let graceRuns = false;
  for (let made = 1; made < operations; made++) {
    const kind: Step["kind"] =
      claim === "never"
        ? random.pick(["leave unclaimed", "revoke", "cancel"])
        : graceRuns && random.chance(0.6)
          ? "end the grace"
          : random.pick(["rotate", "rotate", "revoke", "expire", "cancel", "retry"]);
    if (kind === "rotate") claim = random.chance(0.12) ? "never" : random.pick(claims);
    const graceMinutes: number = kind === "rotate" ? random.pick([0, 0, 60]) : 0;
    if (kind !== "retry") graceRuns = kind === "rotate" ? graceMinutes > 0 : false;
    steps.push({
      kind,
      afterMs: random.int(0, 250),
      overlaps: random.chance(kind === "cancel" || kind === "retry" ? 1 : 0.3),
      graceMinutes,
      claim,
    });
    if (kind !== "rotate" && kind !== "end the grace" && kind !== "retry" && random.chance(0.7)) break;
  }
  return {
    developer: random.int(0, developers - 1),
    vendor: random.pick(vendors),
    startMs: random.int(0, 600),
    claim: first,
    steps,
  };
}

function disturb(random: Random, used: readonly [VendorName, ...VendorName[]]): Disturbance[] {
  const made: Disturbance[] = [];
  const call = () => ({
    vendor: random.pick(used),
    nth: random.int(1, random.chance(0.6) ? callsOften : callsMax),
    when: random.pick(whens),
  });
  for (let n = random.int(1, 4); n > 0; n--) {
    const { when, ...at } = call();
    const kind = random.pick(faultKinds);
    // A vendor that refuses has done nothing.
    const fault = { ...at, kind, when: refusals.includes(kind) ? ("before" as const) : when };
    made.push({ type: "fault", ...fault, times: random.pick([1, 1, 1, 2, 3]) });
  }
  const atMs = () => random.int(100, windowMs);
  // Past its lease (2 s), and past the time in which the queue gives its job to another worker (4 s) that comes far.
  const forMs = () => random.int(4_500, 6_500);
  // A vendor acts on what it was sent before anybody has given up on it; only the answer waits.
  const answered = (): When => random.pick(["during", "after", "after"]);
  const write = <T extends WriteKind>(kinds: readonly [T, ...T[]]) => {
    const what = random.pick(kinds);
    return { what, nth: random.int(1, writesOften[what] ?? 4), when: random.pick(["before", "after"] as const) };
  };
  const processes: readonly (readonly [number, () => Disturbance])[] = [
    [0.3, () => ({ type: "kill at call", ...call(), everybody: random.chance(0.3) })],
    [0.35, () => ({ type: "kill at write", who: "worker", ...write(workerWrites) })],
    [0.15, () => ({ type: "kill at write", who: "api", ...write(apiWrites) })],
    [0.15, () => ({ type: "freeze at write", ...write(workerWrites), forMs: forMs() })],
    [0.15, () => ({ type: "kill worker", worker: random.int(0, 1), atMs: atMs() })],
    [
      0.25,
      () => ({ type: "freeze at call", ...call(), nth: random.int(1, callsOften), when: answered(), forMs: forMs() }),
    ],
    [0.1, () => ({ type: "freeze worker", worker: random.int(0, 1), atMs: atMs(), forMs: forMs() })],
    [0.12, () => ({ type: "kill api", atMs: atMs() })],
    [0.12, () => ({ type: "flush redis", atMs: atMs() })],
    [0.08, () => ({ type: "restart redis", atMs: atMs() })],
    [0.12, () => ({ type: "restart postgres", atMs: atMs(), how: random.pick(["fast", "SIGKILL"]) })],
  ];
  for (const [probability, make] of processes) if (random.chance(probability)) made.push(make());
  return made;
}

/** How many operations a schedule has. */
export const operationsOf = ({ stories, sweeping }: Schedule): number =>
  sweeping.length + stories.reduce((sum, story) => sum + 1 + story.steps.length, 0);

/** The schedule as lines for people. */
export function describeSchedule(schedule: Schedule): string[] {
  const stories = schedule.stories.map(({ developer, vendor, startMs, claim, steps }, index) => {
    const then = steps.map((step) => {
      const grace = step.kind === "rotate" ? ` (grace ${step.graceMinutes} min, claimed ${step.claim})` : "";
      return `${step.kind}${grace} ${step.overlaps ? "meanwhile, " : ""}+${step.afterMs} ms`;
    });
    return `key ${index + 1}: developer ${developer}, at ${startMs} ms provision ${vendor} (claimed ${claim})${then.map((text) => `; ${text}`).join("")}`;
  });
  const sweeping = schedule.sweeping.map(({ kind, developer, atMs }) => `at ${atMs} ms ${kind} developer ${developer}`);
  const disturbances = schedule.disturbances.map((one) => {
    if (!("nth" in one)) return `at ${one.atMs} ms ${JSON.stringify(one)}`;
    if ("what" in one) return `at write ${one.nth} of ${one.what}: ${JSON.stringify(one)}`;
    return `at call ${one.nth} of ${one.vendor}: ${JSON.stringify(one)}`;
  });
  return [
    ...stories,
    ...sweeping,
    ...disturbances,
    ...schedule.reconciles.map((atMs) => `at ${atMs} ms everything is reconciled`),
    ...(schedule.bringsWrongKeys ? ["the person brings wrong keys first"] : []),
    ...(schedule.listsLag ? ["vendors' lists lag 150 ms"] : []),
  ];
}
