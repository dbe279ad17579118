import { describe, expect, it } from "vitest";
import { gpt4o, useAzure } from "./azure-client.ts";

const client = useAzure();
const { account, arm, deleted, provider, ready, set } = client;
const gpt = account.bind(null, "kg-1", "/deployments/gpt-4o");

const of = (name: string, version: string, capacity: number, skuName = "GlobalStandard") => ({
  sku: { name: skuName, capacity },
  properties: { model: { format: "OpenAI", name, version } },
});

/** What a limit comes to in a minute. */
function perMinute(rateLimits: { key: string; count: number; renewalPeriod: number }[], key: string) {
  const limit = rateLimits.find((one) => one.key === key);
  return limit && (limit.count * 60) / limit.renewalPeriod;
}

describe("capacity", () => {
  it.each([
    ["gpt-4o", "2024-11-20", 10, 60, 10_000],
    ["o3", "2025-04-16", 60, 60, 60_000],
    ["o3-mini", "2025-01-31", 50, 50, 500_000],
    ["o1", "2024-12-17", 60, 60, 360_000],
    ["gpt-4.1", "2025-04-14", 60, 60, 60_000],
  ])("of %s %s × %i is %i requests and %i tokens per minute", async (name, version, units, rpm, tpm) => {
    await ready("kg-1");
    const put = await arm("PUT", account("kg-1", `/deployments/${name}`), of(name, version, units));
    expect(put.status).toBe(201);
    expect(put.body.properties).toMatchObject({ provisioningState: "Succeeded", currentCapacity: units });
    expect(perMinute(put.body.properties.rateLimits, "request")).toBe(rpm);
    expect(perMinute(put.body.properties.rateLimits, "token")).toBe(tpm);
  });

  it("is told beforehand for one unit, with the pool it comes from", async () => {
    const models = (await arm("GET", provider("/locations/swedencentral/models"))).body.value;
    const found = models.find(
      ({ model }: { model: { name: string; isDefaultVersion: boolean } }) =>
        model.name === "gpt-4o" && model.isDefaultVersion,
    );
    expect(found).toMatchObject({ kind: "OpenAI", skuName: "S0", model: { version: "2024-11-20" } });
    const sku = found.model.skus.find(({ name }: { name: string }) => name === "GlobalStandard");
    expect(perMinute(sku.rateLimits, "request")).toBe(6);
    expect(sku.usageName).toBe("OpenAI.GlobalStandard.gpt-4o");

    await ready("kg-1");
    await arm("PUT", gpt(), gpt4o(70));
    const usages = (await arm("GET", provider("/locations/Sweden%20Central/usages"))).body.value;
    const pool = (name: string) => usages.find((one: { name: { value: string } }) => one.name.value === name);
    expect(pool("OpenAI.GlobalStandard.gpt-4o")).toMatchObject({ currentValue: 70, limit: 450 });
    expect(pool("OpenAI.S0.AccountCount")).toMatchObject({ currentValue: 1, limit: 30 });
  });

  it("comes from a pool that soft-deleted accounts occupy until they are purged", async () => {
    set({ quota_limits: { "swedencentral/OpenAI.GlobalStandard.gpt-4o": 100 } });
    await ready("kg-1");
    await arm("PUT", gpt(), gpt4o(60));
    await arm("DELETE", account("kg-1"));
    await ready("kg-2");
    const put = () => arm("PUT", account("kg-2", "/deployments/gpt-4o"), gpt4o(60));
    expect((await put()).body.error.code).toBe("InsufficientQuota");
    await arm("DELETE", deleted("kg-1"));
    expect((await put()).status).toBe(201);
  });

  it("is free at once when a deployment is deleted", async () => {
    set({ quota_limits: { "OpenAI.GlobalStandard.gpt-4o": 60 } });
    await ready("kg-1");
    await ready("kg-2");
    await arm("PUT", gpt(), gpt4o(60));
    expect((await arm("DELETE", gpt())).status).toBe(200);
    expect((await arm("DELETE", gpt())).status).toBe(204);
    expect((await arm("PUT", account("kg-2", "/deployments/gpt-4o"), gpt4o(60))).status).toBe(201);
  });

  it("that is already there is refused again when the pool is overbooked meanwhile", async () => {
    await ready("kg-1");
    await arm("PUT", gpt(), gpt4o(60));
    expect((await arm("PUT", gpt(), gpt4o(60))).status).toBe(200);
    set({ quota_limits: { "OpenAI.GlobalStandard.gpt-4o": 50 } });
    expect((await arm("PUT", gpt(), gpt4o(60))).body.error.code).toBe("InsufficientQuota");
    expect((await arm("PATCH", gpt(), { sku: { name: "GlobalStandard", capacity: 40 } })).status).toBe(200);
    expect((await arm("GET", gpt())).body.sku.capacity).toBe(40);
  });

  it("must be one that the SKU offers", async () => {
    await ready("kg-1");
    const put = async (body: object) => (await arm("PUT", account("kg-1", "/deployments/dd"), body)).body.error?.code;
    expect(await put(of("o3-mini", "2025-01-31", 7))).toBe("InvalidResourceProperties");
    expect(await put(of("gpt-4o", "2024-11-20", 16, "GlobalProvisionedManaged"))).toBe("InvalidResourceProperties");
    expect(await put(of("gpt-4o", "2024-11-20", 20_000))).toBe("InvalidResourceProperties");
    expect(client.violations()).toEqual([]);
  });
});

