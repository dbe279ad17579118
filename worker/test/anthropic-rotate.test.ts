import { describe, expect, it } from "vitest";
import { WaitForVendor } from "../src/saga/wait.ts";
import type { AnthropicState } from "../src/vendors/anthropic/state.ts";
import { digest, rotated, startWorld, statusOf } from "./anthropic-support.ts";

describe("rotating at Anthropic", () => {
  it("hands over a second key of the same workspace under a name of its own, and leaves the first one alone", async () => {
    const world = await startWorld();
    const { first, asked, next, vendorRef } = await rotated(world);
    expect(next.delivered).toEqual([asked.secret]);
    expect(world.fixture.liveKeys().sort()).toEqual([digest(first.made.secret), digest(asked.secret)].sort());
    expect(vendorRef).toMatchObject({ keyId: asked.id, workspaceId: first.state.workspaceId });
    expect(vendorRef).not.toHaveProperty("oldKeyId");
    expect(new Set(world.books().keys.map(({ name }) => name)).size).toBe(2);
    expect(world.books().workspaces.filter(({ is_default }) => !is_default)).toHaveLength(1);
    expect(world.violations()).toEqual([]);
  });

  it("leaves the old key alone also when its id stands in the new key's row alone", async () => {
    const world = await startWorld();
    const first = await world.provisioned();
    const next = world.job();
    // A successor's row starts with its predecessor's resources, so by its id the old key may look like nobody else's.
    world.tracked.vendorKeyIds.set(first.made.id, next.key.id);
    const asked = await world.makeAskedKey(await next.untilWaiting("rotate", null, first.vendorRef));
    await next.run("rotate", asked.secret, first.vendorRef);
    expect(statusOf(world, first.made.id)).toBe("active");
  });

  it("refuses the old key when it is given as the new one", async () => {
    const world = await startWorld();
    const first = await world.provisioned();
    const next = world.job();
    await next.untilWaiting("rotate", null, first.vendorRef);
    const { refusal } = await next.untilWaiting("rotate", first.made.secret, first.vendorRef);
    expect(refusal).toMatch(/knows this key already/);
    // Also by its id alone: the new key's row may name the old key's resources, and then says that it is nobody else's.
    world.tracked.secrets.clear();
    world.tracked.vendorKeyIds.set(first.made.id, next.key.id);
    const again = await next.untilWaiting("rotate", first.made.secret, first.vendorRef);
    expect(again.refusal).toMatch(/knows this key already/);
    expect(world.fixture.liveKeys()).toEqual([digest(first.made.secret)]);
  });

  it("deletes what was made for it when it is stopped, and never the old key", async () => {
    const world = await startWorld();
    const first = await world.provisioned();
    const next = world.job();
    const made = await world.makeAskedKey(await next.untilWaiting("rotate", null, first.vendorRef));
    world.tracked.vendorKeyIds.set(first.made.id, next.key.id);
    await next.undo("rotate", first.vendorRef);
    await next.undo("rotate", first.vendorRef);
    expect(statusOf(world, made.id)).toBe("archived");
    expect(statusOf(world, first.made.id)).toBe("active");
    expect(world.fixture.leftovers()).toHaveLength(1);
  });

  it("looks again before it says that nothing was made for it, since a new key may not be listed yet", async () => {
    const world = await startWorld();
    const first = await world.provisioned();
    world.server.advanceClock(60_000);
    world.server.mergeSettings({ list_lag_ms: 5_000 });
    const next = world.job();
    const waiting = await next.untilWaiting("rotate", null, first.vendorRef);
    const made = await world.makeAskedKey(waiting);
    // Given, and not found on the list: what the job is unsure about began before it was stopped.
    await expect(next.run("rotate", made.secret, first.vendorRef)).rejects.toBeInstanceOf(WaitForVendor);
    const stopped = next.undo("rotate", first.vendorRef, 10_000);
    await expect(stopped).rejects.toMatchObject({ delayMs: expect.closeTo(10_000, -3) });
    expect(statusOf(world, made.id)).toBe("active");
    world.server.advanceClock(10_100);
    await next.undo("rotate", first.vendorRef, 10_000);
    expect(statusOf(world, made.id)).toBe("archived");
    expect(statusOf(world, first.made.id)).toBe("active");
  });

  it("ends at once when the workspace is gone, instead of asking for a key that cannot be made", async () => {
    const world = await startWorld();
    const first = await world.provisioned();
    await world.admin("POST", `/workspaces/${first.state.workspaceId}/archive`);
    await expect(world.job().run("rotate", null, first.vendorRef)).rejects.toMatchObject({ code: "vendor.refused" });
  });

  describe("a key that was adopted in a workspace of others", () => {
    async function adopted() {
      const world = await startWorld();
      const workspace = await world.admin("POST", "/workspaces", { name: "the search team's own" });
      const old = await world.makeKey({ workspace_id: workspace.id, name: "search in production" });
      const vendorRef: AnthropicState = {
        ...{ organizationId: world.books().organization.id, workspaceId: workspace.id, keyId: old.id },
        sharesContainer: true,
      };
      const next = world.job();
      next.key.projectName = "adopted";
      const waiting = await next.untilWaiting("rotate", null, vendorRef);
      // While the job waits, the team goes on with its work.
      const theirs = await world.makeKey({ workspace_id: workspace.id, name: "search in staging" });
      return { world, old, vendorRef, next, waiting, theirs };
    }

    it("touches no key of theirs when its successor is handed over", async () => {
      const { world, old, vendorRef, next, waiting, theirs } = await adopted();
      expect(waiting.waiting.instructions).not.toContain("spend limit");
      const asked = await world.makeAskedKey(waiting);
      const state = await next.run("rotate", asked.secret, vendorRef);
      expect(state.keyId).toBe(asked.id);
      for (const { id } of [old, theirs, asked]) expect(statusOf(world, id)).toBe("active");
      expect(next.describe(state).vendorRef).toMatchObject({ sharesContainer: true });
    });

    it("takes back what was made for it alone when it is stopped", async () => {
      const { world, old, vendorRef, next, waiting, theirs } = await adopted();
      const asked = await world.makeAskedKey(waiting);
      await next.undo("rotate", vendorRef);
      expect(statusOf(world, asked.id)).toBe("archived");
      for (const { id } of [old, theirs]) expect(statusOf(world, id)).toBe("active");
    });

    it("has no successor where it belongs to no workspace, and says what to do instead", async () => {
      const world = await startWorld();
      const old = await world.makeKey({ workspace_id: null, name: "everything" });
      const vendorRef: AnthropicState = {
        organizationId: world.books().organization.id,
        keyId: old.id,
        sharesContainer: true,
      };
      await expect(world.job().run("rotate", null, vendorRef)).rejects.toMatchObject({
        code: "vendor.refused",
        detail: expect.stringContaining("Ask for a new key"),
      });
      await world.job().run("revoke", null, vendorRef);
      expect(statusOf(world, old.id)).toBe("archived");
    });
  });
});
