import { keyRows } from "@keygate/shared/db/keys";
import { reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { describe, expect, it } from "vitest";
import { createHarness } from "./harness.ts";
import { fastPace, reconcileHand } from "./reconcile-support.ts";
import { meddleWithAnthropic, meddleWithOpenAi } from "./reconcile-vendors.ts";

describe.each([
  ["openai", meddleWithOpenAi],
  ["anthropic", meddleWithAnthropic],
] as const)("an adopted key at %s", (vendor, start) => {
  it("is met by the next look, and its revocation ends it and nothing that it shares", async () => {
    const { fixture, addKey } = await start();
    const { settings, makeKeyByHand } = fixture;
    const hands = makeKeyByHand ? { makeKeyByHand } : {};
    const world = await createHarness({ backend: "postgres", settings, env: fastPace, ...hands });
    const worker = world.start();
    try {
      const { db } = world.deps;
      const hand = reconcileHand(world, vendor);
      await addKey(null);
      await addKey(null);
      const [first, second] = await hand.look();
      const { adoption } = must(first, "a finding").resource;
      if ("refusal" in adoption) throw new Error(adoption.refusal);
      const developer = must(await db.selectFrom("developers").select("id").executeTakeFirst(), "a developer");
      const id = newId("key");
      await keyRows(db).insert({
        id,
        developerId: developer.id,
        vendor,
        workspaceId: null,
        projectName: `adopted-${id}`,
        description: "",
        budgetMicros: 0,
        rateLimitRpm: 0,
        modelsAllowed: null,
        expires: { at: null },
        lineageId: id,
        replacesId: null,
        graceMinutes: null,
        simulated: true,
        createdBy: "test",
      });
      const { vendorRef, hint } = adoption;
      await keyRows(db).markActive(id, { hint, fingerprints: [], vendorRef, limits: [], instructions: null });
      await reconcileFindingRows(db).resolve(must(first, "a finding").id, "adopted", id);

      expect((await hand.look()).map((finding) => finding.resource_id)).toEqual([second?.resource_id]);
      expect(fixture.liveKeys()).toHaveLength(2);
      await hand.revoke(id);
      expect(fixture.liveKeys()).toHaveLength(1);
      expect((await hand.look()).map((finding) => finding.resource_id)).toEqual([second?.resource_id]);
      expect(fixture.servers.flatMap((server) => server.violations())).toEqual([]);
    } finally {
      await worker.close();
      await world.close();
      await fixture.close();
    }
  });
});
