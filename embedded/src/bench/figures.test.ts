import { expect, test } from "vitest";
import { median, percent, percentile, pump, pumpFor, shown, withRange } from "./figures.ts";
import { benchmarksPage, type Machine } from "./report.ts";

test("a percentile is a value that was measured, whatever the order", () => {
  const values = [9, 1, 5, 3, 7];
  expect([percentile(values, 0), percentile(values, 0.5), percentile(values, 0.99)]).toEqual([1, 5, 9]);
  expect(median([4, 2])).toBe(2);
  expect(percentile([], 0.5)).toBeNaN();
});

test("figures are shown with three digits, medians with their range, and nothing as a dash", () => {
  expect([1_234.5, 12.345, 0.01234, Number.NaN].map(shown)).toEqual(["1,235", "12.3", "0.0123", "–"]);
  expect(withRange([30, 10, 20])).toBe("20 (10–30)");
  expect(withRange([10])).toBe("10");
  expect(percent(0.049)).toBe("5 %");
});

test("a pump runs every operation once, and never more at a time than asked for", async () => {
  const seen: number[] = [];
  let running = 0;
  let most = 0;
  const { millis, perSecond } = await pump(20, 3, async (index) => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((done) => setImmediate(done));
    seen.push(index);
    running -= 1;
  });
  expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, index) => index));
  expect([most, millis.length]).toEqual([3, 20]);
  expect(perSecond).toBeGreaterThan(0);
});

test("an operation that fails ends the measurement with its error", async () => {
  const broken = () => Promise.reject(new Error("broken"));
  await expect(pump(3, 2, broken)).rejects.toThrow("broken");
  await expect(pumpFor(1_000, 2, broken)).rejects.toThrow("broken");
});

const machine: Machine = {
  cpu: "A CPU",
  cores: 2,
  memoryGb: 8,
  system: "Linux",
  node: "24",
  postgres: "18",
  redis: "7",
  keygate: "1",
  date: "2026-01-01",
  minutes: 9,
  quick: false,
};

test("the page lists every target, says which was missed, and puts the figures below", () => {
  const target = { what: "Provisions", wanted: "≥ 300", measured: "120", met: false };
  const section = { title: "Provisioning", method: ["How."], columns: ["A|B"], rows: [["1"]], targets: [target] };
  const page = benchmarksPage(machine, [section]);
  expect(page).toContain("| Provisions | ≥ 300 | 120 | **no** |");
  expect(page).toContain("## Provisioning\n\nHow.\n\n| A\\|B |\n| --- |\n| 1 |");
  expect(page).not.toContain("quick run");
  expect(benchmarksPage({ ...machine, quick: true }, [])).toContain("quick run");
});
