import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";

/** The log of one process, read while it is being written. */
export interface LogFile {
  /** What was written since the last `mark`. */
  sinceMark(): string;
  mark(): void;
  /** When the process last began a step of a saga, in milliseconds since 1970. */
  lastStepAt(): number;
}

const tailBytes = 64 * 1024;
const seedBytesMax = 8 * 1024 * 1024;

export function openLogFile(path: string): LogFile {
  let from = 0;
  const size = (file: number) => fstatSync(file).size;
  const read = (start: (bytes: number) => number): string => {
    if (!existsSync(path)) return "";
    const file = openSync(path, "r");
    try {
      const bytes = size(file);
      const buffer = Buffer.alloc(Math.min(seedBytesMax, Math.max(0, bytes - start(bytes))));
      return buffer.toString("utf8", 0, readSync(file, buffer, 0, buffer.length, start(bytes)));
    } finally {
      closeSync(file);
    }
  };
  return {
    sinceMark: () => read(() => from),
    mark() {
      if (!existsSync(path)) return;
      const file = openSync(path, "r");
      from = size(file);
      closeSync(file);
    },
    lastStepAt() {
      const lines = read((bytes) => Math.max(0, bytes - tailBytes)).split("\n");
      const line = lines.findLast((candidate) => candidate.includes("saga.step_")) ?? "";
      const time = /"time":"?([^",}]+)/.exec(line)?.[1] ?? "";
      return Number(time) || Date.parse(time) || 0;
    },
  };
}
