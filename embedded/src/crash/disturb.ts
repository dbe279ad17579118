import { setTimeout as sleep } from "node:timers/promises";
import type { FaultSpec } from "@keygate/simulator/core";
import { type Lane, lastHeard, type ProcessName, workerName } from "./lane.ts";
import type { Disturbance, FaultKind, Schedule } from "./schedule.ts";
import { serverOf, vendorNames, type World } from "./world.ts";

/** What was done, by kind: a disturbance of a call that never came is not counted. */
export type Tally = Map<string, number>;

const effects: Record<FaultKind, FaultSpec["do"]> = {
  drop: { type: "drop" },
  "500": { type: "respond", status: 500, body: { error: { message: "simulated" } } },
  "429": { type: "respond", status: 429, headers: { "retry-after": "0" }, body: {} },
  "502 html": {
    type: "respond",
    status: 502,
    headers: { "content-type": "text/html" },
    text: "<h1>Bad gateway</h1>",
  },
  slow: { type: "delay", ms: 700 },
  hang: { type: "hang" },
  // Refusals in the shapes that every vendor's errors are read in, with the code that each gives its own.
  "400": {
    type: "respond",
    status: 400,
    body: {
      type: "error",
      error: {
        type: "invalid_request_error",
        code: "InvalidRequest",
        status: "INVALID_ARGUMENT",
        message: "simulated",
      },
    },
  },
  "401": {
    type: "respond",
    status: 401,
    body: {
      type: "error",
      error: {
        type: "authentication_error",
        code: "InvalidAuthenticationToken",
        status: "UNAUTHENTICATED",
        message: "simulated",
      },
    },
  },
};

/** How long a call that somebody is to be killed at is waited for. */
const callPatienceMs = 4_000;

/** Disturbs as the schedule says. Ends when all has been done that will be; faults that nobody ran into stay. */
export async function disturb(world: World, { disturbances, listsLag }: Schedule, tally: Tally): Promise<void> {
  if (listsLag) setListLag(world.lane, 150);
  const count = (what: string) => tally.set(what, (tally.get(what) ?? 0) + 1);
  await Promise.all(disturbances.map((one) => disturbOnce(world.lane, one, count)));
}

/** Takes every fault away, as when a network heals, and counts those that somebody ran into. */
export function calm({ lane, refusals }: World, tally: Tally): void {
  for (const vendor of vendorNames) {
    const server = serverOf(lane, vendor);
    for (const { id, hits } of server.faults.list()) {
      const [what] = id.split("#");
      if (what && hits > 0) tally.set(what, (tally.get(what) ?? 0) + hits);
      if (what?.startsWith("400")) refusals.set(vendor, (refusals.get(vendor) ?? 0) + hits);
    }
    // What hangs is cut off: a call that takes effect long after everybody has given up on it is beyond any caller.
    server.faults.cancel();
  }
  setListLag(lane, 0);
}

/** Less than the settle time that the workers are told, so that they have every chance to be right. */
function setListLag(lane: Lane, ms: number): void {
  for (const vendor of vendorNames) {
    const server = serverOf(lane, vendor);
    if ("list_lag_ms" in server.settings()) server.mergeSettings({ list_lag_ms: ms });
  }
}

let faults = 0;
const faultId = (what: string) => `${what}#${++faults}`;

async function disturbOnce(lane: Lane, one: Disturbance, count: (what: string) => void): Promise<void> {
  if (one.type === "fault") {
    const { vendor, nth, when, kind, times } = one;
    const id = faultId(`${kind} ${when}`);
    serverOf(lane, vendor).faults.add({ id, match: { nth }, times, when, do: effects[kind] });
    return;
  }
  if (one.type === "kill at call" || one.type === "freeze at call") {
    const victims = await caughtAtCall(lane, one);
    if (victims.length === 0) return;
    count(one.type);
    if (one.type === "kill at call") return killAll(lane, victims);
    const frozen = freezeAll(lane, victims, one.forMs);
    // The answer lies there when it wakes: it goes on where it was, not knowing how late it is.
    serverOf(lane, one.vendor).faults.release(heldBy(one));
    return frozen;
  }
  if (one.type === "kill at write" || one.type === "freeze at write") return disturbAtWrite(lane, one, count);
  await sleep(one.atMs);
  switch (one.type) {
    case "kill worker":
      count(one.type);
      return killAll(lane, [workerName(one.worker)]);
    case "freeze worker":
      count(one.type);
      return freezeAll(lane, [workerName(one.worker)], one.forMs);
    case "kill api":
      count(one.type);
      await lane.kill("api");
      await lane.revive();
      // The locks of requests that died with the process run out by themselves, in a minute and a half.
      await lane.unlockRequests();
      return;
    case "flush redis":
      if (!lane.redis) return;
      count(one.type);
      return lane.redis.flush();
    case "restart redis":
      if (!lane.redis) return;
      count(one.type);
      await lane.redis.kill();
      return lane.redis.restart();
    case "restart postgres":
      count(`${one.type} (${one.how})`);
      if (one.how === "SIGKILL") await lane.postgres.kill();
      return lane.postgres.restart();
  }
}

type AtWrite = Extract<Disturbance, { type: "kill at write" | "freeze at write" }>;

async function disturbAtWrite(lane: Lane, one: AtWrite, count: (what: string) => void): Promise<void> {
  const isApi = one.type === "kill at write" && one.who === "api";
  const names: readonly ProcessName[] = isApi ? ["api"] : ["worker-0", "worker-1"];
  const whose = await lane.holdWrite(names, one, callPatienceMs);
  if (!whose) return;
  count(`${one.type} (${isApi ? "api" : "worker"}: ${one.what}, ${one.when})`);
  if (one.type === "kill at write") await lane.kill(whose);
  else await freezeAll(lane, [whose], one.forMs);
  // A statement that was held while its process stood still reaches PostgreSQL now: far too late.
  lane.releaseWrites();
  await lane.revive();
  if (isApi) await lane.unlockRequests();
}

type AtCall = Extract<Disturbance, { type: "kill at call" | "freeze at call" }>;
const held = new WeakMap<AtCall, string>();
const heldBy = (one: AtCall): string => held.get(one) ?? "";

/** Holds the call in question, and tells which workers it catches. */
async function caughtAtCall(lane: Lane, one: AtCall): Promise<ProcessName[]> {
  const { faults } = serverOf(lane, one.vendor);
  const id = faultId("held for a kill");
  held.set(one, id);
  faults.add({ id, match: { nth: one.nth }, when: one.when, do: { type: "hang" } });
  const isHit = await Promise.race([
    faults.waitForHit(id).then(() => true),
    sleep(callPatienceMs, false, { ref: false }),
  ]).catch(() => false);
  if (!isHit) return [];
  return one.type === "kill at call" && one.everybody ? ["worker-0", "worker-1"] : [lastHeard(lane)];
}

async function killAll(lane: Lane, names: readonly ProcessName[]): Promise<void> {
  await Promise.all(names.map((name) => lane.kill(name)));
  await lane.revive();
}

async function freezeAll(lane: Lane, names: readonly ProcessName[], forMs: number): Promise<void> {
  for (const name of names) lane.freeze(name);
  await sleep(forMs);
  for (const name of names) lane.wake(name);
}
