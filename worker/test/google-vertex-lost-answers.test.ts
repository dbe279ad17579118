import { KeyGateError } from "@keygate/shared/errors";
import type { FaultSpec } from "@keygate/simulator/core";
import { describe, expect, it } from "vitest";
import type { SagaState } from "../src/saga/step.ts";
import { WaitForVendor } from "../src/saga/wait.ts";
import { provision } from "../src/vendors/google-vertex/provision.ts";
import { type Job, type Saga, startWorld, type World } from "./google-vertex-support.ts";

// The two that tell most, on the sagas alone; the fault matrix of the worker has them all.
const disturbances: [name: string, fault: Pick<FaultSpec, "when" | "do">][] = [
  ["is answered, and the answer is lost", { when: "after", do: { type: "drop" } }],
  ["is answered with 503", { when: "before", do: { type: "respond", status: 503, body: { error: {} } } }],
];

const quick = { settleMs: 1_000 };

/** What has to stand before a saga can run, and what it starts from. */
async function prepare(world: World, saga: Saga): Promise<{ initial: SagaState; expectedKeys: number }> {
  if (saga === "provision") return { initial: {}, expectedKeys: 1 };
  const { vendorRef } = await world.provisioned();
  if (saga !== "revoke") return { initial: vendorRef, expectedKeys: saga === "rotate" ? 2 : 0 };
  return { initial: (await world.rotated(vendorRef)).vendorRef, expectedKeys: 1 };
}

/** Ends everything that a case left standing. */
async function clear(world: World, state: SagaState): Promise<void> {
  await world.job().run("revoke-last", state);
  expect(world.google.leftovers()).toEqual([]);
  expect(world.google.liveKeys()).toEqual([]);
}

/** Runs a saga to its end, disturbed or not. Returns how many calls it made. */
async function runOnce(world: World, saga: Saga, n = 0, fault: (typeof disturbances)[number] | null = null) {
  const { initial, expectedKeys } = await prepare(world, saga);
  const job = world.job();
  const { faults, calls } = world.google.main;
  const before = calls().length;
  const id = fault && faults.add({ match: { nth: n }, times: 1, ...fault[1] });
  const state = { ...initial, ...(await job.run(saga, initial)) };
  const count = calls().length - before;
  const where = fault ? `call ${n} ${fault[0]}` : "undisturbed";
  if (id) expect(faults.list().find((each) => each.id === id)?.hits, where).toBe(1);
  faults.clear();
  expectBooks(world, job, expectedKeys, where);
  await clear(world, state);
  return count;
}

/** The books hold exactly one account with so many live keys, or nothing. */
function expectBooks(world: World, job: Job, keys: number, where: string): void {
  expect(world.google.liveKeys(), where).toHaveLength(keys);
  const standing = keys === 0 ? 0 : 2;
  expect(world.google.leftovers(), where).toHaveLength(standing);
  if (job.delivered.length > 0) expect(world.google.liveKeys(), where).toContain(world.google.digest(job.secret()));
  expect(world.violations(), where).toEqual([]);
}

describe.each(["provision", "rotate", "revoke", "revoke-last"] as const)("%s", (saga) => {
  it.each(disturbances)("ends right when any one call %s", async (...disturbance) => {
    const world = await startWorld({}, quick);
    const count = await runOnce(world, saga);
    expect(count).toBeGreaterThan(2);
    for (let n = 1; n <= count; n++) await runOnce(world, saga, n, disturbance);
  });
});

describe("undoing a provisioning", () => {
  it("leaves nothing, whichever call it died at, also when the answer was lost, and twice is fine", async () => {
    const world = await startWorld({}, quick);
    const count = await runOnce(world, "provision");
    for (let n = 1; n <= count; n++) {
      const job = world.job();
      world.google.main.faults.add({ match: { nth: n }, times: 1, when: "after", do: { type: "drop" } });
      await expect(job.once("provision")).rejects.toBeInstanceOf(KeyGateError);
      await job.undo("provision");
      await job.undo("provision");
      expect(world.google.leftovers(), `call ${n}`).toEqual([]);
      expect(world.google.liveKeys(), `call ${n}`).toEqual([]);
      expect(world.violations()).toEqual([]);
    }
  });

  it("leaves nothing when each of its own calls loses its answer", async () => {
    const world = await startWorld({}, quick);
    const undone = await failedAtTheEnd(world);
    const before = world.google.main.calls().length;
    await undone.undo("provision");
    const count = world.google.main.calls().length - before;
    for (let n = 1; n <= count; n++) {
      const job = await failedAtTheEnd(world);
      world.google.main.faults.add({ match: { nth: n }, times: 1, when: "after", do: { type: "drop" } });
      await job.undo("provision");
      expect(world.google.leftovers(), `call ${n}`).toEqual([]);
    }
  });
});

