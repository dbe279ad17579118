import { describe, expect, it } from "vitest";
import { failureOf, startWorld } from "./azure-openai-support.ts";

describe("revoking the last key", () => {
  it("replaces both keys, then takes away deployments, account and what a deletion leaves, and looks", async () => {
    const world = await startWorld();
    const { vendorRef, use } = await world.provisioned({ modelsAllowed: ["gpt-4o", "o3"] });
    const before = world.arm.calls().length;
    await world.revoked(vendorRef);
    const order = world.arm.calls().slice(before);
    expect(await use()).toBe("refused");
    expect(world.leftovers()).toEqual([]);
    expect(world.books().quota).toEqual([]);
    expect(world.books().keys.filter(({ retired_because }) => retired_because === "regenerated")).toHaveLength(2);
    const kinds = order.flatMap(({ method, path }) => {
      if (path.endsWith("regenerateKey")) return ["replace"];
      if (method !== "DELETE") return [];
      if (path.includes("/deployments/")) return ["undeploy"];
      return [path.includes("deletedAccounts") ? "purge" : "delete"];
    });
    expect(kinds).toEqual(["replace", "replace", "undeploy", "undeploy", "delete", "purge"]);
    expect(order.at(-1)).toMatchObject({ method: "GET", status: 404 });
  });

  it("is done when Azure takes its time", async () => {
    const world = await startWorld({ delete_ms: 20_000, purge_ms: 20_000 });
    const { vendorRef } = await world.provisioned();
    await world.revoked(vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("purges an account that Azure shows among the deleted only half a minute later", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const looks = { match: { method: "GET", path: "deletedAccounts" }, when: "before" } as const;
    const notYet = { error: { code: "ResourceNotFound", message: "not yet" } };
    // Ten looks within 25 s, at each of three locations.
    world.arm.faults.add({ ...looks, times: 30, do: { type: "respond", status: 404, body: notYet } });
    await world.revoked(vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("ends access and says until when the rest stays, where KeyGate may not purge", async () => {
    const world = await startWorld({ missing_roles: ["purge"] });
    const { vendorRef, use } = await world.provisioned();
    const state = await world.revoked(vendorRef);
    expect(await use()).toBe("refused");
    expect(world.books().deployments).toEqual([]);
    expect(state.notPurged?.why).toContain("for the whole subscription");
    expect(Date.parse(state.notPurged?.until ?? "")).toBeGreaterThan(world.arm.now() + 47 * 3_600_000);
    // Whoever brings the account back finds other keys in it.
    expect(world.books().deleted_accounts).toHaveLength(1);
    expect(world.books().keys.filter(({ retired_at }) => retired_at !== null)).toHaveLength(2);
  });

  it.each([
    ["was deleted by somebody", false],
    ["was deleted and purged by somebody", true],
  ])("is done for an account that %s", async (_, purged) => {
    const world = await startWorld();
    const { vendorRef, job } = await world.provisioned();
    await world.arm.control("delete_account", { account: job.key.projectName });
    if (purged) world.arm.advanceClock(49 * 3_600_000);
    await world.revoked(vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("takes down an account whose tags somebody has removed, and none that bears another key's tags", async () => {
    const world = await startWorld();
    const base = "/resourceGroups/keygate/providers/Microsoft.CognitiveServices/accounts";
    for (const [tags, left] of [[{}, 0] as const, [{ "Keygate-Key": "key-other" }, 1] as const]) {
      const { vendorRef, job } = await world.provisioned();
      await world.admin("PATCH", `${base}/${job.key.projectName}`, { tags });
      await world.revoked(vendorRef);
      expect(world.books().accounts).toHaveLength(left);
    }
  });

  it("goes on where a policy has switched keys off meanwhile", async () => {
    const world = await startWorld();
    const { vendorRef, job } = await world.provisioned();
    await world.arm.control("set_local_auth", { account: job.key.projectName, disabled: true });
    await world.revoked(vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("does not call a key ended because a look lags behind the account's creation", async () => {
    const world = await startWorld();
    const one = await world.provisioned();
    const other = await world.provisioned();
    world.arm.mergeSettings({ get_lag_ms: 40_000 });
    await world.revoked(one.vendorRef, "revoke");
    await world.revoked(other.vendorRef);
    expect([await one.use(), await other.use()]).toEqual(["refused", "refused"]);
    expect(world.books().accounts.map(({ name }) => name)).toEqual([one.job.key.projectName]);
  });

  it("deletes the account also where its keys cannot be replaced, and warns when it cannot be purged", async () => {
    const world = await startWorld({ missing_roles: ["purge"] });
    const { vendorRef, use } = await world.provisioned();
    world.arm.faults.add({ match: { path: "regenerateKey" }, when: "before", do: { type: "respond", status: 400 } });
    const state = await world.revoked(vendorRef);
    expect(await use()).toBe("refused");
    expect(state.notPurged?.why).toContain("could not be replaced either");
  });

  it("looks where the account was made, not where the configuration points now", async () => {
    const world = await startWorld();
    const { vendorRef, use } = await world.provisioned();
    const elsewhere = world.job({}, world.connect({ resource_group: "other", location: "westeurope" }));
    await elsewhere.run("revoke-last", vendorRef);
    expect(await use()).toBe("refused");
    expect(world.leftovers()).toEqual([]);
  });

  it("does not take a subscription that the credential cannot see for a deleted account", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    world.arm.faults.add({
      match: {},
      when: "before",
      do: { type: "respond", status: 404, body: { error: { code: "SubscriptionNotFound", message: "no" } } },
    });
    expect((await failureOf(world.job().once("revoke-last", vendorRef))).kind).toBe("credentials");
  });

  it("has ended access when a lock stops it, waits for a person, and then finishes", async () => {
    const world = await startWorld();
    const { vendorRef, use } = await world.provisioned();
    world.arm.mergeSettings({ lock: "CanNotDelete" });
    const job = world.job();
    expect((await failureOf(job.run("revoke-last", vendorRef))).kind).toBe("credentials");
    expect(await use()).toBe("refused");
    world.arm.mergeSettings({ lock: "none" });
    await job.run("revoke-last", vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("has nothing to do for a key that never had an account", async () => {
    const world = await startWorld();
    for (const saga of ["revoke", "revoke-last", "dismantle"] as const) await world.revoked({}, saga);
    expect(world.arm.calls()).toEqual([]);
  });
});

describe("rotating", () => {
  it("gives a key in the other slot while the old one works, then ends the old one alone", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const next = await world.rotated(old.vendorRef);
    expect([await old.use(), await next.use()]).toEqual(["accepted", "accepted"]);
    expect(next.vendorRef).toMatchObject({ account: old.vendorRef.account, slot: "Key2" });
    expect(next.instructions).toEqual(old.instructions);
    await world.revoked(old.vendorRef, "revoke");
    expect([await old.use(), await next.use()]).toEqual(["refused", "accepted"]);

    const third = await world.rotated(next.vendorRef);
    expect(third.vendorRef.slot).toBe("Key1");
    await world.revoked(next.vendorRef, "revoke");
    expect([await old.use(), await next.use(), await third.use()]).toEqual(["refused", "refused", "accepted"]);
    await world.revoked(third.vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("refuses a second time while the first one's old key has its grace, and harms neither key", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const next = await world.rotated(old.vendorRef);
    const job = world.job();
    const failure = await failureOf(job.run("rotate", next.vendorRef));
    expect(failure.code).toBe("vendor.limits_unsupported");
    expect(failure.detail).toContain("has not ended yet");
    await job.undo("rotate", next.vendorRef);
    expect([await old.use(), await next.use()]).toEqual(["accepted", "accepted"]);
  });

  it("waits for a revocation of the old key that is under way", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const next = await world.rotated(old.vendorRef);
    const job = world.job();
    await job.once("rotate", next.vendorRef).catch(() => {});
    await world.revoked(old.vendorRef, "revoke");
    const third = job.describe(await job.run("rotate", next.vendorRef));
    expect(await world.fixture.use(job.secret(), third.instructions)).toBe("accepted");
    expect(await next.use()).toBe("accepted");
  });

  it("is not undone by a late repetition of the old key's end", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const next = await world.rotated(old.vendorRef);
    await world.revoked(old.vendorRef, "revoke");
    const third = await world.rotated(next.vendorRef);
    await world.revoked(old.vendorRef, "revoke");
    expect([await next.use(), await third.use()]).toEqual(["accepted", "accepted"]);
  });

  it("leaves no key behind when it is undone", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const made = world.job();
    await made.run("rotate", old.vendorRef);
    await made.undo("rotate", old.vendorRef);
    await made.undo("rotate", old.vendorRef);
    expect(await world.fixture.use(made.secret(), old.instructions)).toBe("refused");
    expect(await old.use()).toBe("accepted");
  });

  it("delivers anew what was lost before anybody took it", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    const made = world.job();
    await made.run("rotate", old.vendorRef);
    await made.journal.reopen(["regenerate-free-slot"]);
    const state = await made.run("rotate", old.vendorRef);
    expect(state.slot).toBe("Key2");
    const [lost, taken] = made.delivered;
    expect(lost && (await world.fixture.use(lost, old.instructions))).toBe("refused");
    expect(taken && (await world.fixture.use(taken, old.instructions))).toBe("accepted");
    expect(await old.use()).toBe("accepted");
  });

  it("says so when keys were switched off meanwhile, and does not call the old key ended", async () => {
    const world = await startWorld();
    const old = await world.provisioned();
    await world.arm.control("set_local_auth", { account: old.job.key.projectName, disabled: true });
    expect((await failureOf(world.job().run("rotate", old.vendorRef))).detail).toContain("disableLocalAuth");
    const ending = world.job();
    expect((await failureOf(ending.run("revoke", old.vendorRef))).detail).toContain("would then work");
    await world.arm.control("set_local_auth", { account: old.job.key.projectName, disabled: false });
    await ending.run("revoke", old.vendorRef);
    expect(await old.use()).toBe("refused");
  });
});
