import { describe, expect, it } from "vitest";
import { gpt4o, sha256, useAzure } from "./azure-client.ts";

const client = useAzure();
const { account, arm, ready, set } = client;

const hello = { messages: [{ role: "user", content: "Hello" }] };
const probe = (endpoint: string, key: string) => client.data(`${endpoint}openai/models?api-version=2024-10-21`, key);
const regenerate = (keyName: string) => arm("POST", account("kg-1", "/regenerateKey"), { keyName });
const liveOf = (secret: string) => client.books().keys.find((key) => key.sha256 === sha256(secret))?.live;

describe("keys", () => {
  it("are two, equal, and can be read again at any time", async () => {
    const { endpoint, key1, key2 } = await ready("kg-1");
    expect([key1, key2].map((key) => key.length)).toEqual([84, 84]);
    expect((await arm("POST", account("kg-1", "/listKeys"))).body).toEqual({ key1, key2 });
    expect([(await probe(endpoint, key1)).status, (await probe(endpoint, key2)).status]).toEqual([200, 200]);
  });

  it("die at once when they are regenerated, and the other one lives on", async () => {
    const { endpoint, key1, key2 } = await ready("kg-1");
    const { body } = await regenerate("Key2");
    expect(body.key1).toBe(key1);
    expect(body.key2).not.toBe(key2);
    expect((await probe(endpoint, key2)).status).toBe(401);
    expect((await probe(endpoint, key1)).status).toBe(200);
    expect((await probe(endpoint, body.key2)).status).toBe(200);
    expect([liveOf(key1), liveOf(key2), liveOf(body.key2)]).toEqual([true, false, true]);
  });

  it("may take a while to die", async () => {
    set({ key_death_lag_ms: 60_000 });
    const { endpoint, key1 } = await ready("kg-1");
    await regenerate("Key1");
    expect([(await probe(endpoint, key1)).status, liveOf(key1)]).toEqual([200, true]);
    client.azure.arm.advanceClock(60_000);
    expect([(await probe(endpoint, key1)).status, liveOf(key1)]).toEqual([401, false]);
  });

  it("stop minutes after disableLocalAuth, cannot be read meanwhile, and come back with it", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    await arm("PATCH", account("kg-1"), { properties: { disableLocalAuth: true } });
    expect((await probe(endpoint, key1)).status).toBe(200);
    client.azure.arm.advanceClock(120_000);
    expect((await probe(endpoint, key1)).body.error.code).toBe("AuthenticationTypeDisabled");
    expect(liveOf(key1)).toBe(false);
    expect((await arm("POST", account("kg-1", "/listKeys"))).status).toBe(400);
    expect((await regenerate("Key1")).status).toBe(400);
    await arm("PATCH", account("kg-1"), { properties: { disableLocalAuth: false } });
    expect((await probe(endpoint, key1)).status).toBe(200);
  });

  it("open nothing at another account's address, nor do made-up ones anywhere", async () => {
    const one = await ready("kg-1", { properties: { customSubDomainName: "kg-one" } });
    const two = await ready("kg-2", { properties: { customSubDomainName: "kg-two" } });
    expect((await probe(two.endpoint, one.key1)).status).toBe(401);
    expect((await probe(one.endpoint, "0".repeat(84))).status).toBe(401);
  });

  it("are in the books as digests, and as secrets only on request", async () => {
    const { key1 } = await ready("kg-1");
    expect(JSON.stringify(client.books())).not.toContain(key1);
    expect(JSON.stringify(client.azure.arm.books({ secrets: true }))).toContain(key1);
  });

  it("can be taken away by a policy overnight", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    await client.azure.arm.control("set_local_auth", { account: "kg-1", disabled: true });
    client.azure.arm.advanceClock(3_600_000);
    expect((await probe(endpoint, key1)).status).toBe(403);
    expect((await arm("GET", account("kg-1"))).body.properties.disableLocalAuth).toBe(true);
  });
});

describe("the data plane", () => {
  const path = "openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";

  it("answers in both styles for what is deployed, and for nothing else", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    expect((await client.data(endpoint + path, key1, hello)).body.error.code).toBe("DeploymentNotFound");
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(10));
    expect((await client.data(endpoint + path, key1, hello)).body.object).toBe("chat.completion");
    const v1 = `${endpoint}openai/v1/chat/completions`;
    expect((await client.data(v1, key1, { model: "gpt-4o", ...hello })).status).toBe(200);
    expect((await client.data(v1, key1, { model: "o3", ...hello })).status).toBe(404);
    expect(client.violations()).toEqual([]);
  });

  it("is locked while the deployment is paused", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(10));
    await arm("POST", account("kg-1", "/deployments/gpt-4o/pause"));
    expect((await client.data(endpoint + path, key1, hello)).status).toBe(423);
    await arm("POST", account("kg-1", "/deployments/gpt-4o/resume"));
    expect((await client.data(endpoint + path, key1, hello)).status).toBe(200);
  });

  it("counts requests in slices of ten seconds: a burst is refused although the minute is far from full", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(2));
    const statuses = async () => {
      const seen: number[] = [];
      for (let i = 0; i < 3; i += 1) seen.push((await client.data(endpoint + path, key1, hello)).status);
      return seen;
    };
    expect(await statuses()).toEqual([200, 200, 429]);
    client.azure.arm.advanceClock(10_000);
    expect(await statuses()).toEqual([200, 200, 429]);
  });

  it("counts tokens by what is asked for, not by what comes", async () => {
    const { endpoint, key1 } = await ready("kg-1");
    await arm("PUT", account("kg-1", "/deployments/gpt-4o"), gpt4o(10));
    const large = { ...hello, max_tokens: 9_900 };
    expect((await client.data(endpoint + path, key1, large)).status).toBe(200);
    const refused = await client.data(endpoint + path, key1, large);
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "60"]);
  });

  it("is closed to a network that the account does not let in", async () => {
    const { endpoint, key1 } = await ready("kg-1", { properties: { networkAcls: { defaultAction: "Deny" } } });
    expect((await probe(endpoint, key1)).status).toBe(403);
    const ipRules = [{ value: "127.0.0.1" }];
    await arm("PATCH", account("kg-1"), { properties: { networkAcls: { defaultAction: "Deny", ipRules } } });
    expect((await probe(endpoint, key1)).status).toBe(200);
    await arm("PATCH", account("kg-1"), { properties: { publicNetworkAccess: "Disabled" } });
    expect((await probe(endpoint, key1)).status).toBe(403);
  });
});
