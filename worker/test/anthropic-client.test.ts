import { loadConfig } from "@keygate/shared/config";
import { anthropic as contract } from "@keygate/shared/contracts/vendors/anthropic";
import { newId } from "@keygate/shared/ids";
import { projectNameFor } from "@keygate/shared/naming";
import { Secret } from "@keygate/shared/secret";
import { describe, expect, it } from "vitest";
import { anthropic } from "../src/vendors/anthropic/adapter.ts";
import { type AnthropicClient, createAnthropicClient } from "../src/vendors/anthropic/client.ts";
import { classifyAnthropic, classifyGivenKey } from "../src/vendors/anthropic/errors.ts";
import { keyNameFor } from "../src/vendors/anthropic/instructions.ts";
import { centsTextToMicros } from "../src/vendors/anthropic/provision.ts";
import type { VendorCall, VendorHttp } from "../src/vendors/http.ts";
import { startWorld, type World } from "./anthropic-support.ts";

const typed = (client: unknown) => client as AnthropicClient;

describe("Anthropic's refusals", () => {
  const refusal = (status: number, code?: string, headers: Record<string, string> = {}) => ({
    status,
    headers,
    json: { error: { type: "x", message: "words", ...(code ? { details: { error_code: code } } : {}) } },
    call: { method: "POST", endpoint: "POST x" },
  });

  it.each([
    [400, undefined, "vendor.refused"],
    [400, "workspace_api_key_limit_exceeded", "vendor.refused"],
    [401, undefined, "vendor.refused_us"],
    [402, undefined, "vendor.refused"],
    [403, undefined, "vendor.refused_us"],
    [403, "something_new", "vendor.refused_us"],
    [403, "spend_limits_admin_api_writes_not_enabled", "vendor.limits_unsupported"],
    [403, "organization_type_not_supported", "vendor.limits_unsupported"],
    [404, undefined, "vendor.refused"],
    [408, undefined, "vendor.unavailable"],
    [409, undefined, "vendor.refused"],
    [409, "concurrent_membership_change", "vendor.unavailable"],
    [413, undefined, "vendor.refused"],
    [429, undefined, "vendor.throttled"],
    [429, "enforced_spend_limit_reached", "vendor.refused"],
    [429, "contract_spend_limit_reached", "vendor.refused"],
    [500, undefined, "vendor.unavailable"],
    [529, undefined, "vendor.unavailable"],
  ])("are sorted by status and code: %d %s is %s", (status, code, expected) => {
    const error = classifyAnthropic(refusal(status, code));
    expect(error.code).toBe(expected);
    // Where the vendor may have acted, somebody has to look.
    expect(error.nothingHappened).toBe(expected !== "vendor.unavailable");
  });

  it("take over the time to come back", () => {
    expect(classifyAnthropic(refusal(429, undefined, { "retry-after": "7" })).retryAfterMs).toBe(7000);
    expect(classifyAnthropic({ ...refusal(502), json: undefined }).detail).toContain("502");
  });

  it("of a given key never speak of our own credential", () => {
    for (const status of [400, 401, 402, 403, 404]) {
      expect(classifyGivenKey(refusal(status)).code).toBe("job.input_refused");
    }
    const inWorkspace = { "anthropic-workspace-id": "wrkspc_1" };
    // A workspace that has reached its own spend limit also answers 400.
    expect(classifyGivenKey(refusal(400, undefined, inWorkspace)).detail).not.toContain("single workspace");
    expect(classifyGivenKey(refusal(529)).code).toBe("vendor.unavailable");
    expect(classifyGivenKey(refusal(429)).code).toBe("vendor.throttled");
  });
});

