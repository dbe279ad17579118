import type { Ground } from "./ground.ts";
import type { Section } from "./report.ts";

export interface BenchRun {
  ground: Ground;
  /** Small sizes, for developing. */
  quick: boolean;
  say(line: string): void;
}

/** Measures one thing. Leaves the ground as it found it: processes running, vendor without latency. */
export type Scenario = (run: BenchRun) => Promise<Section>;
