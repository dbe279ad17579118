import { describe, expect, it } from "vitest";
import { WaitForVendor } from "../src/saga/wait.ts";
import type { AzureState } from "../src/vendors/azure-openai/state.ts";
import { failureOf, startWorld } from "./azure-openai-support.ts";

/** What Azure may answer within its own rules, beyond what it usually does. */
const accounts = "/resourceGroups/keygate/providers/Microsoft.CognitiveServices/accounts";

const respond = (status: number, body?: unknown, headers: Record<string, string> = {}) =>
  ({ when: "before", do: { type: "respond", status, headers, ...(body === undefined ? {} : { body }) } }) as const;
const refusal = (code: string) => ({ error: { code, message: "simulated" } });

/** Where a try broke off to wait, if that is what it did. */
async function waitOf(promise: Promise<unknown>): Promise<WaitForVendor> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof WaitForVendor) return error;
  throw error instanceof Error ? error : new Error("it did not wait");
}

describe("a key's whole life", () => {
  it.each([
    ["a creation that is accepted with a Location", { create_answer: "accepted", create_ms: 30_000 }],
    ["a creation that is accepted without a body", { create_answer: "bare", create_ms: 30_000, get_lag_ms: 10_000 }],
    ["deployments that are accepted without a body", { deploy_bare: true, deploy_ms: 15_000 }],
    ["deployments that take their time to go", { undeploy_ms: 15_000, delete_ms: 15_000, purge_ms: 15_000 }],
    ["answers that leave out what they may", { members: "few" }],
    ["answers with nulls, and with members nobody has heard of", { members: "null" }],
    ["no right to see what is used", { missing_roles: ["usages"] }],
  ])("gets there with %s", async (_, settings) => {
    const world = await startWorld(settings);
    const old = await world.provisioned({ modelsAllowed: ["gpt-4o", "o3"] });
    expect(old.limits.find(({ limit }) => limit === "rate_limit")).toMatchObject({ effective: 60 });
    expect(old.vendorRef.deployments?.map(({ tokensPerMinute }) => tokensPerMinute)).toEqual([10_000, 60_000]);
    const next = await world.rotated(old.vendorRef);
    expect([await old.use(), await next.use()]).toEqual(["accepted", "accepted"]);
    await world.revoked(old.vendorRef, "revoke");
    expect([await old.use(), await next.use()]).toEqual(["refused", "accepted"]);
    await world.revoked(next.vendorRef);
    expect(await next.use()).toBe("refused");
    expect(world.leftovers()).toEqual([]);
    expect(world.violations()).toEqual([]);
  });
});

describe("a creation", () => {
  it.each(["failed", "absent"])(
    "tells by its Location why it failed, also when the account is then %s",
    async (how) => {
      const world = await startWorld({ create_answer: "accepted", custom_domain_failure: how, create_ms: 3_000 });
      const job = world.job();
      world.arm.mergeSettings({ taken_subdomains: [job.key.projectName] });
      expect((await failureOf(job.run("provision"))).detail).toContain("is taken somewhere in the world");
      await job.undo("provision");
      expect(world.leftovers()).toEqual([]);
    },
  );

  it("is left alone for as long as Azure wants", async () => {
    const world = await startWorld({ create_retry_after_s: 17, create_ms: 40_000 });
    const job = world.job();
    expect((await waitOf(job.once("provision"))).delayMs).toBe(17_000);
    const { instructions } = job.describe(await job.run("provision"));
    expect(await world.fixture.use(job.secret(), instructions)).toBe("accepted");
  });

  it("goes to the next location where the subscription may not have the first", async () => {
    for (const code of ["SpecialFeatureOrQuotaIdRequired", "LocationNotAvailableForResourceType"]) {
      const world = await startWorld();
      world.arm.faults.add({ match: { method: "PUT", path: "/accounts/" }, ...respond(400, refusal(code)) });
      expect((await world.provisioned()).vendorRef.account?.location).toBe("eastus2");
    }
  });

  it.each(["FlagMustBeSetForRestore", "CustomDomainInUse"])(
    "waits while a purge has not freed the name yet (%s), and not for ever",
    async (code) => {
      const world = await startWorld();
      const job = world.job();
      const path = `${accounts}/${job.key.projectName}`;
      const tags = { "keygate-key": job.key.id };
      await world.admin("PUT", path, {
        kind: "OpenAI",
        sku: { name: "S0" },
        location: "eastus2",
        tags,
        properties: {},
      });
      await world.admin("GET", path);
      await world.arm.control("delete_account", { account: job.key.projectName });
      world.arm.faults.add({ match: { method: "PUT", nth: 2 }, ...respond(409, refusal(code)) });
      expect((await waitOf(job.once("provision"))).reason).toContain("does not free the name yet");
      await job.run("provision");
      expect(world.books().deleted_accounts).toEqual([]);
      expect(world.books().accounts).toHaveLength(1);

      const held = world.job();
      world.arm.faults.add({ match: { method: "PUT" }, ...respond(409, refusal("FlagMustBeSetForRestore")) });
      world.arm.faults.add({ match: { method: "PUT", nth: 2 }, times: 0, ...respond(409, refusal(code)) });
      const begun = world.arm.now();
      expect((await failureOf(held.run("provision"))).kind).toBe("permanent");
      if (code === "FlagMustBeSetForRestore") expect(world.arm.now() - begun).toBeGreaterThan(2 * 60_000);
    },
  );

  it("names the policy that forbids it, also where Azure tells it one level down", async () => {
    const world = await startWorld();
    const info = { policyDefinitionDisplayName: "No keys here" };
    const details = [{ code: "RequestDisallowedByPolicy", message: "no", additionalInfo: [{ type: "x", info }] }];
    const body = { error: { code: "InvalidTemplateDeployment", message: "no", details } };
    world.arm.faults.add({ match: { method: "PUT" }, ...respond(403, body) });
    const failure = await failureOf(world.job().run("provision"));
    expect(failure).toMatchObject({ kind: "permanent", detail: expect.stringContaining("“No keys here”") });
  });

  it.each([
    ["deployments", { method: "PUT", path: "/deployments/" }],
    ["keys", { path: "listKeys" }],
  ])("is not given up because the account is out of sight for the first call about its %s", async (_, match) => {
    const world = await startWorld();
    world.arm.faults.add({ match, times: 2, ...respond(404, refusal("ParentResourceNotFound")) });
    expect(await (await world.provisioned()).use()).toBe("accepted");
  });
});

