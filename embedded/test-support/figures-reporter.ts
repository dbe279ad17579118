import type { Reporter, TestModule } from "vitest/node";

const backends = ["redis", "postgres"] as const;

/** Closes a run with its figures: how many tests ran on which queue, and how many passed and failed in all. */
export default class FiguresReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const inState = (state: string) => tests.filter((test) => test.result().state === state).length;
    // A file that could not even be read counts as a failure of its own.
    const broken = modules.filter((module) => module.state() === "failed" && module.children.size === 0).length;
    const onQueue = backends.map(
      (backend) =>
        `${tests.filter((test) => test.fullName.includes(`${backend} queue`)).length} on the ${backend} queue`,
    );
    const skipped = inState("skipped");
    console.log(`\nTests with a queue: ${onQueue.join(", ")}`);
    console.log(
      `${inState("passed")} passed, ${inState("failed") + broken + unhandledErrors.length} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
    );
  }
}
