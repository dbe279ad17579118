import { describe, expect, it } from "vitest";
import { gpt4o, S0_ACCOUNT, sha256, useAzure } from "./azure-client.ts";

const client = useAzure();
const { account, arm, deleted, provider, ready, set } = client;

describe("creation", () => {
  it("answers before it is done, and both the resource and the signed address tell when it is", async () => {
    set({ create_ms: 30_000 });
    const put = await arm("PUT", account("kg-1"), { ...S0_ACCOUNT, tags: { "keygate-key": "key-1" } });
    expect(put.status).toBe(201);
    expect(put.body).toMatchObject({ name: "kg-1", tags: { "keygate-key": "key-1" }, location: "swedencentral" });
    expect(put.body.properties.provisioningState).toBe("Creating");
    expect(put.headers.get("location")).toBeNull();
    const operation = put.headers.get("azure-asyncoperation") ?? "";
    expect(operation.length).toBeGreaterThan(3_000);

    expect((await arm("GET", operation)).body.status).toBe("Creating");
    client.azure.arm.advanceClock(30_000);
    expect((await arm("GET", operation)).body.status).toBe("Succeeded");
    expect((await arm("GET", account("kg-1"))).body.properties.provisioningState).toBe("Succeeded");
    expect(client.violations()).toEqual([]);
  });

  it("takes real time too, without anybody moving the clock", async () => {
    await arm("PUT", account("kg-1"), S0_ACCOUNT);
    await expect
      .poll(async () => (await arm("GET", account("kg-1"))).body.properties.provisioningState, { interval: 10 })
      .toBe("Succeeded");
  });

  it("gives nothing for an operation's address that lost a byte", async () => {
    const put = await arm("PUT", account("kg-1"), S0_ACCOUNT);
    const operation = put.headers.get("azure-asyncoperation") ?? "";
    expect((await arm("GET", operation.slice(0, 2_048))).status).toBe(400);
    expect((await arm("GET", operation.replaceAll("%2B", "+"))).status).toBe(400);
    expect(client.violations()).toHaveLength(2);
  });

  it("makes one account of one name, whatever its case", async () => {
    await ready("kg-1");
    const again = await arm("PUT", account("KG-1"), S0_ACCOUNT);
    expect(again.status).toBe(200);
    expect(again.body.name).toBe("kg-1");
    expect(client.books().accounts).toHaveLength(1);
    const shouted = account("kg-1").replace("resourceGroups/keygate", "RESOURCEGROUPS/KEYGATE");
    expect((await arm("GET", shouted)).status).toBe(200);
  });

  it("lets nothing be done below the account before it is ready, and for a while after it says so", async () => {
    set({ create_ms: 1_000, early_succeeded_ms: 100_000 });
    await arm("PUT", account("kg-1"), S0_ACCOUNT);
    const codeOfDeployment = async () =>
      (await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(1))).body.error?.code;
    expect(await codeOfDeployment()).toBe("AccountProvisioningStateInvalid");
    expect((await arm("PUT", account("kg-1"), S0_ACCOUNT)).body.error.code).toBe("RequestConflict");
    await client.settled("kg-1");
    expect(await codeOfDeployment()).toBe("AccountProvisioningStateInvalid");
    client.azure.arm.advanceClock(100_000);
    expect(await codeOfDeployment()).toBeUndefined();
  });

  it("refuses the 31st account of a region, soft-deleted ones counted, until there is room", async () => {
    set({ quota_occupied: { "OpenAI.S0.AccountCount": 29 } });
    await ready("kg-1");
    expect((await arm("PUT", account("kg-2"), S0_ACCOUNT)).body.error.code).toBe("InsufficientQuota");
    expect((await arm("PUT", account("kg-2"), { ...S0_ACCOUNT, location: "Nowhere" })).status).toBe(400);
    await arm("DELETE", account("kg-1"));
    expect((await arm("PUT", account("kg-2"), S0_ACCOUNT)).body.error.code).toBe("InsufficientQuota");
    await arm("DELETE", deleted("kg-1"));
    expect((await arm("PUT", account("kg-2"), S0_ACCOUNT)).status).toBe(201);
  });
});

