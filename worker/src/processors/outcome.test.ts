import { describe, expect, it } from "vitest";
import { retryPauseMs } from "./outcome.ts";

describe("the pause before another try", () => {
  it("is as long as the vendor asks for, and longer with each try where it asks for nothing or for no time at all", () => {
    expect(retryPauseMs(0, 7_000)).toBe(7_000);
    for (const asked of [undefined, 0]) {
      const pauses = [0, 1, 2, 3, 8].map((attempt) => retryPauseMs(attempt, asked, 1));
      expect(pauses).toEqual([750, 1_250, 2_250, 4_250, 30_250]);
      expect(retryPauseMs(0, asked, 0)).toBe(250);
    }
  });
});
