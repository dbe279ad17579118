import { beforeAll, describe, expect, it } from "vitest";
import { type Backend, backends } from "../src/crash/lane.ts";
import type { SeedResult } from "../src/crash/run-seed.ts";
import { runSeeds } from "../src/crash/run-seeds.ts";
import { describeSchedule, faultKinds, makeSchedule, operationsOf } from "../src/crash/schedule.ts";
import { replayLine } from "../src/crash/summary.ts";
import { vendorNames } from "../src/crash/world.ts";
import { apiWrites, workerWrites } from "../src/crash/writes.ts";
import { installRedisServer, redisHint } from "../src/redis-server.ts";

/**
 * Between them: workers killed at a call, at a commit, at writes of journal and key, and frozen for longer than their
 * lease; the API killed at a write; Redis flushed, PostgreSQL restarted, everything reconciled in the middle of it.
 */
const fixedSeeds = [13, 113, 118];
const freshSeeds = [0, 1].map((offset) => Math.floor(Date.now() / 1000) * 2 + offset);

const run = (backend: Backend, seeds: readonly number[]) =>
  runSeeds({ backend, seeds, lanes: 2, vendors: vendorNames });

/** What the seeds found, as one text that names how to run each again. */
function findViolations(backend: Backend, seeds: readonly number[], results: readonly SeedResult[]): string {
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
    const results = await run(backend, fixedSeeds);
    expect(findViolations(backend, fixedSeeds, results)).toBe("");
    // A run in which nobody came to harm would prove nothing.
    const harm = results.flatMap(({ tally }) => [...tally.keys()]);
    for (const kind of ["kill at write", "kill worker", "freeze", "restart postgres"]) {
      expect(harm.filter((what) => what.startsWith(kind))).not.toEqual([]);
    }
  }, 400_000);

  it("does so for two fresh seeds", async () => {
    expect(findViolations(backend, freshSeeds, await run(backend, freshSeeds))).toBe("");
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

  it("reaches every disturbance, every kind of write on both sides of it, and every vendor within 500 seeds", () => {
    const met = new Set<string>();
    for (let seed = 1; seed <= 500; seed++) {
      const { disturbances, stories, reconciles, bringsWrongKeys } = makeSchedule(seed, vendorNames);
      for (const one of disturbances) {
        met.add(one.type);
        if (one.type === "fault") met.add(`${one.kind} ${one.vendor}`);
        if (one.type === "kill at write") met.add(`${one.type} ${one.who} ${one.what} ${one.when}`);
      }
      for (const { steps } of stories) for (const { kind } of steps) met.add(kind);
      if (reconciles.length > 0) met.add("reconcile");
      if (bringsWrongKeys) met.add("wrong keys");
    }
    const both = ["before", "after"];
    const wanted = [
      ...["kill at call", "freeze at call", "freeze at write", "kill worker", "freeze worker", "kill api"],
      ...["flush redis", "restart redis", "restart postgres", "reconcile", "wrong keys"],
      ...["rotate", "revoke", "expire", "leave unclaimed", "end the grace", "cancel", "retry"],
      ...faultKinds.flatMap((kind) => vendorNames.map((vendor) => `${kind} ${vendor}`)),
      ...workerWrites.flatMap((what) => both.map((when) => `kill at write worker ${what} ${when}`)),
      ...apiWrites.flatMap((what) => both.map((when) => `kill at write api ${what} ${when}`)),
    ];
    expect(wanted.filter((what) => !met.has(what))).toEqual([]);
  });
});
