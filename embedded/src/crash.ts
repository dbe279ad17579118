import { parseArgs } from "node:util";
import { z } from "zod";
import { backends } from "./crash/lane.ts";
import type { SeedResult } from "./crash/run-seed.ts";
import { runSeeds } from "./crash/run-seeds.ts";
import { replayLine, summarise } from "./crash/summary.ts";
import { vendorNames } from "./crash/world.ts";

const help = `Usage: npm run crash -- [--seeds N] [--backend redis|postgres] [--vendor NAME] [--from N] [--lanes N] [--minutes N]
       npm run crash -- --seed N [--backend redis|postgres] [--vendor NAME]

Runs KeyGate against simulated vendors while calls fail and processes, Redis and PostgreSQL are killed, and holds what it
says against the vendors' own books afterwards. One seed is one schedule. The exit status is 0 only if everything held.

  --seeds N     how many seeds (default 100)
  --from N      the first of them (default 1)
  --seed N      this one only
  --backend B   where the queue lives (default redis)
  --vendor V    only this vendor: ${vendorNames.join(", ")}
  --lanes N     how many KeyGates run side by side (default 3)
  --minutes N   begin no further seed after this time
  --stop        begin no further seed after the first violation
  --help        show this text`;

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "100" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    backend: { type: "string", default: "redis" },
    vendor: { type: "string" },
    lanes: { type: "string", default: "3" },
    minutes: { type: "string", default: "600" },
    stop: { type: "boolean", default: false },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}

const whole = z.coerce.number().int();
const parsed = z
  .object({
    seeds: whole.min(1),
    from: whole.min(0),
    seed: whole.min(0).optional(),
    backend: z.enum(backends),
    vendor: z.enum(vendorNames).optional(),
    lanes: whole.min(1).max(16),
    minutes: z.coerce.number().positive(),
  })
  .safeParse(values);
if (!parsed.success) {
  console.error(`${z.prettifyError(parsed.error)}\n\n${help}`);
  process.exit(2);
}
const { backend, vendor, lanes, from, seed } = parsed.data;
const seeds = seed === undefined ? Array.from({ length: parsed.data.seeds }, (_, index) => from + index) : [seed];

const begun = Date.now();
const results: SeedResult[] = [];
let isStopping = false;
const stop = () => {
  isStopping = true;
};
// The seeds under way end in order, and take their servers with them.
process.once("SIGINT", stop).once("SIGTERM", stop);

function report(result: SeedResult): void {
  results.push(result);
  const { seed: number, operations, durationMs, violations, story } = result;
  const seconds = (durationMs / 1000).toFixed(1);
  if (violations.length === 0) {
    console.log(`✓ seed ${number}: ${operations} operations in ${seconds} s`);
    return;
  }
  if (values.stop) stop();
  const lines = [
    `✗ seed ${number}: ${operations} operations in ${seconds} s`,
    ...violations.map((text) => `  ! ${text}`),
    ...story,
    `  ${replayLine(backend, number, vendor)}`,
  ];
  console.log(lines.join("\n"));
}

await runSeeds({
  backend,
  seeds,
  lanes,
  vendors: vendor ? [vendor] : vendorNames,
  onResult: report,
  shallStop: () => isStopping || Date.now() - begun > parsed.data.minutes * 60_000,
});
const failed = results.filter((result) => result.violations.length > 0);
console.log(`\n${summarise(backend, results, Date.now() - begun)}`);
for (const result of failed) console.log(replayLine(backend, result.seed, vendor));
process.exit(failed.length === 0 ? 0 : 1);
