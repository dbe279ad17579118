import { describe, expect, it } from "vitest";
import { type Answer, gpt4o, S0_ACCOUNT, useAzure } from "./azure-client.ts";

const client = useAzure();
const { account, arm, deleted, provider, ready, set } = client;
const code = ({ status, body }: Answer) => [status, body?.error?.code];
const subscription = (below: string) => `/subscriptions/${client.azure.place.subscriptionId}${below}`;
const group = (below = "") => subscription(`/resourceGroups/keygate${below}`);
const v = (version: string) => ({ version });

describe("what no correct client sends", () => {
  it.each([
    ["an unknown field", { ...S0_ACCOUNT, colour: "red" }],
    ["an unknown property", { ...S0_ACCOUNT, properties: { disableLocalAuths: true } }],
    ["a property that only Azure writes", { ...S0_ACCOUNT, properties: { endpoint: "https://x" } }],
    ["a wrong type", { ...S0_ACCOUNT, properties: { disableLocalAuth: "false" } }],
    ["no kind", { ...S0_ACCOUNT, kind: undefined }],
    ["no SKU", { ...S0_ACCOUNT, sku: undefined }],
    ["no location", { ...S0_ACCOUNT, location: undefined }],
    ["a tag that is no text", { ...S0_ACCOUNT, tags: { n: 1 } }],
    ["too many tags", { ...S0_ACCOUNT, tags: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`t${i}`, ""])) }],
    ["half a body", "{"],
  ])("in the body of an account — %s — is refused and filed, and makes nothing", async (_, body) => {
    const put = await arm("PUT", account("kg-1"), body);
    expect(code(put)).toEqual([400, "InvalidRequestContent"]);
    expect(client.violations()).toHaveLength(1);
    expect(client.books().accounts).toEqual([]);
  });

  it.each([
    ["an unknown property", { ...gpt4o(1), properties: { ...gpt4o(1).properties, rpm: 60 } }],
    ["no capacity", { ...gpt4o(1), sku: { name: "GlobalStandard" } }],
    ["half a unit", gpt4o(0.5)],
    ["no version", { ...gpt4o(1), properties: { model: { format: "OpenAI", name: "gpt-4o" } } }],
  ])("in the body of a deployment — %s — is refused and filed", async (_, body) => {
    await ready("kg-1");
    expect((await arm("PUT", account("kg-1", "/deployments/dd"), body)).status).toBe(400);
    expect(client.violations()).toHaveLength(1);
  });

  it("elsewhere in the call is refused and filed too", async () => {
    await ready("kg-1");
    const calls = [
      arm("GET", account("kg-1"), undefined, { version: null }),
      arm("GET", account("kg-1"), undefined, v("2019-01-01")),
      arm("GET", `${account("kg-1")}?api-version=2026-03-01&page=2`),
      arm("GET", account("kg-1", "/keys")),
      arm("POST", account("kg-1"), {}),
      arm("PUT", account("-bad-"), S0_ACCOUNT),
      arm("POST", account("kg-1", "/regenerateKey"), { keyName: "key1" }),
      arm("POST", account("kg-1", "/listKeys"), { key: 1 }),
      arm("DELETE", account("kg-1"), {}),
      arm(
        "GET",
        `${subscription("/resources")}?$filter=resourceType eq 'a' and tagName eq 'b'`,
        undefined,
        v("2021-04-01"),
      ),
    ];
    const statuses = (await Promise.all(calls)).map(({ status }) => status);
    expect(statuses).toEqual([400, 400, 400, 404, 405, 400, 400, 400, 400, 400]);
    expect(client.violations()).toHaveLength(calls.length);
    expect(client.books().accounts).toHaveLength(1);
  });
});

