import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { describe, expect, it } from "vitest";
import { runSteps, undoSteps } from "../src/saga/run.ts";
import { WaitForVendor } from "../src/saga/wait.ts";
import { anthropic } from "../src/vendors/anthropic/adapter.ts";
import type { AnthropicState } from "../src/vendors/anthropic/state.ts";
import { digest, persist, rotated, runOptions, startWorld, statusOf, type World } from "./anthropic-support.ts";

describe("revoking at Anthropic", () => {
  it("ends the old key alone while a successor needs the workspace, then everything with the last key", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const { first, asked, vendorRef } = await rotated(world);
    await world.job().run("revoke", null, first.vendorRef);
    expect(statusOf(world, first.made.id)).toBe("archived");
    expect(world.fixture.liveKeys()).toEqual([digest(asked.secret)]);
    expect(world.fixture.leftovers()).toHaveLength(1);

    await world.job().run("revoke-last", null, vendorRef);
    expect(statusOf(world, asked.id)).toBe("archived");
    expect(world.fixture.liveKeys()).toEqual([]);
    expect(world.fixture.leftovers()).toEqual([]);
    expect(await world.fixture.use(new Secret(asked.secret), { base_url: world.server.url, auth_header: "" })).toBe(
      "refused",
    );
    expect(world.violations()).toEqual([]);
  });

  it("takes extra keys that somebody made in the workspace along with the last one", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    await world.makeKey({ workspace_id: vendorRef.workspaceId });
    await world.job().run("revoke-last", null, vendorRef);
    expect(world.fixture.liveKeys()).toEqual([]);
  });

  it("is done when the vendor has ended key or workspace already, and may be repeated", async () => {
    const world = await startWorld();
    const byHand: ((world: World, ref: AnthropicState) => Promise<unknown>)[] = [
      async (_w, _ref) => {},
      (w, ref) => w.admin("POST", `/api_keys/${ref.keyId}`, { status: "inactive" }),
      (w, ref) => w.admin("POST", `/api_keys/${ref.keyId}`, { status: "archived" }),
      (w, ref) => w.admin("POST", `/workspaces/${ref.workspaceId}/archive`),
      async (w) => w.server.advanceClock(91 * 86_400_000),
    ];
    for (const prepare of byHand) {
      const { vendorRef } = await world.provisioned();
      await prepare(world, vendorRef);
      await world.job().run("revoke-last", null, vendorRef);
      await world.job().run("revoke-last", null, vendorRef);
      expect(statusOf(world, vendorRef.keyId)).toBe("archived");
    }
    expect(world.fixture.leftovers()).toEqual([]);
  });

  it("is done when the vendor knows neither key nor workspace any more", async () => {
    const world = await startWorld();
    await world.job().run("revoke-last", null, { workspaceId: "wrkspc_gone", keyId: "apikey_gone" } as AnthropicState);
    await world.job().run("dismantle", null, { workspaceId: "wrkspc_gone" } as AnthropicState);
    await world.job().run("revoke-last", null, {});
  });

  it("takes nothing for gone while another organization is asked", async () => {
    const [world, other] = [await startWorld(), await startWorld()];
    const { vendorRef, made } = await world.provisioned();
    const misled = other.job({}, other.client);
    for (const steps of ["revoke", "revoke-last", "dismantle", "rotate"] as const) {
      await expect(misled.run(steps, null, vendorRef)).rejects.toMatchObject({
        code: "vendor.refused_us",
        detail: expect.stringContaining("belongs to the organization"),
      });
    }
    expect(Object.values(misled.journal.dump()).map(({ status }) => status)).not.toContain("done");
    expect(world.fixture.liveKeys()).toEqual([digest(made.secret)]);
  });

  it("takes nothing for gone when the Admin key is replaced by another organization's on the way", async () => {
    const [world, other] = [await startWorld(), await startWorld()];
    const { vendorRef, job } = await world.provisioned();
    const misled = other.job(job.key, other.client).contextWith(null);
    for (const done of [1, 2, 3]) {
      const revoking = world.job();
      const steps = anthropic.revoke(done === 3);
      await runSteps(steps.slice(0, done), revoking.contextWith(null), vendorRef, revoking.journal, runOptions);
      const rest = runSteps(steps, misled, vendorRef, revoking.journal, runOptions);
      await expect(rest).rejects.toMatchObject({ code: "vendor.refused_us" });
      expect(revoking.journal.statusOf(steps[done]?.name ?? "")).not.toBe("done");
    }
  });

  it("is not done while an archived workspace still shows an active key", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const shown = {
      id: "apikey_other",
      status: "active",
      created_at: new Date().toISOString(),
      scope: { type: "workspace", workspace_id: vendorRef.workspaceId },
    };
    const body = { data: [shown], has_more: false, first_id: null, last_id: null };
    world.server.faults.add({
      match: { method: "GET", path: "/api_keys$" },
      when: "before",
      do: { type: "respond", status: 200, body },
    });
    const job = world.job();
    await expect(job.run("dismantle", null, vendorRef)).rejects.toBeInstanceOf(WaitForVendor);
    await job.run("dismantle", null, vendorRef);
  });

  for (const path of ["/api_keys/", "/api_keys$", "/archive$", "/workspaces/wrkspc_[^/]+$"]) {
    for (const when of ["before", "during", "after"] as const) {
      it(`is finished by a later try when ${path} breaks (${when})`, async () => {
        const world = await startWorld();
        const { vendorRef } = await world.provisioned();
        world.server.faults.add({ match: { path }, when, do: { type: "drop" } });
        const job = world.job();
        await expect(job.run("revoke-last", null, vendorRef)).rejects.toBeInstanceOf(KeyGateError);
        await persist(() => job.run("revoke-last", null, vendorRef));
        expect(statusOf(world, vendorRef.keyId)).toBe("archived");
        expect(world.fixture.liveKeys()).toEqual([]);
        expect(world.fixture.leftovers()).toEqual([]);
      });
    }
  }

  it.each([
    ["by its id", "/api_keys/"],
    ["on the list", "/api_keys$"],
  ])("does not say that it is done while the key is still shown as usable %s", async (_where, path) => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const shown = {
      id: vendorRef.keyId,
      status: "active",
      created_at: new Date().toISOString(),
      scope: { type: "workspace", workspace_id: vendorRef.workspaceId },
    };
    const page = { data: [shown], has_more: false, first_id: null, last_id: null };
    const body = path.endsWith("$") ? page : shown;
    world.server.faults.add({
      match: { method: "GET", path },
      when: "before",
      do: { type: "respond", status: 200, body },
    });
    const job = world.job();
    await expect(job.run("revoke", null, vendorRef)).rejects.toBeInstanceOf(WaitForVendor);
    expect(job.journal.statusOf("confirm-key-gone")).toBe("started");
    await job.run("revoke", null, vendorRef);
    expect(job.journal.statusOf("confirm-key-gone")).toBe("done");
  });

  it("does not take a refusal for an end while the key still works", async () => {
    const world = await startWorld();
    const { vendorRef, made } = await world.provisioned();
    world.server.faults.add({
      match: { method: "POST", path: "/api_keys/" },
      when: "before",
      do: { type: "respond", status: 400, body: { error: { type: "invalid_request_error", message: "no" } } },
    });
    await expect(world.job().run("revoke", null, vendorRef)).rejects.toMatchObject({ code: "vendor.refused" });
    expect(statusOf(world, made.id)).toBe("active");
  });
});

