import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { createBreaker } from "../src/vendors/breaker.ts";
import { createVendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import { check } from "../src/vendors/openai/check.ts";
import { createOpenAiClient, type OpenAiClient } from "../src/vendors/openai/client.ts";
import { classifyOpenAi, isGone, missingScopesIn } from "../src/vendors/openai/errors.ts";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { openaiFixture } from "./fixtures/openai.ts";

const call = { method: "POST", endpoint: "POST projects" };
const refusal = (status: number, json: unknown, headers: Record<string, string> = {}) =>
  classifyOpenAi({ status, json, headers, call });

describe("how OpenAI's refusals are sorted", () => {
  it("waits out a plain 429 and gives up on one that carries a spend code", () => {
    expect(refusal(429, { error: { message: "slow down" } }).kind).toBe("rate_limited");
    const spent = refusal(429, { error: { message: "spent", code: "project_spend_limit_exceeded" } });
    expect(spent.kind).toBe("permanent");
  });

  it("obeys both spellings of the hint", () => {
    expect(refusal(429, {}, { "retry-after": "7" }).retryAfterMs).toBe(7_000);
    expect(refusal(429, {}, { "retry-after-ms": "250", "retry-after": "7" }).retryAfterMs).toBe(250);
  });

  it("reads the error that is a bare string and names the scope", () => {
    const words = "You have insufficient permissions for this operation. Missing scopes: api.management.read. Ask.";
    const error = refusal(403, { error: words });
    expect(error.code).toBe("vendor.refused_us");
    expect(missingScopesIn(error.detail ?? null)).toEqual(["api.management.read"]);
  });

  it("treats a web page with status 502 as no answer, and never as success or refusal", () => {
    expect(refusal(502, undefined).kind).toBe("retryable");
    expect(refusal(502, undefined).nothingHappened).toBe(false);
  });

  it("takes a 404 for gone only where OpenAI itself says it", () => {
    expect(isGone(refusal(404, { error: { message: "No such key." } }))).toBe(true);
    for (const page of [undefined, { message: "no route" }, "not found"]) {
      expect(isGone(refusal(404, page))).toBe(false);
      expect(refusal(404, page).kind).toBe("retryable");
    }
  });

  it("knows that a refused request left nothing behind", () => {
    expect(refusal(400, { error: { message: "bad" } }).nothingHappened).toBe(true);
    expect(refusal(409, { error: { message: "locked" } }).nothingHappened).toBe(false);
  });
});

describe("OpenAI's client", () => {
  let fixture: RunningFixture;
  let client: OpenAiClient;
  const server = () => {
    const [first] = fixture.servers;
    if (!first) throw new Error("no server");
    return first;
  };

  beforeAll(async () => {
    fixture = await openaiFixture.start();
  });
  beforeEach(() => {
    server().reset();
    const http = createVendorHttp({ timeoutMs: 2_000, limiter: createLimiter(60_000), breaker: createBreaker() });
    const { adminKey, extra } = fixture.settings;
    client = createOpenAiClient({ http, baseUrl: String(extra.base_url), adminKey, orgId: null });
  });
  afterAll(() => fixture.close());

  it("reads a list to its end", async () => {
    for (let index = 0; index < 120; index++) await client.createProject(`keygate-many-${index}`);
    const names = (await client.listProjects(false)).map((project) => project.name);
    expect(names.filter((name) => name?.startsWith("keygate-many-"))).toHaveLength(120);
  });

  it("never shows the secret of a new key when it is printed", async () => {
    const project = await client.createProject("keygate-secret");
    const account = await client.createServiceAccount(project.id, "keygate-secret", 3_600);
    const secret: Secret = account.secret;
    expect(JSON.stringify(account)).not.toContain(secret.reveal());
    expect(`${account.secret}`).toBe("[secret]");
  });

  it("lists keys whose owner has no access any more", async () => {
    const project = await client.createProject("keygate-any");
    await client.createServiceAccount(project.id, "keygate-any", 3_600);
    await client.listApiKeys(project.id);
    const asked = server()
      .calls()
      .filter((seen) => seen.path.endsWith("/api_keys") && seen.method === "GET");
    expect(JSON.stringify(asked.at(-1)?.query)).toContain("any");
  });

  it("takes an answer in another shape for unknown, not for done", async () => {
    server().faults.add({ match: {}, when: "after", do: { type: "respond", status: 200, body: { surprise: true } } });
    const error = await client.createProject("keygate-odd").catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(KeyGateError);
    expect(error).toMatchObject({ code: "vendor.unexpected", nothingHappened: false });
  });

  it("does not follow redirects", async () => {
    const elsewhere = { location: "http://127.0.0.1:1/" };
    server().faults.add({
      match: {},
      when: "before",
      do: { type: "respond", status: 302, headers: elsewhere, body: {} },
    });
    await expect(client.createProject("keygate-redirect")).rejects.toMatchObject({ code: "vendor.refused" });
  });

  it("reports a healthy credential, and names the scope that is missing", async () => {
    expect(await check(client)).toMatchObject({ ok: true, missing: [] });
    server().mergeSettings({ missing_scopes: ["api.usage.read"] });
    expect(await check(client)).toMatchObject({ ok: false, missing: ["api.usage.read"] });
  });
});
