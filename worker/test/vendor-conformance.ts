import { KeyGateError, must } from "@keygate/shared/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SagaState } from "../src/saga/step.ts";
import { WaitForInput, WaitForVendor } from "../src/saga/wait.ts";
import { expectDiscretion, expectExactly, expectNothing } from "./conformance-expect.ts";
import { type Failure, failures } from "./conformance-failures.ts";
import { making, type Operation, type OperationName, operations } from "./conformance-operations.ts";
import { type Candidate, type Held, type Job, openWorld, type Steps, type World } from "./conformance-world.ts";

/** What an undisturbed run of an operation takes and leaves: what the disturbed ones are generated from and held against. */
interface Yardstick {
  calls: number;
  writes: number;
  steps: number;
  resources: string[];
}

interface Scene {
  world: World;
  job: Job;
  steps: Steps;
  standing: Held[];
  initial: SagaState;
}

const worldsAtOnce = 8;
/** Each kind of failure at every third call, each shifted by one; the fault matrix has the common ones at each call. */
const everyNth = 3;
const numbersTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
/** A person who gave a key and is told that it is not the right one is asked again: no failure, but an answer to one. */
const kindOf = (error: Error) => {
  if (error instanceof WaitForInput && error.refusal !== null) return "needs_input";
  if (error instanceof KeyGateError) return error.kind;
  throw error;
};
/** Names differ from run to run. */
const kindsOf = (leftovers: readonly string[]) => leftovers.map((line) => line.split(" ")[0] ?? "").sort();

const stateOf = (held: Held): SagaState => held.vendorRef as SagaState;

/** Opens a vendor with the keys that the operation starts from, plays one scene, and looks that nothing is left. */
async function play(candidate: Candidate, operation: Operation, act: (scene: Scene) => Promise<Held[]>): Promise<void> {
  const world = await openWorld(candidate);
  try {
    const standing: Held[] = [];
    for (let made = 0; made < operation.keysBefore; made++) {
      const job = world.job();
      const [first] = standing;
      const state = first ? await job.run(world.vendor.rotate, stateOf(first)) : await job.run(world.vendor.provision);
      standing.push(job.hold(state));
    }
    // Ends are whole seconds: without this a rotation would sometimes have a later one to set, and sometimes not.
    if (standing.length > 0) await world.pass(1_000);
    const first = standing[0];
    const scene = { world, job: world.job(), steps: operation.steps(world), standing };
    const held = await act({ ...scene, initial: first ? stateOf(first) : {} });
    await expectExactly(world, held);
    const last = held.at(-1);
    for (const key of held) await world.job().run(world.vendor.revoke(key === last), stateOf(key));
    await expectNothing(world);
    expectDiscretion(world, [held, standing, scene.job.journal.dump()]);
    const violations = world.fixture.servers.flatMap((server) => server.violations());
    expect(violations, "what the vendor would have refused").toEqual([]);
  } finally {
    await world.close();
  }
}

/** What the operation leaves when it ends well. */
function settled({ job, standing }: Scene, operation: Operation, state: SagaState): Held[] {
  const left = operation.endsKey ? standing.slice(1) : standing;
  return operation.makesKey ? [...left, job.hold(state)] : left;
}

async function spread<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const work = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await run(item);
  };
  // All of them end before the test does, so that none goes on into the next one.
  const ended = await Promise.allSettled(Array.from({ length: worldsAtOnce }, work));
  for (const each of ended) if (each.status === "rejected") throw each.reason;
}

