import type { Backend } from "./lane.ts";
import type { SeedResult } from "./run-seed.ts";

/** The one line that runs a seed's schedule again. */
export const replayLine = (backend: Backend, seed: number, vendor: string | undefined): string =>
  `npm run crash -- --seed ${seed} --backend ${backend}${vendor ? ` --vendor ${vendor}` : ""}`;

/** What happened in all seeds, as a table. */
export function summarise(backend: Backend, results: readonly SeedResult[], durationMs: number): string {
  const tally = new Map<string, number>();
  for (const result of results) {
    for (const [what, count] of result.tally) tally.set(what, (tally.get(what) ?? 0) + count);
  }
  const sum = (pick: (result: SeedResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  const perSeed = results.map((result) => result.durationMs).sort((a, b) => a - b);
  const seconds = (ms = 0) => `${(ms / 1000).toFixed(1)} s`;
  const bad = results.filter((result) => result.violations.length > 0);
  const rows: [string, string][] = [
    ["queue backend", backend],
    ["seeds", String(results.length)],
    ["operations", String(sum((result) => result.operations))],
    ...[...tally]
      .filter(([what]) => what !== "held for a kill")
      .sort()
      .map(([what, count]): [string, string] => [what, String(count)]),
    ["seconds per seed", `${seconds(perSeed[perSeed.length >> 1])} (half), ${seconds(perSeed.at(-1))} (longest)`],
    ["duration", seconds(durationMs)],
    ["violations", String(sum((result) => result.violations.length))],
    ["seeds with violations", bad.length === 0 ? "none" : bad.map((result) => result.seed).join(", ")],
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join("\n");
}
