import { KeyGateError } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { createLeaseWatch, type Moment, requireLease, underLease } from "./lease-watch.ts";

const leaseMs = 2_000;

/** A lease taken at zero, judged at a moment that the test chooses. */
function leaseAt(moment: Moment) {
  return createLeaseWatch(leaseMs, { wallMs: 0, steadyMs: 0 }, () => moment);
}

describe("a lease as its holder sees it", () => {
  it.each([
    ["lasts until its time is over by both clocks", { wallMs: 1_999, steadyMs: 1_999 }, false],
    [
      "is over when the steady clock says so, though the wall clock was set back",
      { wallMs: -9, steadyMs: 2_000 },
      true,
    ],
    ["is over when the machine slept and only the wall clock went on", { wallMs: 60_000, steadyMs: 5 }, true],
  ])("%s", (_title, moment, isOver) => {
    expect(leaseAt(moment).isOver()).toBe(isOver);
  });

  it("is prolonged from the moment that its prolonging was asked for", () => {
    const watch = leaseAt({ wallMs: 3_000, steadyMs: 3_000 });
    watch.heldSince({ wallMs: 1_001, steadyMs: 1_001 });
    expect(watch.isOver()).toBe(false);
  });

  it("keeps a worker that woke up too late from acting, and nobody else", async () => {
    const over = leaseAt({ wallMs: 5_000, steadyMs: 5_000 });
    const refused = await underLease(over, async () => requireLease()).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(KeyGateError);
    expect(refused).toMatchObject({ code: "job.lease_lost" });
    await underLease(leaseAt({ wallMs: 10, steadyMs: 10 }), async () => requireLease());
    requireLease();
  });
});
