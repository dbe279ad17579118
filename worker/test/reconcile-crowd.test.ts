import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { describe, expect, it } from "vitest";
import { createHarness } from "./harness.ts";
import { fastPace, reconcileHand } from "./reconcile-support.ts";
import {
  type Meddler,
  meddleWithAnthropic,
  meddleWithAzure,
  meddleWithGoogle,
  meddleWithOpenAi,
} from "./reconcile-vendors.ts";

const keysMade = 20;
const listLagMs = 300;
const vendors = [
  ["openai", meddleWithOpenAi, { list_lag_ms: listLagMs }],
  ["anthropic", meddleWithAnthropic, {}],
  ["azure_openai", meddleWithAzure, { list_lag_ms: listLagMs }],
  ["google_vertex", meddleWithGoogle, { key_list_lag_ms: listLagMs }],
] as const satisfies readonly (readonly [VendorId, () => Promise<Meddler>, Record<string, unknown>])[];

describe.each(vendors)("reconcile at %s while much is going on", (vendor, start, lag) => {
  it("finds nothing wrong while 20 keys are made and revoked and the vendor's lists lag", async () => {
    const { fixture } = await start();
    const { settings, makeKeyByHand } = fixture;
    const env = { ...fastPace, VENDOR_SETTLE_SECONDS: "1", WORKER_CONCURRENCY: "40" };
    const world = await createHarness({
      backend: "postgres",
      settings,
      env,
      ...(makeKeyByHand ? { makeKeyByHand } : {}),
    });
    const worker = world.start();
    fixture.servers[0]?.mergeSettings(lag);
    try {
      const hand = reconcileHand(world, vendor);
      let isOver = false;
      let looks = 0;
      const looking = (async () => {
        while (!isOver) {
          await world.settle(await hand.ask(), "succeeded");
          looks += 1;
        }
      })();
      const live = async (index: number) => {
        const asked = await world.provision();
        await world.settle(asked.jobId, "succeeded");
        if (index % 2 === 0) await hand.revoke(asked.keyId);
      };
      await Promise.all(Array.from({ length: keysMade }, (_, index) => live(index)));
      // However fast the machine: until several looks have fallen into the crowd.
      for (let more = 0; looks < 2 && more < 20; more++) await Promise.all([live(0), live(1)]);
      isOver = true;
      await looking;
      expect(looks).toBeGreaterThan(1);
      expect([...(await hand.open()), ...(await hand.resolved())]).toEqual([]);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      expect(await hand.look()).toEqual([]);
    } finally {
      await worker.close();
      await world.close();
      await fixture.close();
    }
  }, 300_000);
});