describe("an Admin key of another organization", () => {
  it("is not used to look for, to make or to undo what was begun elsewhere", async () => {
    const [world, other] = [await startWorld(), await startWorld()];
    world.server.faults.add({ match: { method: "POST", path: "/workspaces$" }, when: "after", do: { type: "drop" } });
    const begun = world.job();
    await expect(begun.run("provision")).rejects.toMatchObject({ kind: "ambiguous" });
    // The same job, after somebody configured the wrong Admin key.
    const misled = other.job(begun.key, other.client).contextWith(null);
    const run = runSteps(anthropic.provision, misled, {}, begun.journal, runOptions);
    await expect(run).rejects.toMatchObject({ code: "vendor.refused_us" });
    const undo = undoSteps(anthropic.provision, misled, {}, begun.journal, runOptions);
    await expect(undo).rejects.toMatchObject({ code: "vendor.refused_us" });
    expect(other.fixture.leftovers()).toEqual([]);
    await begun.undo("provision");
    expect(world.fixture.leftovers()).toEqual([]);
  });

  it("makes no workspace for a job that began elsewhere, and undoes no rotation by finding nothing", async () => {
    const [world, other] = [await startWorld(), await startWorld()];
    const begun = world.job();
    const first = anthropic.provision.slice(0, 1);
    await runSteps(first, begun.contextWith(null), {}, begun.journal, runOptions);
    const misled = other.job(begun.key, other.client).contextWith(null);
    const rest = runSteps(anthropic.provision, misled, {}, begun.journal, runOptions);
    await expect(rest).rejects.toMatchObject({ code: "vendor.refused_us" });
    expect(other.fixture.leftovers()).toEqual([]);

    const { vendorRef } = await world.provisioned();
    const next = world.job();
    await next.untilWaiting("rotate", null, vendorRef);
    const undo = undoSteps(anthropic.rotate, misled, vendorRef, next.journal, runOptions);
    await expect(undo).rejects.toMatchObject({ code: "vendor.refused_us" });
  });
});
