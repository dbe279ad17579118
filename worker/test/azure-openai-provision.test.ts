import { must } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { failureOf, startWorld } from "./azure-openai-support.ts";

const accounts = "/resourceGroups/keygate/providers/Microsoft.CognitiveServices/accounts";

describe("provisioning", () => {
  it("makes one tagged account with the allowed models, and a key that opens these and nothing else", async () => {
    const world = await startWorld();
    const { job, use, instructions, vendorRef } = await world.provisioned({
      modelsAllowed: ["gpt-4o", "o3", "GPT-4o"],
    });

    const [account, ...others] = world.books().accounts;
    expect(others).toEqual([]);
    expect(account).toMatchObject({
      name: job.key.projectName,
      subdomain: job.key.projectName,
      location: "swedencentral",
      kind: "OpenAI",
      disable_local_auth: false,
      tags: { "keygate-key": job.key.id, "keygate-developer": job.key.developerId, "keygate-instance": "keygate" },
    });
    expect(instructions).toMatchObject({
      auth_header: "api-key: <api_key>",
      deployments: ["gpt-4o", "o3"],
      api_version: "2024-10-21",
    });
    expect(await use()).toBe("accepted");
    const endpoint = must(vendorRef.endpoint, "endpoint");
    expect(await world.chat(job.secret(), endpoint, "gpt-4o")).toBe(200);
    expect(await world.chat(job.secret(), endpoint, "gpt-4.1")).toBe(404);
    expect(world.violations()).toEqual([]);
  });

  it("keeps nothing of the key in journal or row", async () => {
    const world = await startWorld();
    const { job, vendorRef } = await world.provisioned();
    const kept = JSON.stringify([job.journal.dump(), vendorRef, job.describe(vendorRef)]);
    for (const key of (world.arm.books({ secrets: true }) as ReturnType<typeof world.books>).keys) {
      expect(kept).not.toContain(must(key.secret, "secret"));
    }
    // The signed address of the operation serves while the account is being made, and goes no further.
    expect(JSON.stringify(vendorRef)).not.toContain("operationResults");
  });

  it("pins the model's version, so that it does not change under the key", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned({ modelsAllowed: ["gpt-4o-2024-08-06", "gpt-4o"] });
    const path = `${accounts}/${vendorRef.account?.name}/deployments/gpt-4o-2024-08-06`;
    expect(await (await world.admin("GET", path)).json()).toMatchObject({
      properties: { model: { name: "gpt-4o", version: "2024-08-06" }, versionUpgradeOption: "NoAutoUpgrade" },
    });
    expect(vendorRef.deployments?.map(({ version }) => version)).toEqual(["2024-08-06", "2024-11-20"]);
  });

  it("deploys a few usual models when none were named", async () => {
    const world = await startWorld({ retired_models: ["gpt-4o"] });
    const { instructions, limits } = await world.provisioned({ modelsAllowed: null });
    expect(instructions.deployments).toEqual(["gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini"]);
    expect(limits.find(({ limit }) => limit === "models")?.fine_print).toContain("No models were named");
  });

  it.each([
    ["a creation that takes a minute", { create_ms: 60_000 }],
    ["reads that lag behind the creation", { get_lag_ms: 20_000 }],
    ["an account that is ready before it is", { early_succeeded_ms: 45_000 }],
    ["deployments that take their time", { deploy_ms: 30_000 }],
    ["lists of one entry a page, with every kind of last page", { page_size: 1, last_next_link: "empty" }],
    ["ids in lower case", { id_case: "lower", last_next_link: "null" }],
    ["all of it", { create_ms: 60_000, get_lag_ms: 90_000, early_succeeded_ms: 60_000, deploy_ms: 30_000 }],
  ])("gets there with %s", async (_, settings) => {
    const world = await startWorld(settings);
    const { use } = await world.provisioned({ modelsAllowed: ["gpt-4o", "o3-mini"] });
    expect(await use()).toBe("accepted");
    expect(world.books().accounts[0]?.deployments).toEqual(["gpt-4o", "o3-mini"]);
    expect(world.violations()).toEqual([]);
  });

  it("gives up on an account that is not made within 15 minutes, and undoes it", async () => {
    const world = await startWorld({ create_ms: 20 * 60_000 });
    const job = world.job();
    expect((await failureOf(job.run("provision"))).detail).toContain("15 minutes");
    expect(world.arm.now() - job.key.createdAt.getTime()).toBeGreaterThan(15 * 60_000);
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it("repeats what an account refuses because something else is being done to it", async () => {
    const world = await startWorld();
    world.arm.faults.add({
      match: { method: "PUT", path: "/deployments/" },
      when: "before",
      times: 2,
      do: { type: "respond", status: 409, body: { error: { code: "RequestConflict", message: "busy" } } },
    });
    expect(await (await world.provisioned()).use()).toBe("accepted");
  });

  it("follows a list to no other address, which would be sent our token", async () => {
    const world = await startWorld();
    const nextLink = "http://127.0.0.2:1/subscriptions?api-version=2026-03-01";
    const body = { value: [], nextLink };
    world.arm.faults.add({ match: { path: "usages" }, when: "before", do: { type: "respond", status: 200, body } });
    expect((await failureOf(world.job().once("provision"))).code).toBe("vendor.unexpected");
  });

  it("says so when a key works only from closed networks", async () => {
    const world = await startWorld();
    const { job, state } = await world.provisioned();
    expect(job.describe(state).instructions.network).toBeUndefined();
    const closed = job.describe({ ...state, publicNetworkAccess: "Disabled" } as typeof state);
    expect(closed.instructions.network).toContain("Public access to the account is disabled");
  });

  it("asks for a new token when Azure does not take the old one any more", async () => {
    const world = await startWorld();
    await world.provisioned();
    world.arm.advanceClock(2 * 3_600_000);
    expect(await (await world.provisioned()).use()).toBe("accepted");
    expect((world.entra.books() as { tokens_issued: unknown[] }).tokens_issued).toHaveLength(2);
  });
});

describe("what stands in the way", () => {
  it("leaves alone an account of the same name that is somebody else's", async () => {
    const world = await startWorld();
    const job = world.job();
    const body = { kind: "OpenAI", sku: { name: "S0" }, location: "eastus2", tags: { team: "ml" }, properties: {} };
    await world.admin("PUT", `${accounts}/${job.key.projectName}`, body);
    const failure = await failureOf(job.run("provision"));
    expect(failure).toMatchObject({ kind: "permanent", nothingHappened: true });
    await job.undo("provision");
    expect(world.books().accounts).toMatchObject([{ name: job.key.projectName, tags: { team: "ml" } }]);
  });

  it.each(["own", "foreign", "own, without the right to purge"])(
    "meets a deleted account of its name: %s",
    async (whose) => {
      const world = await startWorld();
      const job = world.job();
      const path = `${accounts}/${job.key.projectName}`;
      const tags = { "keygate-key": whose === "foreign" ? "key-other" : job.key.id };
      const body = { kind: "OpenAI", sku: { name: "S0" }, location: "swedencentral", tags, properties: {} };
      await world.admin("PUT", path, body);
      await world.admin("GET", path);
      await world.arm.control("delete_account", { account: job.key.projectName });
      if (whose.includes("without")) world.arm.mergeSettings({ missing_roles: ["purge"] });
      if (whose === "own") {
        await job.run("provision");
        expect(world.leftovers()).toHaveLength(2);
        return;
      }
      expect(await failureOf(job.run("provision"))).toMatchObject({ code: "vendor.refused" });
      await job.undo("provision");
      expect(world.leftovers()).toEqual([`deleted account ${job.key.projectName}`]);
    },
  );

  it.each(["sync", "failed", "absent"])("says that the subdomain is taken, told by Azure as %s", async (how) => {
    const world = await startWorld({ custom_domain_failure: how, create_ms: 3_000 });
    const job = world.job();
    world.arm.mergeSettings({ taken_subdomains: [job.key.projectName] });
    const failure = await failureOf(job.run("provision"));
    expect(failure.detail).toContain("is taken somewhere in the world");
    expect(failure.kind).toBe("permanent");
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
    expect(world.violations()).toEqual([]);
  });

  it.each([
    ["refuses accounts with keys", { policy_deny_local_auth: true }, "should have key access disabled"],
    ["switches keys off", { policy_modify_local_auth: true }, "disableLocalAuth"],
  ])("says that a policy %s, and leaves nothing", async (_, settings, words) => {
    const world = await startWorld(settings);
    const job = world.job();
    const failure = await failureOf(job.run("provision"));
    expect(failure.kind).toBe("permanent");
    expect(failure.detail).toContain(words);
    expect(job.delivered).toEqual([]);
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it.each([
    ["a missing role", { missing_roles: ["write"] }, "AuthorizationFailed"],
    ["a provider that is not registered", { registered: false }, "Register the provider"],
    ["a lock", { lock: "ReadOnly" }, "Remove the lock"],
  ])("waits for a person where the subscription has %s", async (_, settings, words) => {
    const world = await startWorld(settings);
    const job = world.job();
    const failure = await failureOf(job.run("provision"));
    expect(failure).toMatchObject({ kind: "credentials" });
    expect(failure.detail).toContain(words);
    world.arm.mergeSettings({ missing_roles: [], registered: true, lock: "none" });
    await job.run("provision");
    expect(world.books().accounts).toHaveLength(1);
  });
});