/** A provisioning that got as far as reading its key back. */
async function failedAtTheEnd(world: World): Promise<Job> {
  const job = world.job();
  await job.run("provision");
  await job.journal.reopen([provision.at(-1)?.name ?? ""]);
  return job;
}

describe("a lost key", () => {
  it("leaves exactly one key after creation was answered and the answer lost, at Google or on upload", async () => {
    for (const constraints of [[], ["iam.disableServiceAccountKeyUpload"]]) {
      const world = await startWorld({ constraints });
      const job = world.job();
      const path = constraints.length > 0 ? "/keys$" : "/keys:upload$";
      world.google.main.faults.add({ match: { method: "POST", path }, when: "after", do: { type: "drop" } });
      const state = await job.run("provision");
      const keys = world.account(state.email)?.keys ?? [];
      expect(keys).toHaveLength(2);
      expect(keys.filter(({ deleted_at }) => deleted_at === null).map(({ id }) => id)).toEqual([state.keyId]);
      expect(world.google.liveKeys()).toEqual([world.google.digest(job.secret())]);
    }
  });

  it("is found although lists lag", async () => {
    const lagMs = 60_000;
    const world = await startWorld({ key_list_lag_ms: lagMs });
    const job = world.job();
    world.google.main.faults.add({ match: { path: "/keys:upload$" }, when: "after", do: { type: "drop" } });
    await expect(job.once("provision")).rejects.toMatchObject({ code: "vendor.no_answer" });
    // What the runner does by waiting out the settle time, which is longer than the lag.
    world.google.advance(lagMs);
    await job.run("provision");
    expect(world.google.liveKeys()).toEqual([world.google.digest(job.secret())]);
  });
});

describe("a new account that Google does not show at once", () => {
  it("is waited for, and its key works in the end", async () => {
    const world = await startWorld({ account_visible_after_ms: 90_000, grant_after_ms: 200_000 });
    const { job, instructions } = await world.provisioned();
    expect(await world.use(job, instructions)).toBe("refused");
    world.google.advance(300_000);
    expect(await world.use(job, instructions)).toBe("accepted");
    expect(world.violations()).toEqual([]);
  });

  it("is not taken for gone when its job is undone meanwhile", async () => {
    const world = await startWorld({ account_visible_after_ms: 90_000 });
    const job = world.job();
    await expect(job.once("provision")).rejects.toBeInstanceOf(WaitForVendor);
    await expect(job.undoOnce("provision")).rejects.toBeInstanceOf(WaitForVendor);
    await job.undo("provision");
    world.google.advance(300_000);
    expect(world.google.leftovers()).toEqual([]);
    expect(world.books().events.some(({ event }) => event === "account.deleted")).toBe(true);
  });

  it("is adopted when the answer to its creation was lost as well", async () => {
    const world = await startWorld({ account_visible_after_ms: 40_000 });
    const job = world.job();
    world.google.main.faults.add({
      match: { method: "POST", path: "/serviceAccounts$" },
      when: "after",
      do: { type: "drop" },
    });
    await expect(job.once("provision")).rejects.toMatchObject({ code: "vendor.no_answer" });
    // Looked for, not found, made again: the name is taken by what cannot be seen.
    await expect(job.once("provision")).rejects.toMatchObject({ code: "vendor.not_ready" });
    world.google.advance(40_000);
    await job.run("provision");
    expect(world.books().accounts.filter(({ is_admin }) => !is_admin)).toHaveLength(1);
  });

  it("is given up after some time, and nothing comes up later", async () => {
    const world = await startWorld({ account_visible_after_ms: 600_000 });
    const job = world.job();
    await expect(job.run("provision")).rejects.toMatchObject({ code: "vendor.not_ready" });
    world.google.advance(600_000);
    await job.undo("provision");
    expect(world.google.leftovers()).toEqual([]);
  });

  it("may be unknown to the policy and to the maker of keys for a moment longer", async () => {
    const world = await startWorld();
    const { faults } = world.google.main;
    const answer = (status: number, code: string) => ({
      times: 1,
      when: "before" as const,
      do: {
        type: "respond" as const,
        status,
        body: { error: { code: status, status: code, message: "no such account" } },
      },
    });
    faults.add({ match: { path: ":setIamPolicy$" }, ...answer(400, "INVALID_ARGUMENT") });
    faults.add({ match: { path: "/keys:upload$" }, ...answer(404, "NOT_FOUND") });
    await world.job().run("provision");
    expect(world.google.liveKeys()).toHaveLength(1);
    expect(world.google.leftovers()).toHaveLength(2);
  });
});
