import { jobs } from "@keygate/shared/contracts/jobs";
import { queueOf } from "@keygate/shared/queue";
import { sql } from "kysely";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { createBreaker } from "../src/vendors/breaker.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { type Backend, createHarness } from "./harness.ts";

const hourMs = 3_600_000;
// The time of day alone is under the test's control: timers, the steady clock and both databases go on by themselves.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now(), shouldAdvanceTime: true });
});
afterEach(() => {
  vi.useRealTimers();
});
const setClockBack = () => vi.setSystemTime(Date.now() - hourMs);

it.each<Backend>(["redis", "postgres"])(
  "a worker on the %s queue whose clock is set back by an hour goes on with what was put off, and with what comes due",
  async (backend) => {
    const fixture = await openaiFixture.start();
    const world = await createHarness({ backend, settings: fixture.settings });
    const worker = world.start();
    try {
      const before = await world.provision();
      expect((await world.settle(before.jobId)).state).toBe("succeeded");

      const { enqueue } = world.deps;
      world.deps.enqueue = async () => {};
      const putOff = await world.provision();
      world.deps.enqueue = enqueue;
      await sql`update jobs set enqueued_at = now() + interval '1 second' where id = ${putOff.jobId}`.execute(
        world.deps.db,
      );
      const entry = {
        queue: queueOf("openai"),
        jobId: putOff.jobId,
        priority: jobs.provision.priority,
        delayMs: 1_000,
      };
      await world.deps.queues.add([entry]);
      setClockBack();

      expect((await world.settle(putOff.jobId)).state).toBe("succeeded");
      await sql`update keys set expires_at = now() - interval '1 second' where id = ${before.keyId}`.execute(
        world.deps.db,
      );
      await vi.waitFor(async () => expect(await world.statusOf(before.keyId)).toBe("expired"), 60_000);
    } finally {
      vi.useRealTimers();
      await worker.close();
      await world.close();
      await fixture.close();
    }
  },
);

it("a vendor's pace, its pauses and its circuit breaker do not follow the time of day", () => {
  const limiter = createLimiter(60_000);
  const breaker = createBreaker();
  expect(limiter.reserve("GET keys")).toBe(0);
  limiter.onThrottled("POST projects", 1_000);
  for (let failures = 0; failures < 6; failures++) breaker.onFailure();
  setClockBack();
  expect(limiter.reserve("GET keys")).toBe(0);
  const waitMs = limiter.reserve("POST projects");
  expect(waitMs).toBeGreaterThan(0);
  expect(waitMs).toBeLessThanOrEqual(1_000);
  expect(breaker.blockedForMs()).toBeLessThanOrEqual(1_000);
});
