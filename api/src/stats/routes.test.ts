import { expect, test } from "vitest";
import { createFigures } from "./routes.ts";

type Figures = Awaited<ReturnType<Parameters<typeof createFigures>[0]>>;
const of = (activeKeys: number): Figures => ({
  total_developers: 0,
  active_developers: 0,
  vendors_configured: 0,
  jobs_waiting_for_a_person: 0,
  keys_expiring_within_7_days: 0,
  revocations_overdue: 0,
  active_keys: activeKeys,
  keys_by_vendor: {},
  keys_by_team: {},
  keys_by_day: [],
});

test("counts a small installation each time that somebody asks", async () => {
  let keys = 1;
  const read = createFigures(async () => of(keys++));
  expect((await read()).active_keys).toBe(1);
  expect((await read()).active_keys).toBe(2);
});

test("counts a large installation once for everybody who asks within ten seconds, and again after that", async () => {
  let reads = 0;
  let at = 0;
  const read = createFigures(
    async () => of(1_000_000 + reads++),
    () => at,
  );
  await read();
  at = 9_999;
  expect((await read()).active_keys).toBe(1_000_000);
  at = 10_000;
  const [one, other] = await Promise.all([read(), read()]);
  expect([one.active_keys, other.active_keys, reads]).toEqual([1_000_001, 1_000_001, 2]);
});

test("a count that failed is tried again by whoever asks next", async () => {
  let reads = 0;
  const read = createFigures(async () => {
    if (reads++ === 0) throw new Error("no database");
    return of(5);
  });
  await expect(read()).rejects.toThrow("no database");
  expect((await read()).active_keys).toBe(5);
});