describe("an account that is busy", () => {
  it("is waited for without the job's failing, whoever is busy with it", async () => {
    const world = await startWorld();
    const job = world.job();
    const busy = respond(409, refusal("RequestConflict"), { "retry-after": "20" });
    const fault = world.arm.faults.add({ match: { method: "PUT", path: "/deployments/" }, times: 0, ...busy });
    expect(await waitOf(job.once("provision"))).toMatchObject({ delayMs: 20_000 });
    expect(world.arm.faults.list().find(({ id }) => id === fault)?.hits).toBe(1);
    world.arm.faults.clear();
    const { vendorRef } = job.describe(await job.run("provision"));

    for (const path of ["regenerateKey$", "/deployments/", "/accounts/[^/]+$", "deletedAccounts"]) {
      const method = path.startsWith("regenerate") ? "POST" : "DELETE";
      world.arm.faults.add({ match: { method, path }, ...busy });
    }
    const ending = world.job();
    for (let n = 0; n < 4; n++) {
      expect(await waitOf(ending.once("revoke-last", vendorRef))).toMatchObject({ delayMs: 20_000 });
    }
    await ending.run("revoke-last", vendorRef);
    expect(world.leftovers()).toEqual([]);
  });

  it("is asked to go when it is stuck in its creation", async () => {
    const world = await startWorld({ create_ms: 24 * 3_600_000 });
    const job = world.job();
    await waitOf(job.once("provision"));
    const { subscriptionId } = world.fixture.azure.place;
    const account = { subscriptionId, resourceGroup: "keygate", name: job.key.projectName, location: "swedencentral" };
    const ending = world.job();
    const ref: AzureState = { account: { ...account, ownerKeyId: job.key.id } };
    expect((await waitOf(ending.once("revoke-last", ref))).reason).toContain("has not finished making");
    world.arm.advanceClock(21 * 60_000);
    // The age counts for each step, so the first of them lets go, and the next begins to wait.
    await waitOf(ending.once("revoke-last", ref));
    world.arm.advanceClock(21 * 60_000);
    await ending.once("revoke-last", ref).catch(() => {});
    expect(
      world.arm.calls().filter(({ method, path }) => method === "DELETE" && path.includes("accounts")),
    ).toHaveLength(1);
  });
});

describe("what looks like an answer and is none", () => {
  it.each([
    ["a web page", "retryable", { type: "respond", status: 404, text: "<h1>Not found</h1>" }],
    ["nothing", "retryable", { type: "respond", status: 404, text: "" }],
    ["an error without a code", "permanent", { type: "respond", status: 404, body: { error: { message: "no" } } }],
    [
      "an address that Azure does not know",
      "permanent",
      { type: "respond", status: 404, body: refusal("InvalidResourceType") },
    ],
  ] as const)("never ends a key: a 404 with %s is %s", async (_, kind, effect) => {
    const world = await startWorld();
    const { vendorRef, use } = await world.provisioned();
    world.arm.advanceClock(3_600_000);
    world.arm.faults.add({ match: { path: "^/subscriptions/" }, times: 0, when: "before", do: effect });
    const ending = world.job();
    for (let n = 0; n < 3; n++) {
      expect((await failureOf(ending.once("revoke-last", vendorRef))).kind).toBe(kind);
      world.arm.advanceClock(3_600_000);
    }
    expect(await use()).toBe("accepted");
    world.arm.faults.clear();
    await ending.run("revoke-last", vendorRef);
    expect(await use()).toBe("refused");
  });

  it("never sends our token along a list's next address that is none of Azure's", async () => {
    const world = await startWorld();
    for (const nextLink of ["/subscriptions/x", "not an address", "http://127.0.0.2:9/x"]) {
      world.arm.faults.add({ match: { path: "usages" }, ...respond(200, { value: [], nextLink }) });
      expect((await failureOf(world.job().once("provision"))).code).toBe("vendor.unexpected");
    }
  });

  it("does not hold up a revocation: entries of others that KeyGate cannot make sense of", async () => {
    const world = await startWorld();
    const { vendorRef } = await world.provisioned();
    const odd = { value: [{ name: "gpt-4o", sku: null, properties: { model: null, rateLimits: [{ rules: [] }] } }] };
    world.arm.faults.add({ match: { method: "GET", path: "/deployments$" }, ...respond(200, odd) });
    await world.revoked(vendorRef);
    expect(world.leftovers()).toEqual([]);
  });
});
