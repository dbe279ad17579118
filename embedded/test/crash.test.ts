import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, backends } from "../src/crash/lane.ts";
import { runSeeds } from "../src/crash/run-seeds.ts";
import { describeSchedule, makeSchedule, operationsOf } from "../src/crash/schedule.ts";
import { replayLine } from "../src/crash/summary.ts";
import { vendorNames } from "../src/crash/world.ts";
import { installRedisServer, redisHint } from "../src/redis-server.ts";

/** Between them: a worker killed and frozen, the API killed, Redis flushed and PostgreSQL restarted. */
const fixedSeeds = [8, 13, 22];
const freshSeeds = [0, 1].map((offset) => Math.floor(Date.now() / 1000) * 2 + offset);

/** What the seeds found, as one text that names how to run each again. */
async function findViolations(backend: Backend, seeds: readonly number[]): Promise<string> {
  const results = await runSeeds({ backend, seeds, lanes: 2, vendors: vendorNames });
  expect(results).toHaveLength(seeds.length);
  return results
    .filter((result) => result.violations.length > 0)
    .flatMap(({ seed, violations, story }) => [replayLine(backend, seed, undefined), ...violations, ...story])
    .join("\n");
}

beforeAll(async () => {
  if (!(await installRedisServer())) throw new Error(redisHint);
}, 300_000);

describe.each(backends)("crash everywhere, on the %s queue", (backend) => {
  it("leaves vendors, rows, deliveries and audit log in accord for a fixed set of seeds", async () => {
    expect(await findViolations(backend, fixedSeeds)).toBe("");
  }, 400_000);

  it("does so for two fresh seeds", async () => {
    expect(await findViolations(backend, freshSeeds)).toBe("");
  }, 400_000);
});

describe("a schedule", () => {
  it("is the same for the same seed, and has three to six operations", () => {
    for (let seed = 0; seed < 300; seed++) {
      const schedule = makeSchedule(seed, vendorNames);
      expect(makeSchedule(seed, vendorNames)).toEqual(schedule);
      expect(operationsOf(schedule)).toBeGreaterThanOrEqual(3);
      expect(operationsOf(schedule)).toBeLessThanOrEqual(6);
      expect(describeSchedule(schedule).length).toBeGreaterThan(0);
    }
  });
});
