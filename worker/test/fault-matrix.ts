import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { KeyId } from "@keygate/shared/contracts/ids";
import { jobRows } from "@keygate/shared/db/jobs";
import type { Secret } from "@keygate/shared/secret";
import type { FaultSpec } from "@keygate/simulator/core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningFixture, VendorFixture } from "./fixtures/fixture.ts";
import { type Asked, type Backend, createHarness, type Harness } from "./harness.ts";

type Operation = "provision" | "rotate" | "revoke";
const operations: readonly Operation[] = ["provision", "rotate", "revoke"];

/** A disturbance of one vendor call, and whether the operation may end by failing because of it. */
interface Disturbance {
  name: string;
  fault: Pick<FaultSpec, "when" | "do">;
  mayFail: boolean;
}

const disturbances: readonly Disturbance[] = [
  {
    name: "the connection drops before the vendor sees it",
    fault: { when: "before", do: { type: "drop" } },
    mayFail: false,
  },
  { name: "the answer is lost", fault: { when: "after", do: { type: "drop" } }, mayFail: false },
  { name: "the connection breaks within the answer", fault: { when: "during", do: { type: "drop" } }, mayFail: false },
  {
    name: "the vendor answers 500",
    fault: { when: "before", do: { type: "respond", status: 500, body: { error: { message: "simulated" } } } },
    mayFail: false,
  },
  {
    name: "the vendor acts and answers 502 with a web page",
    fault: {
      when: "after",
      do: { type: "respond", status: 502, headers: { "content-type": "text/html" }, text: "<h1>Bad gateway</h1>" },
    },
    mayFail: false,
  },
  {
    name: "the vendor answers 429",
    fault: { when: "before", do: { type: "respond", status: 429, headers: { "retry-after": "0" }, body: {} } },
    mayFail: false,
  },
  {
    name: "the vendor refuses with 400",
    fault: { when: "before", do: { type: "respond", status: 400, body: { error: { message: "simulated refusal" } } } },
    mayFail: true,
  },
];

interface Lane {
  fixture: RunningFixture;
  world: Harness;
  /** A worker process that outlived the last kill: starting one costs more than all that it then does. */
  survivor: ChildProcess | null;
}

/** The queue's backends of a matrix that costs too much to run on both each time. `ALL=1` is what `npm run test:all` sets. */
export const matrixBackends: readonly Backend[] = process.env.ALL ? ["redis", "postgres"] : ["redis"];

/**
 * After which calls workers are killed. A kill after a call that only reads leaves what a kill before it leaves, except
 * in the journal, and that the conformance tests break at each call and at each write.
 */
type Kills = "each call" | "calls that change something";
export const matrixKills: Kills = process.env.ALL ? "each call" : "calls that change something";

/**
 * One of how many disturbances of a call is tried, another one at the next call: with as many as there are, each call of
 * an operation is disturbed once, and each disturbance meets every so manieth call. For vendors with many calls.
 */
export const matrixShare = process.env.ALL ? 1 : disturbances.length;

/** Of the numbers each `share`th, beginning elsewhere for each `turn`; never none. */
function shareOf(numbers: readonly number[], share: number, turn: number): readonly number[] {
  const picked = numbers.filter((n) => n % share === turn % share);
  return picked.length > 0 ? picked : numbers.slice(turn % numbers.length, (turn % numbers.length) + 1);
}

/** What one run did, so that the vendor's books can be held against it. */
interface Held {
  asked: Asked[];
  secrets: Map<KeyId, Secret>;
}

const lanesPerBackend = 4;
const working: readonly string[] = ["active", "retiring"];

/**
 * For each vendor call of provision, rotate and revoke, each disturbance: the job ends right, the vendor accepts exactly
 * the keys that KeyGate calls live, and once they are revoked nothing that KeyGate made is left. The calls are counted
 * in an undisturbed run, so a new step is covered by being there.
 */
