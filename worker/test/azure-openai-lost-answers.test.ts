import type { FaultSpec } from "@keygate/simulator/core";
import { describe, expect, it } from "vitest";
import { failureOf, type Job, startWorld, type World } from "./azure-openai-support.ts";

const models = ["gpt-4o", "o3"];
/** The calls of KeyGate, not those that a test makes with an issued key. */
const management = "^/subscriptions/";

const breaks = {
  "never reaches Azure": { when: "before", do: { type: "drop" } },
  "loses its answer": { when: "after", do: { type: "drop" } },
  "has half an answer": { when: "during", do: { type: "drop" } },
  "ends in a 503": { when: "before", do: { type: "respond", status: 503, text: "<html>" } },
  "did work and says 500": { when: "after", do: { type: "respond", status: 500, body: { error: { code: "X" } } } },
  "is throttled": { when: "before", do: { type: "respond", status: 429, headers: { "retry-after": "0" } } },
} as const satisfies Record<string, Pick<FaultSpec, "when" | "do">>;
const breakNames = Object.keys(breaks) as (keyof typeof breaks)[];

/** How many calls of Resource Manager something makes when nothing disturbs it. */
async function countCalls(world: World, run: () => Promise<unknown>): Promise<number> {
  const before = world.arm.calls().length;
  await run();
  return world.arm.calls().length - before;
}

const disturb = (world: World, nth: number, how: keyof typeof breaks) =>
  world.arm.faults.add({ match: { path: management, nth }, times: 1, ...breaks[how] });

async function expectOneKey(world: World, job: Job): Promise<void> {
  const state = await job.run("provision");
  const { instructions } = job.describe(state);
  expect(world.books().accounts.map(({ name, deployments }) => [name, deployments])).toEqual([
    [job.key.projectName, models],
  ]);
  expect(world.books().deleted_accounts).toEqual([]);
  expect(await world.fixture.use(job.secret(), instructions)).toBe("accepted");
  expect(world.violations()).toEqual([]);
}

const slow = { create_ms: 4_000, delete_ms: 4_000, purge_ms: 4_000 };

// Every call is broken once, so there are hundreds of them.
describe.each(breakNames)("when a call %s", { timeout: 300_000 }, (how) => {
  it("provisioning still makes one account and a key that works, whichever call it is", async () => {
    const world = await startWorld(slow);
    const calls = await countCalls(world, () => world.job({ modelsAllowed: models }).run("provision"));
    expect(calls).toBeGreaterThan(8);
    for (let nth = 1; nth <= calls; nth++) {
      world.arm.reset();
      world.arm.mergeSettings({ ...slow, write_ms: 0 });
      disturb(world, nth, how);
      await expectOneKey(world, world.job({ modelsAllowed: models }));
    }
  });

  it("undoing leaves nothing, whichever call it is", async () => {
    const world = await startWorld(slow);
    const job = world.job({ modelsAllowed: models });
    await job.run("provision");
    const calls = await countCalls(world, () => job.undo("provision"));
    for (let nth = 1; nth <= calls; nth++) {
      const next = world.job({ modelsAllowed: models });
      await next.run("provision");
      world.arm.faults.clear();
      disturb(world, nth, how);
      await next.undo("provision");
      expect(world.leftovers(), `call ${nth}`).toEqual([]);
    }
    expect(world.violations()).toEqual([]);
  });

  it("revoking ends every key and leaves nothing, whichever call it is", async () => {
    const world = await startWorld(slow);
    const first = await world.provisioned({ modelsAllowed: models });
    const calls = await countCalls(world, () => world.revoked(first.vendorRef));
    for (let nth = 1; nth <= calls; nth++) {
      const { vendorRef, use } = await world.provisioned({ modelsAllowed: models });
      world.arm.faults.clear();
      disturb(world, nth, how);
      await world.revoked(vendorRef);
      expect(world.leftovers(), `call ${nth}`).toEqual([]);
      expect(await use()).toBe("refused");
    }
    expect(world.violations()).toEqual([]);
  });

  it("rotating and ending the old key leaves the new one alone, whichever call it is", async () => {
    const world = await startWorld();
    const sample = await world.provisioned();
    const rotating = await countCalls(world, () => world.rotated(sample.vendorRef));
    const ending = await countCalls(world, () => world.revoked(sample.vendorRef, "revoke"));
    for (let nth = 1; nth <= rotating + ending; nth++) {
      const old = await world.provisioned();
      world.arm.faults.clear();
      disturb(world, nth, how);
      const next = await world.rotated(old.vendorRef);
      expect([await old.use(), await next.use()]).toEqual(["accepted", "accepted"]);
      await world.revoked(old.vendorRef, "revoke");
      expect([await old.use(), await next.use()], `call ${nth}`).toEqual(["refused", "accepted"]);
      await world.revoked(next.vendorRef);
    }
    expect(world.leftovers().filter((line) => !line.includes(sample.job.key.projectName))).toEqual([]);
  });
});