describe("models", () => {
  it("must be on offer: in that version, with that SKU, and not retired", async () => {
    await ready("kg-1");
    const put = async (body: object) => (await arm("PUT", account("kg-1", "/deployments/dd"), body)).body.error?.code;
    expect(await put(of("gpt-9", "1", 1))).toBe("DeploymentModelNotSupported");
    expect(await put(of("gpt-4o", "2020-01-01", 1))).toBe("DeploymentModelNotSupported");
    expect(await put(of("gpt-35-turbo", "0125", 1, "GlobalStandard"))).toBe("InvalidResourceProperties");
    set({ retired_models: ["gpt-4o"] });
    expect(await put(gpt4o(1))).toBe("ServiceModelDeprecated");
  });

  it("change by themselves unless that is ruled out", async () => {
    await ready("kg-1");
    const put = await arm("PUT", gpt(), of("gpt-4o", "2024-11-20", 1));
    expect(put.body.properties.versionUpgradeOption).toBe("OnceNewDefaultVersionAvailable");
  });
});

describe("deployments", () => {
  it("need an account", async () => {
    expect((await arm("PUT", gpt(), gpt4o(1))).body.error.code).toBe("ParentResourceNotFound");
    expect((await arm("GET", account("kg-1", "/deployments"))).status).toBe(404);
    expect((await arm("DELETE", gpt())).status).toBe(204);
  });

  it("may be a long-running operation that keeps everything else away from the account", async () => {
    set({ deploy_ms: 10_000 });
    const { endpoint, key1 } = await ready("kg-1");
    const put = await arm("PUT", gpt(), gpt4o(1));
    expect(put.headers.get("retry-after")).toBe("1");
    expect(put.body.properties.provisioningState).toBe("Creating");
    expect((await arm("PUT", account("kg-1", "/deployments/b2"), gpt4o(1))).body.error.code).toBe("RequestConflict");
    expect((await arm("DELETE", account("kg-1"))).body.error.code).toBe("RequestConflict");
    const chat = () =>
      client.data(`${endpoint}openai/v1/chat/completions`, key1, {
        model: "gpt-4o",
        messages: [{ role: "user", content: "Hi" }],
      });
    expect((await chat()).status).toBe(404);
    client.azure.arm.advanceClock(10_000);
    expect((await arm("GET", put.headers.get("azure-asyncoperation") ?? "")).body.status).toBe("Succeeded");
    expect((await chat()).status).toBe(200);
  });

  it("can be paused and resumed, any number of times, and keep their capacity", async () => {
    await ready("kg-1");
    await arm("PUT", gpt(), gpt4o(10));
    for (const [action, state] of [
      ["pause", "Paused"],
      ["pause", "Paused"],
      ["resume", "Running"],
    ]) {
      const answer = await arm("POST", `${gpt()}/${action}`);
      expect([answer.status, answer.body.properties.deploymentState]).toEqual([200, state]);
    }
    expect(client.books().quota).toContainEqual(expect.objectContaining({ used: 10 }));
    const early = await arm("POST", `${gpt()}/pause`, undefined, { version: "2025-09-01" });
    expect(early.status).toBe(400);
  });

  it("are listed in pages", async () => {
    await ready("kg-1");
    set({ page_size: 1 });
    for (const name of ["aa", "bb"]) await arm("PUT", account("kg-1", `/deployments/${name}`), gpt4o(1));
    const first = (await arm("GET", account("kg-1", "/deployments"))).body;
    const second = (await arm("GET", first.nextLink, undefined, { version: null })).body;
    expect([first.value[0].name, second.value[0].name, second.nextLink]).toEqual(["aa", "bb", undefined]);
  });
});