/** Adds to a failure where in the run it was. */
async function at(place: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    throw new Error(`${place}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** The promises that every vendor keeps, generated from its own sagas: a new step is covered by being there. */
export function describeConformance(candidate: Candidate): void {
  const { vendor } = candidate;
  const yardsticks = new Map<OperationName, Yardstick>();
  const yardstickOf = ({ name }: Operation) => must(yardsticks.get(name), `the undisturbed ${name}`);

  describe(`${vendor.id} keeps the promises of a vendor`, { timeout: 300_000 }, () => {
    beforeAll(async () => {
      await spread(operations, (operation) =>
        play(candidate, operation, async (scene) => {
          const callsBefore = scene.world.main.calls().length;
          const state = await scene.job.run(scene.steps, scene.initial);
          yardsticks.set(operation.name, {
            calls: scene.world.main.calls().length - callsBefore,
            writes: scene.job.doom.writes,
            steps: scene.steps.length,
            resources: kindsOf(scene.world.fixture.leftovers()),
          });
          return settled(scene, operation, state);
        }),
      );
    }, 300_000);

    it.each(operations)(
      "leaves one resource and exactly the key that works when $name crashes after any one call",
      async (operation) => {
        await spread(numbersTo(yardstickOf(operation).calls), (n) => crash(operation, { afterCall: n }));
      },
    );

    it.each(operations)("leaves the same when $name crashes before any one write to the journal", async (operation) => {
      await spread(numbersTo(yardstickOf(operation).writes), (n) => crash(operation, { beforeWrite: n }));
    });

    async function crash(operation: Operation, where: { afterCall?: number; beforeWrite?: number }) {
      await at(JSON.stringify(where), () =>
        play(candidate, operation, async (scene) => {
          Object.assign(scene.job.doom, where);
          const state = await scene.job.run(scene.steps, scene.initial);
          expect(scene.job.doom.crashes, "crashes").toBe(1);
          expect(kindsOf(scene.world.fixture.leftovers()), "what stands").toEqual(yardstickOf(operation).resources);
          return settled(scene, operation, state);
        }),
      );
    }

    it.each(making)(
      "leaves nothing of $name when it is undone after any one step, and undoing twice is fine",
      async (operation) => {
        await spread(numbersTo(yardstickOf(operation).steps), (until) =>
          at(`after step ${until}`, () =>
            play(candidate, operation, async ({ world, job, steps, initial, standing }) => {
              await job.run(steps, initial, { until });
              await job.undo(steps, initial, "lost");
              await job.undo(steps, initial, "lost");
              await job.undo(steps, initial);
              if (standing.length === 0) await expectNothing(world);
              return standing;
            }),
          ),
        );
      },
    );

    it.each(making)("leaves nothing of $name when it is undone after a crash at any one call", async (operation) => {
      await spread(numbersTo(yardstickOf(operation).calls), (n) =>
        at(`crash after call ${n}`, () =>
          play(candidate, operation, async ({ world, job, steps, initial, standing }) => {
            job.doom.afterCall = n;
            await job.runUntilCrash(steps, initial);
            await job.undo(steps, initial);
            if (standing.length === 0) await expectNothing(world);
            return standing;
          }),
        ),
      );
    });

    it.each(failures)(
      "$name is the right kind of error at whichever call, and leaves nothing once undone",
      async (failure) => {
        const turn = failures.indexOf(failure);
        const cases = operations.flatMap((operation) =>
          numbersTo(yardstickOf(operation).calls).flatMap((n) =>
            (n + turn) % everyNth === 0 ? [{ operation, n }] : [],
          ),
        );
        await spread(cases, ({ operation, n }) =>
          at(`${operation.name}, call ${n}`, () => fail(operation, n, failure)),
        );
      },
    );

    async function fail(operation: Operation, n: number, failure: Failure): Promise<void> {
      await play(candidate, operation, async (scene) => {
        const { world, job, steps, initial, standing } = scene;
        const times = failure.isOfToken && candidate.renewsTokens ? 2 : 1;
        const fault = world.main.faults.add({ match: { nth: n }, times, ...failure.fault });
        const options = { stopAtFailures: true, ...(failure.isLie && operation.endsKey ? { tries: 12 } : {}) };
        const outcome = await job.run(steps, initial, options).catch((error: unknown) => error);
        const hits = world.main.faults.list().find(({ id }) => id === fault)?.hits;
        world.main.faults.clear();
        expect(hits, "calls that were disturbed").toBe(times);
        if (!(outcome instanceof Error)) {
          expect(failure.mayBeMet, "the failure may be got around without a word").toBe(true);
          return settled(scene, operation, outcome as SagaState);
        }
        // It does not say that the key has ended while the vendor shows it; somebody has to look.
        if (outcome instanceof WaitForVendor && failure.isLie && operation.endsKey) return standing;
        expect(failure.kinds, outcome.message).toContain(kindOf(outcome));
        if (outcome instanceof KeyGateError && failure.retryAfterMs !== undefined) {
          expect(outcome.retryAfterMs).toBe(failure.retryAfterMs);
        }
        if (operation.endsKey) return settled(scene, operation, await job.run(steps, initial));
        await job.undo(steps, initial);
        if (standing.length === 0) await expectNothing(world);
        return standing;
      });
    }

    it("revokes twice, and what is gone already", async () => {
      const [last] = operations.filter(({ name }) => name === "revoke the last");
      await play(candidate, must(last, "operation"), async ({ world, job, steps, initial }) => {
        await job.run(steps, initial);
        await expectNothing(world);
        await world.job().run(steps, initial);
        await world.job().run(world.vendor.revoke(false), initial);
        await world.job().run(world.vendor.dismantle, initial);
        return [];
      });
      await play(candidate, must(last, "operation"), async ({ world, job, steps, initial }) => {
        await world.job().run(world.vendor.dismantle, initial);
        await expectNothing(world);
        await job.run(steps, initial);
        return [];
      });
    });
    afterAll(() => yardsticks.clear());
  });
}