describe("undoing", () => {
  it.each([
    ["is refused", "before", { type: "respond", status: 403 }, "credentials"],
    ["has lost its answer", "after", { type: "drop" }, "ambiguous"],
  ] as const)("leaves nothing after any call that %s, and may be repeated", async (_, when, effect, kind) => {
    const world = await startWorld();
    await world.job({ modelsAllowed: models }).run("provision");
    // Without the right to see what is used, provisioning goes on.
    const path = "^(?!.*/usages$)";
    const calls = world.arm.calls().filter((call) => new RegExp(path).test(call.path)).length;
    expect(calls).toBeGreaterThan(8);
    for (let nth = 1; nth <= calls; nth++) {
      world.arm.reset();
      world.arm.mergeSettings({ create_ms: 0, write_ms: 0 });
      world.arm.faults.add({ match: { nth, path }, when, do: effect });
      const job = world.job({ modelsAllowed: models });
      expect((await failureOf(job.once("provision"))).kind).toBe(kind);
      await job.undo("provision");
      expect(world.leftovers(), `call ${nth}`).toEqual([]);
      await job.undo("provision");
    }
  });

  it("finds what a lost creation made in another location, also when it broke off after the deletion", async () => {
    const world = await startWorld();
    const job = world.job();
    world.arm.faults.add({
      match: { method: "PUT" },
      when: "before",
      do: { type: "respond", status: 400, body: { error: { code: "InsufficientQuota", message: "full" } } },
    });
    world.arm.faults.add({ match: { method: "PUT", nth: 2 }, when: "after", do: { type: "drop" } });
    expect((await failureOf(job.once("provision"))).kind).toBe("ambiguous");
    expect(world.books().accounts).toMatchObject([{ location: "eastus2" }]);
    world.arm.faults.clear();
    world.arm.faults.add({ match: { path: "deletedAccounts" }, when: "before", do: { type: "drop" } });
    await failureOf(job.undoOnce("provision"));
    expect(world.leftovers()).toEqual([`deleted account ${job.key.projectName}`]);
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it("sees the account that it deleted before it broke off, also when Azure shows that late", async () => {
    const world = await startWorld();
    const job = world.job();
    await job.run("provision");
    world.arm.advanceClock(10 * 60_000);
    world.arm.faults.add({
      match: { method: "DELETE", path: `/accounts/${job.key.projectName}$` },
      when: "after",
      do: { type: "drop" },
    });
    await failureOf(job.undoOnce("provision"));
    const notYet = {
      type: "respond",
      status: 404,
      body: { error: { code: "ResourceNotFound", message: "not yet" } },
    } as const;
    world.arm.faults.add({ match: { method: "GET", path: "deletedAccounts" }, when: "before", do: notYet });
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it.each([
    ["after the creation was answered", null],
    ["after its answer was lost", { when: "after", do: { type: "drop" } }],
  ] as const)("is not fooled by looks that lag behind the creation, %s", async (_, fault) => {
    const world = await startWorld({ get_lag_ms: 30_000 });
    const job = world.job();
    if (fault) world.arm.faults.add({ match: { method: "PUT" }, ...fault });
    await job.once("provision").catch(() => {});
    expect(world.books().accounts).toHaveLength(1);
    if (fault) world.arm.advanceClock(31_000);
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it("waits for a creation that is still going on", async () => {
    const world = await startWorld({ create_ms: 60_000 });
    const job = world.job();
    await job.once("provision").catch(() => {});
    expect(world.books().accounts).toMatchObject([{ state: "Creating" }]);
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });
});
