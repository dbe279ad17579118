import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { afterEach, describe, expect, it } from "vitest";
import { type RunningAzureFixture, startAzureFixture } from "./fixtures/azure-openai.ts";
import { type Asked, createHarness, type Harness } from "./harness.ts";

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

async function startAll(): Promise<{ fixture: RunningAzureFixture; world: Harness }> {
  const fixture = await startAzureFixture();
  closing.push(() => fixture.close());
  const env = { WORKER_CONCURRENCY: "2", VENDOR_SETTLE_SECONDS: "3", ...fixture.env };
  const world = await createHarness({ backend: "postgres", settings: fixture.settings, env });
  closing.push(() => world.close());
  return { fixture, world };
}

async function useOf({ fixture, world }: Awaited<ReturnType<typeof startAll>>, { keyId, take }: Asked) {
  const key = must(await keyRows(world.deps.db).find(keyId), "key");
  const secret = must(await take(), "sealed key");
  return () => fixture.use(secret, must(key.instructions, "instructions"));
}

describe("Azure on the queue", () => {
  it("holds no worker while Azure makes an account, and goes on with it after a restart", async () => {
    const all = await startAll();
    const { fixture, world } = all;
    const { arm } = fixture.azure;
    const worker = world.start();
    arm.mergeSettings({ create_ms: 3_600_000 });
    // As many as the worker has places.
    const slow = [await world.provision(), await world.provision()];
    for (const { jobId } of slow) {
      const { waiting } = await world.settle(jobId, "waiting_for_vendor");
      expect(waiting?.reason).toContain("Azure is creating the account");
    }
    arm.mergeSettings({ create_ms: 0 });
    const quick = await world.provision();
    expect((await world.settle(quick.jobId)).state).toBe("succeeded");
    expect(await (await useOf(all, quick))()).toBe("accepted");
    for (const { keyId } of slow) expect(await world.statusOf(keyId)).toBe("pending");
    await worker.close();

    const next = world.start();
    closing.push(() => next.close());
    arm.advanceClock(3_600_000);
    for (const asked of slow) {
      expect(await world.settle(asked.jobId)).toMatchObject({ state: "succeeded", attempts: 0 });
      expect(await (await useOf(all, asked))()).toBe("accepted");
    }
    const puts = arm.calls().filter(({ method, path }) => method === "PUT" && /accounts\/[^/]+$/.test(path));
    expect([puts.length, fixture.books().accounts.length]).toEqual([3, 3]);
  });

  it("rotates again as soon as the key before has lost its slot", async () => {
    const all = await startAll();
    const { world } = all;
    const worker = world.start();
    closing.push(() => worker.close());
    const first = await world.provision();
    await world.settle(first.jobId, "succeeded");
    const useFirst = await useOf(all, first);
    const second = await world.rotate(first.keyId, 60);
    await world.settle(second.jobId, "succeeded");
    const useSecond = await useOf(all, second);
    expect([await useFirst(), await useSecond()]).toEqual(["accepted", "accepted"]);

    // As the API does it: the end of the first key and the rotation of the second are asked for together.
    const ending = await world.revoke(first.keyId, "rotated");
    const third = await world.rotate(second.keyId, 60);
    await world.settle(third.jobId, "succeeded");
    await world.settle(ending, "succeeded");
    const useThird = await useOf(all, third);
    expect([await useFirst(), await useSecond(), await useThird()]).toEqual(["refused", "accepted", "accepted"]);
    expect(await world.statusOf(first.keyId)).toBe("rotated");
  });
});