describe("who may what", () => {
  it("is checked by token, subscription and group", async () => {
    const unknown = await arm("GET", account("kg-1"), undefined, { token: "nonsense" });
    expect(code(unknown)).toEqual([401, "InvalidAuthenticationToken"]);
    const elsewhere = account("kg-1").replace(client.azure.place.subscriptionId, crypto.randomUUID());
    expect(code(await arm("GET", elsewhere))).toEqual([404, "SubscriptionNotFound"]);
    const nowhere = account("kg-1").replace("/keygate/", "/nobody/");
    expect(code(await arm("PUT", nowhere, S0_ACCOUNT))).toEqual([404, "ResourceGroupNotFound"]);
    expect(client.violations()).toEqual([]);
  });

  it("can be taken away action by action, which the refusal names", async () => {
    await ready("kg-1");
    set({ missing_roles: ["purge", "list_keys"] });
    expect(code(await arm("POST", account("kg-1", "/listKeys")))).toEqual([403, "AuthorizationFailed"]);
    expect((await arm("DELETE", account("kg-1"))).status).toBe(200);
    const refused = await arm("DELETE", deleted("kg-1"));
    expect(code(refused)).toEqual([403, "AuthorizationFailed"]);
    expect(refused.body.error.message).toContain("deletedAccounts/delete");
  });

  it("can be asked for: a missing right to purge shows at the subscription, not at the group", async () => {
    set({ missing_roles: ["purge"] });
    const ask = async (scope: string) =>
      (await arm("GET", `${scope}/providers/Microsoft.Authorization/permissions`, undefined, v("2022-04-01"))).body
        .value[0].notActions;
    expect(await ask(subscription(""))).toHaveLength(1);
    expect(await ask(group())).toEqual([]);
  });

  it("is limited by locks: ReadOnly stops the reading of keys as well", async () => {
    await ready("kg-1");
    set({ lock: "CanNotDelete" });
    expect(code(await arm("DELETE", account("kg-1")))).toEqual([409, "ScopeLocked"]);
    expect((await arm("POST", account("kg-1", "/listKeys"))).status).toBe(200);
    set({ lock: "ReadOnly" });
    expect(code(await arm("POST", account("kg-1", "/listKeys")))).toEqual([409, "ScopeLocked"]);
    const locks = await arm("GET", group("/providers/Microsoft.Authorization/locks"), undefined, v("2020-05-01"));
    expect(locks.body.value[0].properties.level).toBe("ReadOnly");
  });

  it("is limited by policies: one refuses keys by name, one quietly switches them off", async () => {
    set({ policy_deny_local_auth: true });
    const refused = await arm("PUT", account("kg-1"), S0_ACCOUNT);
    expect(code(refused)).toEqual([403, "RequestDisallowedByPolicy"]);
    expect(refused.body.error.additionalInfo[0].info.policyDefinitionDisplayName).toContain("local authentication");
    set({ policy_deny_local_auth: false, policy_modify_local_auth: true });
    const changed = await arm("PUT", account("kg-1"), S0_ACCOUNT);
    expect([changed.status, changed.body.properties.disableLocalAuth]).toEqual([201, true]);
  });

  it("ends where the provider is not registered", async () => {
    const ask = async () => (await arm("GET", provider(""), undefined, v("2021-04-01"))).body.registrationState;
    expect(await ask()).toBe("Registered");
    set({ registered: false });
    expect(await ask()).toBe("NotRegistered");
    expect(code(await arm("PUT", account("kg-1"), S0_ACCOUNT))).toEqual([409, "MissingSubscriptionRegistration"]);
    expect((await arm("GET", group(), undefined, v("2021-04-01"))).body.properties.provisioningState).toBe("Succeeded");
  });
});

describe("throttling", () => {
  it("tells what is left, refuses with Retry-After when nothing is, and fills up again", async () => {
    set({
      throttling: {
        reads: { size: 2, per_second: 0.5 },
        writes: { size: 10, per_second: 1 },
        deletes: { size: 10, per_second: 1 },
      },
    });
    const first = await arm("GET", provider("/accounts"));
    expect(first.headers.get("x-ms-ratelimit-remaining-subscription-reads")).toBe("1");
    await arm("GET", provider("/accounts"));
    const third = await arm("GET", provider("/accounts"));
    expect(code(third)).toEqual([429, "SubscriptionRequestsThrottled"]);
    expect(third.headers.get("retry-after")).toBe("2");
    expect((await arm("PUT", account("kg-1"), S0_ACCOUNT)).status).toBe(201);
    client.azure.arm.advanceClock(2_000);
    expect((await arm("GET", provider("/accounts"))).status).toBe(200);
  });
});

describe("the books", () => {
  it("tell in order what happened, and a reset forgets it", async () => {
    await ready("kg-1");
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(1));
    await arm("POST", account("kg-1", "/regenerateKey"), { keyName: "Key1" });
    await arm("DELETE", account("kg-1", "/deployments/gpt-4o"));
    await arm("DELETE", account("kg-1"));
    await arm("DELETE", deleted("kg-1"));
    const { events, keys, accounts } = client.books();
    expect(events.map(({ event }) => event)).toEqual([
      "account.created",
      "deployment.created",
      "key.regenerated",
      "deployment.deleted",
      "account.deleted",
      "account.purged",
    ]);
    expect(keys.map(({ slot, live }) => [slot, live])).toEqual([
      ["Key1", false],
      ["Key2", false],
      ["Key1", false],
    ]);
    expect(accounts).toEqual([]);
    client.azure.arm.reset();
    expect(client.books()).toMatchObject({ events: [], keys: [], quota: [] });
  });
});
