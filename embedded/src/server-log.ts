import { closeSync, existsSync, fchmodSync, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";

/** Where a server's own output goes. */
export interface ServerLog {
  /** For spawn's stdout and stderr. */
  readonly stdio: number | "pipe";
  /** Reads a child's output when it goes to a function. */
  attach(stream: Readable | null): void;
  /** The last lines written since this log was opened, for an error message. */
  tail(): string;
  close(): void;
}

const rotateBytes = 10 * 1024 * 1024;
const tailLines = 15;

/** Output into a file that only we may read; above 10 MiB the previous content moves to `<path>.1` first. */
export function openLogFile(path: string): ServerLog {
  if (existsSync(path) && statSync(path).size > rotateBytes) renameSync(path, `${path}.1`);
  const fd = openSync(path, "a+", 0o600);
  fchmodSync(fd, 0o600); // also when it existed
  const from = fstatSync(fd).size;
  return {
    stdio: fd,
    attach() {},
    tail() {
      const size = fstatSync(fd).size;
      const length = Math.min(size - from, 16 * 1024);
      const buffer = Buffer.alloc(length);
      readSync(fd, buffer, 0, length, size - length);
      return buffer.toString("utf8").trimEnd().split("\n").slice(-tailLines).join("\n");
    },
    close: () => closeSync(fd),
  };
}

/** Output handed to a function, line by line. */
export function logToFunction(write: (line: string) => void): ServerLog {
  const recent: string[] = [];
  return {
    stdio: "pipe",
    attach(stream) {
      if (!stream) return;
      (stream as { unref?: () => void }).unref?.();
      createInterface({ input: stream }).on("line", (line) => {
        recent.push(line);
        if (recent.length > tailLines) recent.shift();
        write(line);
      });
    },
    tail: () => recent.join("\n"),
    close() {},
  };
}