export function describeFaultMatrix(
  vendor: VendorFixture,
  backends: readonly Backend[],
  env: Record<string, string> = {},
  kills: Kills = "each call",
  share = 1,
) {
  describe.each(backends)(`${vendor.id} under faults on the %s queue`, (backend) => {
    const lanes: Lane[] = [];
    const workers: { close(): Promise<void> }[] = [];
    const calls = new Map<Operation, readonly string[]>();

    beforeAll(async () => {
      for (let index = 0; index < lanesPerBackend; index++) {
        const fixture = await vendor.start();
        const world = await createHarness({ backend, env: { ...env, ...fixture.env }, ...worldOf(fixture) });
        lanes.push({ fixture, world, survivor: null });
        workers.push(world.start());
      }
      const [lane] = lanes;
      if (!lane) throw new Error("no lane");
      for (const operation of operations) calls.set(operation, await listCalls(lane, operation));
    }, 300_000);
    afterAll(async () => {
      for (const worker of workers) await worker.close();
      for (const { world, fixture } of lanes) {
        await world.close();
        await fixture.close();
      }
    }, 120_000);

    for (const [turn, operation] of operations.entries()) {
      it.each(disturbances.map((disturbance, index) => ({ ...disturbance, index })))(
        `${operation} ends right when at any one call $name`,
        async ({ index, ...disturbance }) => {
          const numbers = numbersOf(calls.get(operation) ?? [], () => true);
          await spread(lanes, shareOf(numbers, share, index + turn), (lane, n) =>
            disturbOnce(lane, operation, n, disturbance),
          );
        },
        600_000,
      );
    }
  });

  describe.each(backends)(`${vendor.id} when workers are killed, on the %s queue`, (backend) => {
    const lanes: Lane[] = [];
    // Each lane costs a start of a worker of its own before the first kill.
    const lanesForKills = kills === "each call" ? lanesPerBackend : 2;
    beforeAll(async () => {
      for (let index = 0; index < lanesForKills; index++) {
        const fixture = await vendor.start();
        const world = await createHarness({
          backend,
          env: { LEASE_SECONDS: "2", ...env, ...fixture.env },
          ...worldOf(fixture),
        });
        lanes.push({ fixture, world, survivor: null });
      }
    }, 300_000);
    afterAll(async () => {
      for (const { world, fixture, survivor } of lanes) {
        if (survivor) await endProcess(survivor, "SIGTERM");
        await world.close();
        await fixture.close();
      }
    }, 120_000);

    it.each(operations)(
      "%s ends right when the worker is killed with SIGKILL at any one call, just after the vendor acted",
      async (operation) => {
        const [first] = lanes;
        if (!first) throw new Error("no lane");
        const worker = first.world.start();
        const methods = await listCalls(first, operation);
        await worker.close();
        const numbers = numbersOf(methods, (method) => kills === "each call" || method !== "GET");
        await spread(lanes, numbers, (lane, n) => killOnce(lane, operation, n));
      },
      600_000,
    );
  });
}

/** The numbers of the calls that are meant, counted from 1; the last one always is, since something has to be. */
function numbersOf(methods: readonly string[], isMeant: (method: string) => boolean): number[] {
  expect(methods.length).toBeGreaterThan(0);
  return methods.flatMap((method, index) => (isMeant(method) || index === methods.length - 1 ? [index + 1] : []));
}

/** Works the numbers off, each lane taking the next when it is free. */
async function spread(
  lanes: readonly Lane[],
  numbers: readonly number[],
  run: (lane: Lane, n: number) => Promise<void>,
) {
  const waiting = [...numbers];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let n = waiting.shift(); n !== undefined; n = waiting.shift()) await run(lane, n);
    }),
  );
}

const worldOf = ({ settings, makeKeyByHand }: RunningFixture) => ({
  settings,
  ...(makeKeyByHand ? { makeKeyByHand } : {}),
});

async function take(held: Held, asked: Asked): Promise<void> {
  const secret = await asked.take();
  if (secret) held.secrets.set(asked.keyId, secret);
}

/** Everything up to the operation, undisturbed. */
async function prepare({ world }: Lane, operation: Operation): Promise<Held> {
  const held: Held = { asked: [], secrets: new Map() };
  if (operation === "provision") return held;
  const asked = await world.provision();
  held.asked.push(asked);
  await world.settle(asked.jobId, "succeeded");
  await take(held, asked);
  return held;
}

async function perform({ world }: Lane, operation: Operation, held: Held) {
  const [first] = held.asked;
  if (operation !== "provision" && !first) throw new Error("nothing was prepared");
  if (operation === "revoke" && first) return { jobId: await world.revoke(first.keyId), asked: null };
  const asked = operation === "rotate" && first ? await world.rotate(first.keyId) : await world.provision();
  held.asked.push(asked);
  return { jobId: asked.jobId, asked };
}

/** Lets the operation end, pushing on what waits for a person's push. */
async function conclude({ world }: Lane, jobId: Asked["jobId"]) {
  const job = await world.settle(jobId, "succeeded", "failed", "cancelled", "needs_attention");
  if (job.state !== "needs_attention") return job;
  const row = await jobRows(world.deps.db).retryNow(jobId);
  if (row) await world.deps.enqueue([row]);
  return world.settle(jobId);
}