describe("subdomains", () => {
  const named = { properties: { customSubDomainName: "kg-sub" } };

  it("are unique in the world, until the account that has one is purged", async () => {
    const { endpoint } = await ready("kg-1", named);
    expect(endpoint).toContain("/_data/kg-sub/");
    const other = () => arm("PUT", account("kg-2"), { ...S0_ACCOUNT, ...named });
    const check = async () =>
      (
        await arm("POST", provider("/checkDomainAvailability"), {
          subdomainName: "KG-sub",
          type: "Microsoft.CognitiveServices/accounts",
        })
      ).body.isSubdomainAvailable;
    expect([(await other()).body.error.code, await check()]).toEqual(["CustomDomainInUse", false]);
    await arm("DELETE", account("kg-1"));
    expect([(await other()).body.error.code, await check()]).toEqual(["CustomDomainInUse", false]);
    await arm("DELETE", deleted("kg-1"));
    expect(await check()).toBe(true);
    expect((await other()).status).toBe(201);
  });

  it.each(["failed", "absent"])(
    "may turn out to be taken only later, by an operation that leaves it %s",
    async (how) => {
      set({ taken_subdomains: ["kg-sub"], custom_domain_failure: how });
      const put = await arm("PUT", account("kg-1"), { ...S0_ACCOUNT, ...named });
      expect(put.status).toBe(201);
      client.azure.arm.advanceClock(1_000);
      const operation = await arm("GET", put.headers.get("azure-asyncoperation") ?? "");
      expect(operation.body).toMatchObject({ status: "Failed", error: { code: "CustomDomainInUse" } });
      const left = await arm("GET", account("kg-1"));
      expect(how === "failed" ? left.body.properties.provisioningState : left.status).toBe(
        how === "failed" ? "Failed" : 404,
      );
      expect(client.books().keys.every(({ live }) => !live)).toBe(true);
    },
  );

  it("cannot be changed once they are set", async () => {
    await ready("kg-1", named);
    const change = { properties: { customSubDomainName: "kg-other" } };
    expect((await arm("PATCH", account("kg-1"), change)).status).toBe(400);
    expect((await arm("PUT", account("kg-1"), { ...S0_ACCOUNT, ...change })).status).toBe(400);
    const without = await arm("PUT", account("kg-1"), S0_ACCOUNT);
    expect(without.body.properties.customSubDomainName).toBe("kg-sub");
  });
});

describe("changes", () => {
  it("by PUT replace everything: tags that are left out are gone", async () => {
    await ready("kg-1", { tags: { a: "1" }, properties: { publicNetworkAccess: "Disabled" } });
    const put = await arm("PUT", account("kg-1"), S0_ACCOUNT);
    expect(put.body.tags).toBeUndefined();
    expect(put.body.properties.publicNetworkAccess).toBe("Enabled");
  });

  it("by PATCH leave the rest", async () => {
    await ready("kg-1", { tags: { a: "1" } });
    const patch = await arm("PATCH", account("kg-1"), { properties: { disableLocalAuth: true } });
    expect(patch.body).toMatchObject({ tags: { a: "1" }, properties: { disableLocalAuth: true } });
  });

  it("run one at a time on an account, and side by side on two", async () => {
    await ready("kg-1");
    await ready("kg-2");
    set({ write_ms: 200 });
    const put = (name: string, d: string) => arm("PUT", account(name, `/deployments/${d}`), gpt4o(1));
    const answers = await Promise.all([put("kg-1", "aa"), put("kg-1", "bb"), put("kg-2", "aa")]);
    const codes = answers.map(({ status, body }) => body.error?.code ?? status);
    expect(codes.slice(0, 2).sort()).toEqual([201, "RequestConflict"].sort());
    expect(codes[2]).toBe(201);
  });
});

