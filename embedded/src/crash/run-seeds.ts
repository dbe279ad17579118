import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { VendorName } from "@keygate/simulator/start";
import { type Backend, type Ground, type Lane, startGround } from "./lane.ts";
import { runSeed, type SeedResult } from "./run-seed.ts";

export interface RunOptions {
  backend: Backend;
  seeds: readonly number[];
  lanes: number;
  vendors: readonly [VendorName, ...VendorName[]];
  onResult?(result: SeedResult): void;
  /** Asked before each seed. */
  shallStop?(): boolean;
}

/** After so many seeds a lane gets an empty database and new vendors, so that their books stay short. */
const seedsPerLane = 25;

/** Runs seeds, each lane taking the next when it is free. A lane in which something was wrong is not used again. */
export async function runSeeds(options: RunOptions): Promise<SeedResult[]> {
  const { backend, seeds, vendors, onResult } = options;
  const folder = await mkdtemp(join(tmpdir(), "keygate-crash-"));
  const results: SeedResult[] = [];
  const queue = [...seeds];
  const next = () => (options.shallStop?.() ? undefined : queue.shift());

  const work = async () => {
    const ground: Ground = await startGround(backend, folder);
    let lane: Lane | null = null;
    try {
      let uses = 0;
      for (let seed = next(); seed !== undefined; seed = next()) {
        lane ??= await ground.openLane();
        const result = await runSeed(lane, seed, vendors);
        results.push(result);
        onResult?.(result);
        uses += 1;
        if (result.violations.length > 0 || uses >= seedsPerLane) {
          await lane.close();
          lane = null;
          uses = 0;
        }
      }
    } finally {
      await lane?.close();
      await ground.close();
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(options.lanes, seeds.length) }, work));
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 20 });
  }
  return results;
}
