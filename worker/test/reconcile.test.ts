import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { must } from "@keygate/shared/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createHarness, type Harness } from "./harness.ts";
import { fastPace, reconcileHand, until } from "./reconcile-support.ts";
import {
  type Meddler,
  meddleWithAnthropic,
  meddleWithAzure,
  meddleWithGoogle,
  meddleWithOpenAi,
} from "./reconcile-vendors.ts";

const vendors = [
  ["openai", meddleWithOpenAi],
  ["anthropic", meddleWithAnthropic],
  ["azure_openai", meddleWithAzure],
  ["google_vertex", meddleWithGoogle],
] as const satisfies readonly (readonly [VendorId, () => Promise<Meddler>])[];

describe.each(vendors)("reconcile at %s", (vendor, start) => {
  let meddler: Meddler;
  let world: Harness;
  let worker: { close(): Promise<void> };
  let hand: ReturnType<typeof reconcileHand>;

  beforeAll(async () => {
    meddler = await start();
    const { settings, makeKeyByHand } = meddler.fixture;
    world = await createHarness({
      backend: "postgres",
      settings,
      env: fastPace,
      ...(makeKeyByHand ? { makeKeyByHand } : {}),
    });
    worker = world.start();
    hand = reconcileHand(world, vendor);
  });
  afterAll(async () => {
    await worker.close();
    await world.close();
    await meddler.fixture.close();
  });

  it("finds nothing while everything is as KeyGate made it, also after a rotation and a revocation", async () => {
    const kept = await hand.key();
    const rotated = await hand.key();
    const successor = await world.rotate(rotated.id);
    await world.settle(successor.jobId, "succeeded");
    const ended = await hand.key();
    await hand.revoke(ended.id);
    expect(await hand.look()).toEqual([]);
    const seen = await world.deps.db.selectFrom("reconcile_sightings").select("key_id").execute();
    expect(seen.map(({ key_id }) => key_id).sort()).toEqual([kept.id, rotated.id, successor.keyId].sort());
    for (const id of [kept.id, rotated.id, successor.keyId]) await hand.revoke(id);
    expect(await hand.look()).toEqual([]);
  }, 180_000);

  it("removes what a lost row left behind once it has been seen twice", async () => {
    const lost = await hand.key();
    await hand.quiet();
    await hand.forget(lost.id);
    const [orphan] = await hand.look();
    expect(orphan).toMatchObject({ kind: "orphan", details: { origin: "lost_row" }, removal_job_id: null });
    expect(meddler.fixture.leftovers()).not.toEqual([]);
    const again = await hand.lookUntilRemoved(must(orphan, "the orphan").id);
    expect(again.sightings).toBeGreaterThan(1);
    await until(() => meddler.fixture.leftovers().length === 0, "nothing is left");
    expect(await hand.auditOf(again)).toEqual([
      "reconcile.finding",
      "reconcile.remove",
      "reconcile.remove",
      "reconcile.resolved",
    ]);
    expect(await hand.look()).toEqual([]);
  });

  it("removes what the undoing of a failed job missed once it has been seen twice", async () => {
    const failed = await hand.key();
    await hand.pretendFailed(failed.id);
    const [orphan] = await hand.look();
    expect(orphan).toMatchObject({ kind: "orphan", key_id: failed.id, details: { origin: "failed_job" } });
    await hand.lookUntilRemoved(must(orphan, "the orphan").id);
    await until(() => meddler.fixture.leftovers().length === 0, "nothing is left");
    expect(meddler.fixture.liveKeys()).toEqual([]);
  });

  it("only reports what bears our mark without a trace in the log, until somebody asks for its removal", async () => {
    await meddler.makeLookalike();
    await hand.look();
    await hand.look();
    const [orphan] = await hand.look();
    expect(orphan).toMatchObject({
      kind: "orphan",
      details: { origin: "unknown" },
      sightings: 3,
      removal_job_id: null,
    });
    await hand.remove(must(orphan, "the orphan"));
    await until(() => meddler.fixture.leftovers().length === 0, "nothing is left");
    expect(await hand.look()).toEqual([]);
  });

  it("reports a live key that was deleted at the vendor, and goes on saying what the row says", async () => {
    const key = await hand.key();
    await meddler.deleteKey(key);
    const [ghost, ...others] = hand.of(await hand.look(), "ghost");
    expect(others).toEqual([]);
    expect(ghost).toMatchObject({ key_id: key.id, suggested_action: "revoke" });
    expect(await world.statusOf(key.id)).toBe("active");
    await hand.revoke(key.id);
    expect(await hand.look()).toEqual([]);
    expect((await hand.resolved()).at(-1)).toMatchObject({ id: ghost?.id, resolution: "not seen any more" });
  });

  it("reports a limit that somebody changed, and that it was put back", async () => {
    const key = await hand.key();
    await meddler.changeLimit(key);
    const [drift, ...others] = await hand.look();
    expect(others).toEqual([]);
    expect(drift).toMatchObject({ kind: "drift", key_id: key.id });
    expect(drift?.details.drift).toHaveLength(1);
    await meddler.restoreLimit(key);
    expect(await hand.look()).toEqual([]);
    expect(await hand.auditOf(must(drift, "drift"))).toEqual(["reconcile.finding", "reconcile.resolved"]);
    await hand.revoke(key.id);
  });

  it("reports keys that it did not make, in what it made and elsewhere, and touches none of them", async () => {
    const key = await hand.key();
    await meddler.addKey(key);
    if (vendor !== "azure_openai" && vendor !== "google_vertex") await meddler.addKey(null);
    await hand.look();
    const unmanaged = await hand.look();
    expect(unmanaged.map(({ kind }) => kind)).toEqual(
      vendor === "azure_openai" || vendor === "google_vertex" ? ["unmanaged"] : ["unmanaged", "unmanaged"],
    );
    expect(unmanaged.every(({ removal_job_id }) => removal_job_id === null)).toBe(true);
    const removable = unmanaged.find(({ resource }) => "how" in resource.removal);
    expect(removable === undefined).toBe(vendor === "azure_openai");
    if (removable) {
      await hand.remove(removable);
      const left = await hand.look();
      expect(left.map(({ resource_id }) => resource_id)).not.toContain(removable.resource_id);
    }
    expect(await world.statusOf(key.id)).toBe("active");
    await hand.revoke(key.id);
  });

  it("reports a live key that the vendor has switched off, in its words", async () => {
    if (!meddler.disable) return;
    const key = await hand.key();
    await meddler.disable(key);
    const [disabled, ...others] = hand.of(await hand.look(), "disabled_by_vendor");
    expect(others).toEqual([]);
    expect(disabled).toMatchObject({ key_id: key.id });
    expect(disabled?.details.detail).toMatch(meddler.disabledWords);
  });

  it("made no call that the vendor would not have expected", () => {
    expect(meddler.fixture.servers.flatMap((server) => server.violations())).toEqual([]);
  });
});