/** The methods of the calls that the operation makes when nothing disturbs it. */
async function listCalls(lane: Lane, operation: Operation): Promise<string[]> {
  const held = await prepare(lane, operation);
  const before = lane.fixture.servers[0]?.calls().length ?? 0;
  const { jobId, asked } = await perform(lane, operation, held);
  await lane.world.settle(jobId, "succeeded");
  const made = (lane.fixture.servers[0]?.calls() ?? []).slice(before);
  if (asked) await take(held, asked);
  await verify(lane, held);
  return made.map(({ method }) => method);
}

async function disturbOnce(lane: Lane, operation: Operation, n: number, disturbance: Disturbance) {
  const held = await prepare(lane, operation);
  const server = lane.fixture.servers[0];
  if (!server) throw new Error("no server");
  const id = server.faults.add({ match: { nth: n }, times: 1, ...disturbance.fault });
  const { jobId, asked } = await perform(lane, operation, held);
  const job = await conclude(lane, jobId);
  const hits = server.faults.list().find((fault) => fault.id === id)?.hits;
  server.faults.clear();
  expect(hits, `call ${n} was disturbed`).toBe(1);
  if (!disturbance.mayFail) expect(job.state, `call ${n}: ${JSON.stringify(job.error)}`).toBe("succeeded");
  if (asked) await take(held, asked);
  await verify(lane, held, `${operation}, call ${n}, ${disturbance.name}`);
}

async function killOnce(lane: Lane, operation: Operation, n: number) {
  const server = lane.fixture.servers[0];
  if (!server) throw new Error("no server");
  const first = lane.survivor ?? (await startWorkerProcess(lane.world));
  const held = await prepare(lane, operation);
  const fault = server.faults.add({ match: { nth: n }, times: 1, when: "after", do: { type: "hang" } });
  const { jobId, asked } = await perform(lane, operation, held);
  // Concluding gives waiting jobs what they wait for, without which the call in question may never come.
  const concluded = conclude(lane, jobId);
  concluded.catch(() => {});
  await Promise.race([server.faults.waitForHit(fault), concluded]);
  lane.survivor = null;
  await endProcess(first, "SIGKILL");
  const hits = server.faults.list().find(({ id }) => id === fault)?.hits;
  expect(hits, `call ${n} was reached`).toBe(1);
  server.faults.clear();
  lane.survivor = await startWorkerProcess(lane.world);
  const job = await concluded;
  expect(job.state, `call ${n}: ${JSON.stringify(job.error)}`).toBe("succeeded");
  if (asked) await take(held, asked);
  await verify(lane, held, `${operation}, killed at call ${n}`);
}

/** Sends the signal and waits for the end; one that has ended already is left alone. */
export async function endProcess(child: ChildProcess, signal: "SIGKILL" | "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
}

/** A worker in a process of its own, that listens to its queue. */
export async function startWorkerProcess(world: Harness): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "../src/main.ts"), {
    env: { PATH: process.env.PATH, ...world.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => world.logLines.push(String(data)));
  await once(child, "message");
  return child;
}

/** The vendor's books against KeyGate's: first with the keys alive, then after all of them were revoked. */
async function verify({ fixture, world }: Lane, held: Held, where = "undisturbed") {
  const live: string[] = [];
  for (const { keyId } of held.asked) {
    if (!working.includes(await world.statusOf(keyId))) continue;
    const secret = held.secrets.get(keyId);
    expect(secret, `${where}: a live key was delivered`).toBeDefined();
    if (secret) live.push(fixture.digest(secret));
  }
  expect(fixture.liveKeys().sort(), `${where}: keys that work`).toEqual(live.sort());
  for (const { keyId } of held.asked) {
    if (working.includes(await world.statusOf(keyId))) await world.settle(await world.revoke(keyId), "succeeded");
  }
  expect(fixture.liveKeys(), `${where}: keys after revocation`).toEqual([]);
  await waitFor(
    () => fixture.leftovers().length === 0,
    () => `${where}: left over ${fixture.leftovers().join(", ")}`,
  );
  expect(violationsOf(fixture), `${where}: what the vendor would have refused`).toEqual([]);
}

const violationsOf = (fixture: RunningFixture) => fixture.servers.flatMap((server) => server.violations());

async function waitFor(isTrue: () => boolean, describeFailure: () => string, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!isTrue()) {
    if (Date.now() > deadline) throw new Error(describeFailure());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
