import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ADMIN_KEY, startOpenAi, type TestOpenAi } from "./openai-support.ts";

let openai: TestOpenAi;
beforeAll(async () => {
  openai = await startOpenAi();
});
beforeEach(() => openai.server.reset());
afterAll(() => openai.server.close());

const violations = () => openai.server.violations().length;
const envelope = { error: { type: expect.any(String), message: expect.any(String) } };

describe("who may call", () => {
  it("refuses a call without a bearer, and with a wrong one, with 401 in the envelope", async () => {
    expect(await openai.as(null, "GET", "/organization/projects")).toMatchObject({ status: 401, body: envelope });
    const wrong = await openai.as("sk-admin-other", "GET", "/organization/projects");
    expect(wrong).toMatchObject({ status: 401, body: { error: { code: "invalid_api_key", param: null } } });
    expect(violations()).toBe(0);
  });

  it("keeps project keys out of the Admin API, and the admin key out of inference", async () => {
    const { secret } = await openai.key(await openai.project());
    expect((await openai.as(secret, "GET", "/organization/projects")).status).toBe(403);
    expect((await openai.as(ADMIN_KEY, "GET", "/models")).status).toBe(403);
  });

  it("answers a missing scope with an error that is a bare string", async () => {
    openai.server.mergeSettings({ missing_scopes: ["api.management.write", "api.usage.read"] });
    expect((await openai.admin("GET", "/projects")).status).toBe(200);
    for (const answer of [
      await openai.admin("POST", "/projects", { name: "x" }),
      await openai.admin("GET", "/costs?start_time=1"),
    ]) {
      expect(answer).toMatchObject({ status: 403, body: { error: expect.stringContaining("Missing scopes: api.") } });
    }
  });

  it("refuses the admin key from its expiry on", async () => {
    openai.server.mergeSettings({ admin_key_expires_at: Math.floor(openai.server.now() / 1000) + 60 });
    const listed = (await openai.admin("GET", "/admin_api_keys")).body.data[0];
    expect(listed.expires_at).toEqual(openai.server.settings().admin_key_expires_at);
    expect(ADMIN_KEY.endsWith(listed.redacted_value.split("...")[1])).toBe(true);
    openai.server.advanceClock(61_000);
    expect((await openai.admin("GET", "/projects")).status).toBe(401);
  });

  it("throttles each endpoint by itself, without hints unless told to give them", async () => {
    openai.server.mergeSettings({ rate_limit_per_minute_per_endpoint: 2 });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await openai.admin("GET", "/projects")).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect((await openai.admin("GET", "/projects")).headers.get("retry-after")).toBeNull();
    expect((await openai.admin("POST", "/projects", { name: "x" })).status).toBe(200);
    openai.server.mergeSettings({ retry_after_seconds: 9 });
    expect((await openai.admin("GET", "/projects")).headers.get("retry-after")).toBe("9");
    openai.server.advanceClock(60_000);
    expect((await openai.admin("GET", "/projects")).status).toBe(200);
  });
});