describe("deletion", () => {
  it("is soft: name, quota and keys' records stay until a purge, and only then the name is free", async () => {
    const { key1 } = await ready("kg-1", { tags: { "keygate-key": "key-1" } });
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(10));
    expect((await arm("DELETE", account("kg-1"))).status).toBe(200);
    expect((await arm("GET", account("kg-1"))).body.error.code).toBe("ResourceNotFound");
    expect((await arm("DELETE", account("kg-1"))).status).toBe(204);
    expect((await arm("PUT", account("kg-1"), S0_ACCOUNT)).body.error.code).toBe("FlagMustBeSetForRestore");

    const listed = (await arm("GET", provider("/deletedAccounts"))).body.value;
    expect(listed).toHaveLength(1);
    expect(listed[0]).toMatchObject({ name: "kg-1", tags: { "keygate-key": "key-1" } });
    const { deletionDate, scheduledPurgeDate } = listed[0].properties;
    expect(Date.parse(scheduledPurgeDate) - Date.parse(deletionDate)).toBe(48 * 3_600_000);
    expect(client.books().quota).toContainEqual(
      expect.objectContaining({ usage: "OpenAI.GlobalStandard.gpt-4o", used: 10 }),
    );
    expect(client.books().keys.find((key) => key.sha256 === sha256(key1))?.live).toBe(false);

    expect((await arm("DELETE", deleted("kg-1"))).status).toBe(200);
    expect((await arm("GET", deleted("kg-1"))).status).toBe(404);
    expect((await arm("DELETE", deleted("kg-1"))).status).toBe(204);
    expect(client.books().quota).toEqual([]);
    expect((await arm("PUT", account("kg-1"), S0_ACCOUNT)).status).toBe(201);
    expect(client.violations()).toEqual([]);
  });

  it("becomes final by itself after 48 hours", async () => {
    await ready("kg-1");
    await arm("DELETE", account("kg-1"));
    client.azure.arm.advanceClock(48 * 3_600_000 - 60_000);
    expect((await arm("GET", deleted("kg-1"))).status).toBe(200);
    client.azure.arm.advanceClock(60_000);
    expect((await arm("GET", deleted("kg-1"))).status).toBe(404);
    expect(client.books().events.at(-1)).toMatchObject({ event: "account.purged", facts: { by: "time" } });
  });

  it("can be taken back once, and the keys of before work again", async () => {
    const { endpoint, key1 } = await ready("kg-1", { properties: { customSubDomainName: "kg-sub" } });
    await arm("DELETE", account("kg-1"));
    const probe = () => client.data(`${endpoint}openai/models?api-version=2024-10-21`, key1);
    expect((await probe()).status).toBe(401);
    const restore = () => arm("PUT", account("kg-1"), { location: "swedencentral", properties: { restore: true } });
    expect((await restore()).status).toBe(201);
    await client.settled("kg-1");
    expect((await probe()).status).toBe(200);
    expect((await restore()).body.error.code).toBe("CanNotRestoreAnActiveResource");
    const none = await arm("PUT", account("kg-9"), { location: "swedencentral", properties: { restore: true } });
    expect(none.body.error.code).toBe("CanNotRestoreANonExistingResource");
  });

  it("and purge may take time, followed by Location", async () => {
    await ready("kg-1");
    set({ delete_ms: 5_000, purge_ms: 5_000 });
    const removal = await arm("DELETE", account("kg-1"));
    expect([removal.status, removal.headers.get("retry-after")]).toEqual([202, "1"]);
    const at = removal.headers.get("location") ?? "";
    expect((await arm("GET", at)).status).toBe(202);
    expect((await arm("GET", account("kg-1"))).body.properties.provisioningState).toBe("Deleting");
    client.azure.arm.advanceClock(5_000);
    expect((await arm("GET", at)).status).toBe(200);
    expect((await arm("DELETE", deleted("kg-1"))).status).toBe(202);
    client.azure.arm.advanceClock(5_000);
    expect((await arm("GET", deleted("kg-1"))).status).toBe(404);
  });
});

describe("lists", () => {
  it("come in pages whose next address holds all that it needs", async () => {
    set({ page_size: 2, last_next_link: "empty" });
    for (const name of ["kg-1", "kg-2", "kg-3"]) await ready(name, { tags: { "keygate-instance": "prod" } });
    const first = await arm("GET", account("").replace(/\/$/, ""));
    expect(first.body.value.map(({ name }: { name: string }) => name)).toEqual(["kg-1", "kg-2"]);
    const second = await arm("GET", first.body.nextLink, undefined, { version: null });
    expect(second.body.value.map(({ name }: { name: string }) => name)).toEqual(["kg-3"]);
    expect(second.body.nextLink).toBe("");

    const tagged = new URLSearchParams({
      $filter: "tagName eq 'keygate-instance' and tagValue eq 'prod'",
      "api-version": "2021-04-01",
    });
    const found = await arm("GET", `/subscriptions/${client.azure.place.subscriptionId}/resources?${tagged}`);
    expect(found.body.value).toHaveLength(2);
    expect((await arm("GET", found.body.nextLink, undefined, { version: null })).body.value).toHaveLength(1);
    expect(client.violations()).toEqual([]);
  });

  it("can be behind the truth, while a look at the account is not", async () => {
    set({ list_lag_ms: 120_000 });
    await ready("kg-1");
    const names = async () =>
      (await arm("GET", provider("/accounts"))).body.value.map(({ name }: { name: string }) => name);
    expect(await names()).toEqual([]);
    client.azure.arm.advanceClock(120_000);
    expect(await names()).toEqual(["kg-1"]);
    await arm("DELETE", account("kg-1"));
    expect(await names()).toEqual(["kg-1"]);
    expect((await arm("GET", account("kg-1"))).status).toBe(404);
    client.azure.arm.advanceClock(120_000);
    expect(await names()).toEqual([]);
  });
});