describe("Anthropic's client", () => {
  it("pins the version on every call, and names the preview only where it reads spend limits", async () => {
    const sent: VendorCall<unknown>[] = [];
    const http: VendorHttp = {
      async call(call) {
        sent.push(call);
        throw new Error("not sent");
      },
      close: async () => {},
    };
    const client = createAnthropicClient({
      ...{ http, baseUrl: "https://vendor.test/v1", adminKey: new Secret("admin"), orgId: null },
      ...{ adminKeyExpiresOn: null, settleMs: 0, simulated: false },
    });
    const { identify, connection: _connection, ...adminCalls } = client;
    for (const make of Object.values(adminCalls) as ((...args: unknown[]) => Promise<unknown>)[]) {
      await make("a", "b", "c").catch(() => {});
    }
    expect(sent).toHaveLength(Object.keys(adminCalls).length);
    for (const { url, headers } of sent) {
      expect(headers).toMatchObject({ "anthropic-version": "2026-10-21", "x-api-key": "admin" });
      expect(url).toMatch(/^https:\/\/vendor\.test\/v1\/organizations\//);
    }
    // These want an OAuth token, and the old reports cannot tell one key's spend from another's.
    const urls = sent.map(({ url }) => url).join("\n");
    expect(urls).not.toMatch(/service_accounts|federation_|oauth|cost_report|usage_report/);
    // There is no call that makes a key.
    expect(sent.filter(({ method, url }) => method === "POST" && url.endsWith("/api_keys"))).toEqual([]);
    expect(sent.filter(({ headers }) => headers?.["anthropic-beta"]).map(({ endpoint }) => endpoint)).toEqual([
      "GET spend_limits",
    ]);
    await identify(new Secret("given")).catch(() => {});
    expect(sent.at(-1)).toMatchObject({
      url: "https://vendor.test/v1/models?limit=1",
      headers: { "x-api-key": "given", "anthropic-version": "2026-10-21" },
    });
  });

  it("reads lists to their end", async () => {
    const world = await startWorld({ workspaces_max: 5 });
    const workspace = await world.admin("POST", "/workspaces", { name: "many" });
    for (let n = 0; n < 1_003; n++) await world.makeKey({ workspace_id: workspace.id, name: `key ${n}` });
    const keys = (await typed(world.client).listKeys(workspace.id)) ?? [];
    expect(new Set(keys.map(({ id }) => id)).size).toBe(1_003);
    expect(world.violations()).toEqual([]);
  });

  it("follows cursors over an empty page", async () => {
    const world = await startWorld();
    const entry = { id: "rl_1", group: { type: "model_group" }, models: ["m"], limits: [] };
    const pages = [
      { data: [], next_page: "page_a" },
      { data: [entry], next_page: null },
    ];
    for (const body of pages) {
      world.server.faults.add({
        match: { path: "/rate_limits$" },
        when: "before",
        do: { type: "respond", status: 200, body },
      });
    }
    expect(await typed(world.client).listRateLimits()).toHaveLength(1);
    expect(world.server.calls().at(-1)?.query).toEqual({ page: "page_a" });
  });

  it("reads amounts as strings of cents, without floating-point numbers", () => {
    expect(centsTextToMicros("5000")).toBe(50_000_000);
    expect(centsTextToMicros("123.45")).toBe(1_234_500);
    expect(centsTextToMicros("0.1")).toBe(1_000);
    expect(centsTextToMicros("29.00009")).toBe(290_000);
  });

  it("chooses names that fit and that never repeat", () => {
    const who = { team: "platform engineering", name: "x".repeat(80), email: "x@acme.test" };
    const id = newId("key");
    const projectName = projectNameFor(contract.naming, who, id, 0);
    expect(projectName.length).toBeLessThanOrEqual(40);
    expect(keyNameFor({ projectName, id })).not.toBe(keyNameFor({ projectName, id: newId("key") }));
  });
});

describe("checking Anthropic's credential", () => {
  const check = (world: World, over: Parameters<World["connect"]>[0] = {}) => anthropic.check(world.connect(over));
  const extra = (world: World, more: Record<string, unknown>) => ({ ...world.fixture.settings.extra, ...more });

  it("finds a good one good, and says that budgets are declared where spend limits are closed", async () => {
    const world = await startWorld();
    const report = await check(world);
    expect(report).toMatchObject({ ok: true, missing: [] });
    expect(report.findings.find(({ name }) => name === "spend limits")?.detail).toContain("declared");
    world.server.mergeSettings({ spend_limits: "enabled" });
    const enabled = await check(world);
    expect(enabled.findings.find(({ name }) => name === "spend limits")?.detail).toContain("can be read");
    expect(world.violations()).toEqual([]);
  });

  it("names what is missing when the key is refused", async () => {
    const world = await startWorld();
    await world.server.control("set_admin", { refused: true });
    expect(await check(world)).toMatchObject({ ok: false, missing: ["a valid Admin API key (sk-ant-admin01-…)"] });
    expect((await check(world)).findings).toHaveLength(1);
  });

  it("names the organization when it is not the expected one", async () => {
    const world = await startWorld();
    const report = await check(world, { orgId: "another" });
    expect(report.ok).toBe(false);
    expect(report.findings[0]?.detail).toContain("not to another as configured");
  });

  it("warns of the Admin key's end where the operator told it", async () => {
    const world = await startWorld();
    const detailOn = async (daysAhead: number) => {
      const admin_key_expires_on = new Date(Date.now() + daysAhead * 86_400_000).toISOString().slice(0, 10);
      return (await check(world, { extra: extra(world, { admin_key_expires_on }) })).findings.at(-1);
    };
    expect(await detailOn(90)).toMatchObject({ ok: true, detail: expect.stringMatching(/days left\.$/) });
    expect(await detailOn(7)).toMatchObject({ ok: true, detail: expect.stringContaining("soon") });
    expect(await detailOn(-3)).toMatchObject({ ok: false });
  });

  it("does not connect without a key, or with a token that ends within a day", async () => {
    const world = await startWorld();
    for (const text of ["", "sk-ant-oat01-abc"]) {
      expect(() => world.connect({ adminKey: new Secret(text) })).toThrow(/vendor.refused_us/);
    }
  });

  it("is configured by the environment", () => {
    const config = loadConfig({
      DATABASE_URL: "postgres://u:p@127.0.0.1/x",
      SECRET_KEY: "Zx9!mQ2#vL7pR4sT8wY1uB6nK3jH5gFd",
      ENCRYPTION_KEY: "aQ7zW3sX9eD1cR5fV8tG2bY6hN4uJ0mK",
      ANTHROPIC_ADMIN_KEY: "sk-ant-admin01-abc",
      ANTHROPIC_BASE_URL: "https://gateway.acme.test/anthropic/v1",
    });
    expect(config.vendors.anthropic).toMatchObject({ extra: { base_url: "https://gateway.acme.test/anthropic/v1" } });
  });
});