describe("strictness", () => {
  const alert = { threshold_amount: 1, currency: "USD", interval: "month" };
  it.each([
    ["an unknown body field", "POST", "/projects", { name: "x", budget: 5 }, "unknown_parameter"],
    ["a missing field", "POST", "/projects", {}, "missing_required_parameter"],
    ["a wrong type", "POST", "/projects", { name: 5 }, "invalid_type"],
    ["a value outside an enum", "POST", "/projects", { name: "x", residency: "MARS" }, "invalid_value"],
    ["a body that is not JSON", "POST", "/projects", "{", null],
    [
      "a spend limit in dollars and cents",
      "POST",
      "/projects/P/spend_limit",
      { ...alert, threshold_amount: 12.5 },
      "invalid_type",
    ],
    [
      "a spend limit of nothing",
      "POST",
      "/projects/P/spend_limit",
      { ...alert, threshold_amount: 0 },
      "below_min_value",
    ],
    [
      "a spend limit in another currency",
      "POST",
      "/projects/P/spend_limit",
      { ...alert, currency: "EUR" },
      "invalid_value",
    ],
    ["a daily spend limit", "POST", "/projects/P/spend_limit", { ...alert, interval: "day" }, "invalid_value"],
    [
      "an alert without recipients",
      "POST",
      "/projects/P/spend_alerts",
      { ...alert, notification_channel: { type: "email" } },
      "missing_required_parameter",
    ],
    [
      "an expiry beyond a year",
      "POST",
      "/projects/P/service_accounts",
      { name: "a", expires_in_seconds: 31_536_001 },
      "above_max_value",
    ],
    [
      "an expiry of nothing",
      "POST",
      "/projects/P/service_accounts",
      { name: "a", expires_in_seconds: 0 },
      "below_min_value",
    ],
    [
      "an expiry without a key",
      "POST",
      "/projects/P/service_accounts",
      { name: "a", create_service_account_only: true, expires_in_seconds: 60 },
      null,
    ],
    [
      "an unknown permission mode",
      "POST",
      "/projects/P/model_permissions",
      { mode: "allow", model_ids: [] },
      "invalid_value",
    ],
    [
      "an unknown tool",
      "POST",
      "/projects/P/hosted_tool_permissions",
      { browser: { enabled: false } },
      "unknown_parameter",
    ],
    ["an empty tier update", "POST", "/projects/P/service_tier_settings", {}, "invalid_value"],
    ["an archive with fields", "POST", "/projects/P/archive", { force: true }, "unknown_parameter"],
    ["an unknown query parameter", "GET", "/projects?name=x", undefined, "unknown_parameter"],
    ["a query where none belongs", "GET", "/projects/P?limit=1", undefined, "unknown_parameter"],
    ["a page that is too long", "GET", "/projects?limit=101", undefined, "above_max_value"],
    ["a page of nothing", "GET", "/projects?limit=0", undefined, "below_min_value"],
    ["a limit that is no number", "GET", "/projects?limit=all", undefined, "invalid_value"],
    ["a repeated scalar", "GET", "/projects?limit=1&limit=2", undefined, "invalid_type"],
    ["a cursor from nowhere", "GET", "/projects?after=proj_x", undefined, "invalid_cursor"],
    ["costs without a start", "GET", "/costs", undefined, "missing_required_parameter"],
    ["hourly costs", "GET", "/costs?start_time=1&bucket_width=1h", undefined, "invalid_value"],
  ])("refuses %s with 400 and files a violation", async (_, method, path, body, code) => {
    const project = await openai.project();
    const answer = await openai.admin(method, path.replace("/P", `/${project}`), body);
    expect(answer).toMatchObject({ status: 400, body: { error: { type: "invalid_request_error", code } } });
    expect(violations()).toBe(1);
  });

  it("refuses a body that does not say it is JSON", async () => {
    const answer = await fetch(`${openai.server.url}/v1/organization/projects`, {
      method: "POST",
      headers: { authorization: `Bearer ${ADMIN_KEY}`, "content-type": "text/plain" },
      body: '{"name":"x"}',
    });
    expect([answer.status, violations()]).toEqual([400, 1]);
  });

  it("answers paths it does not know with 404, and unknown methods with 405", async () => {
    expect(await openai.admin("GET", "/users")).toMatchObject({ status: 404, body: envelope });
    expect((await openai.admin("DELETE", "/projects")).status).toBe(405);
    expect((await openai.admin("GET", "/projects/%E0%A4%A")).status).toBe(404);
    expect(violations()).toBe(2);
  });

  it("gives every answer a request id of its own", async () => {
    const ids = [await openai.admin("GET", "/projects"), await openai.as(null, "GET", "/models")].map(({ headers }) =>
      headers.get("x-request-id"),
    );
    expect(new Set(ids).size).toBe(2);
  });
});
