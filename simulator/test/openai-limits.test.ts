import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startOpenAi, type TestOpenAi } from "./openai-support.ts";

let openai: TestOpenAi;
let project: string;
let secret: string;
beforeAll(async () => {
  openai = await startOpenAi();
});
beforeEach(async () => {
  openai.server.reset();
  project = await openai.project();
  ({ secret } = await openai.key(project));
});
afterAll(() => openai.server.close());

const at = (path: string) => `/projects/${project}${path}`;
const cents = (threshold_amount: number) => ({ threshold_amount, currency: "USD", interval: "month" });
const spend = (amount: number, more: object = {}) =>
  openai.server.control("spend", { project_id: project, cents: amount, ...more });
interface Row {
  id: string;
  model: string;
  max_requests_per_1_minute: number;
}
const rowOf = async (model: string): Promise<Row> =>
  (await openai.admin("GET", at("/rate_limits"))).body.data.find((row: Row) => row.model === model);

describe("spend limits", () => {
  it("are created, replaced, read and deleted", async () => {
    expect((await openai.admin("GET", at("/spend_limit"))).status).toBe(404);
    expect((await openai.admin("POST", at("/spend_limit"), cents(500))).body).toEqual({
      object: "project.spend_limit",
      ...cents(500),
      enforcement: { status: "inactive" },
    });
    await openai.admin("POST", at("/spend_limit"), cents(900));
    expect((await openai.admin("GET", at("/spend_limit"))).body.threshold_amount).toBe(900);
    expect((await openai.admin("DELETE", at("/spend_limit"))).body).toEqual({
      object: "project.spend_limit.deleted",
      deleted: true,
    });
    expect((await openai.admin("DELETE", at("/spend_limit"))).status).toBe(404);
    openai.server.mergeSettings({ spend_limit_absent_as_zero: true });
    expect((await openai.admin("GET", at("/spend_limit"))).body).toMatchObject({ threshold_amount: 0 });
  });

  it("stop a project's inference once reached, until the limit is raised or the month is over", async () => {
    await openai.admin("POST", at("/spend_limit"), cents(500));
    await spend(499);
    expect((await openai.chat(secret)).status).toBe(200);
    await spend(1);
    expect(await openai.chat(secret)).toMatchObject({
      status: 429,
      body: { error: { code: "project_spend_limit_exceeded" } },
    });
    expect((await openai.admin("GET", at("/spend_limit"))).body.enforcement.status).toBe("enforcing");
    expect((await openai.as(secret, "GET", "/models")).status).toBe(200);
    await openai.admin("POST", at("/spend_limit"), cents(600));
    expect((await openai.chat(secret)).status).toBe(200);
    await spend(100);
    expect((await openai.chat(secret)).status).toBe(429);
    openai.server.advanceClock(32 * 86_400_000);
    expect((await openai.chat(secret)).status).toBe(200);
  });

  it("of the organization stop every project", async () => {
    await openai.admin("POST", "/spend_limit", cents(100));
    const other = await openai.key(await openai.project());
    await spend(100);
    expect((await openai.chat(other.secret)).body.error.code).toBe("organization_spend_limit_exceeded");
  });
});

describe("spend alerts", () => {
  it("are made anew by every create, and are updated and deleted by id", async () => {
    const channel = { type: "email", recipients: ["a@example.com"] };
    const body = { ...cents(0), notification_channel: channel };
    const first = (await openai.admin("POST", at("/spend_alerts"), body)).body;
    await openai.admin("POST", at("/spend_alerts"), body);
    expect((await openai.admin("GET", at("/spend_alerts?order=desc"))).body.data).toHaveLength(2);
    const path = at(`/spend_alerts/${first.id}`);
    await openai.admin("POST", path, { ...body, threshold_amount: 70 });
    expect((await openai.admin("GET", path)).body.threshold_amount).toBe(70);
    expect((await openai.admin("DELETE", path)).body).toMatchObject({ id: first.id, deleted: true });
    expect((await openai.admin("DELETE", path)).status).toBe(404);
  });
});

describe("rate limits", () => {
  it("have a row per model whose id only the list knows", async () => {
    const { data } = (await openai.admin("GET", at("/rate_limits"))).body;
    expect(data.map((row: Row) => row.model)).toEqual(openai.server.settings().models);
    for (const row of data) expect(row.id).not.toBe(`rl-${row.model}`);
    const built = at("/rate_limits/rl-gpt-5-mini");
    expect((await openai.admin("POST", built, { max_requests_per_1_minute: 1 })).status).toBe(404);
    const other = await openai.project();
    const foreign = `/projects/${other}/rate_limits/${data[0].id}`;
    expect((await openai.admin("POST", foreign, { max_requests_per_1_minute: 1 })).status).toBe(404);
  });

  it("hold requests per minute by project and model", async () => {
    const row = await rowOf("gpt-5-mini");
    const path = at(`/rate_limits/${row.id}`);
    expect((await openai.admin("POST", path, { max_requests_per_1_minute: 2 })).body).toMatchObject({
      id: row.id,
      max_requests_per_1_minute: 2,
    });
    const statuses = [];
    for (let i = 0; i < 3; i += 1) statuses.push((await openai.chat(secret)).status);
    expect(statuses).toEqual([200, 200, 429]);
    expect((await openai.chat(secret)).body.error.code).toBe("rate_limit_exceeded");
    expect((await openai.chat(secret, "gpt-4o")).status).toBe(200);
    openai.server.advanceClock(60_000);
    expect((await openai.chat(secret)).status).toBe(200);
  });

  it("hold tokens per minute and requests per day too", async () => {
    const { id } = await rowOf("gpt-5-mini");
    await openai.admin("POST", at(`/rate_limits/${id}`), { max_requests_per_1_day: 1 });
    expect((await openai.chat(secret)).status).toBe(200);
    openai.server.advanceClock(3_600_000);
    expect((await openai.chat(secret)).status).toBe(429);
    const other = await rowOf("gpt-4o");
    await openai.admin("POST", at(`/rate_limits/${other.id}`), { max_tokens_per_1_minute: 1 });
    expect((await openai.chat(secret, "gpt-4o")).body.error).toMatchObject({ type: "tokens" });
  });

  it("refuse more than the organization has, and fields that mean nothing for the model", async () => {
    const { id, max_requests_per_1_minute: max } = await rowOf("gpt-5-mini");
    const post = async (body: object) => (await openai.admin("POST", at(`/rate_limits/${id}`), body)).status;
    expect(await post({ max_requests_per_1_minute: max + 1 })).toBe(400);
    expect(openai.server.violations()).toEqual([]);
    expect(await post({ max_images_per_1_minute: 1 })).toBe(400);
    expect(await post({ max_requests_per_1_minute: -1 })).toBe(400);
    expect(openai.server.violations()).toHaveLength(2);
  });

  it("start at the organization's values for a model that is new", async () => {
    openai.server.mergeSettings({ models: ["gpt-5-mini", "gpt-tomorrow"] });
    expect(await rowOf("gpt-tomorrow")).toMatchObject({ max_requests_per_1_minute: 10_000 });
  });
});

describe("model permissions", () => {
  const permit = (mode: string, model_ids: string[]) =>
    openai.admin("POST", at("/model_permissions"), { mode, model_ids });

  it("are absent at first, replaced whole, and deleted", async () => {
    expect((await openai.admin("GET", at("/model_permissions"))).status).toBe(404);
    await permit("allow_list", ["gpt-5"]);
    await permit("deny_list", ["gpt-4o"]);
    const expected = { object: "project.model_permissions", mode: "deny_list", model_ids: ["gpt-4o"] };
    expect((await openai.admin("GET", at("/model_permissions"))).body).toEqual(expected);
    expect((await openai.admin("DELETE", at("/model_permissions"))).body.deleted).toBe(true);
    expect((await openai.admin("DELETE", at("/model_permissions"))).status).toBe(404);
  });

  it("block models as if they were unknown", async () => {
    await permit("allow_list", ["gpt-5"]);
    expect((await openai.chat(secret, "gpt-5")).status).toBe(200);
    const blocked = await openai.chat(secret, "gpt-5-mini");
    expect(blocked).toMatchObject({ status: 403, body: { error: { code: "model_not_found" } } });
    expect((await openai.chat(secret, "gpt-5-2025-08-07")).status).toBe(403);
    const models = (await openai.as(secret, "GET", "/models")).body.data.map(({ id }: { id: string }) => id);
    expect(models).toEqual(["gpt-5"]);
    openai.server.mergeSettings({ blocked_model_status: 404 });
    expect((await openai.chat(secret)).status).toBe(404);
    await permit("deny_list", ["gpt-5"]);
    expect([(await openai.chat(secret, "gpt-5")).status, (await openai.chat(secret)).status]).toEqual([404, 200]);
    await permit("allow_list", []);
    expect((await openai.chat(secret)).status).toBe(404);
  });
});

describe("tools and tiers", () => {
  it("change what is named and keep the rest", async () => {
    const tools = at("/hosted_tool_permissions");
    await openai.admin("POST", tools, { web_search: { enabled: false }, mcp: null });
    expect((await openai.admin("GET", tools)).body).toMatchObject({
      web_search: { enabled: false },
      mcp: { enabled: true },
    });
    const tiers = at("/service_tier_settings");
    await openai.admin("POST", tiers, { enabled_tiers: ["flex"] });
    expect((await openai.admin("GET", tiers)).body).toMatchObject({ default: "standard", enabled_tiers: ["flex"] });
  });
});

describe("costs", () => {
  it("come in dollars, in daily buckets, grouped and filtered as asked", async () => {
    const start = Math.floor(openai.server.now() / 1000);
    await spend(150, { api_key_id: "key_a" });
    openai.server.advanceClock(86_400_000);
    await spend(250, { api_key_id: "key_b" });
    const read = async (query: string) => (await openai.admin("GET", `/costs?start_time=${start}${query}`)).body;
    const values = (page: { data: { results: { amount: { value: number } }[] }[] }) =>
      page.data.flatMap((bucket) => bucket.results.map((result) => result.amount.value));
    const all = await read(`&group_by[]=project_id&project_ids[]=${project}`);
    expect([values(all), all.data[0].results[0].project_id, all.data[0].results[0].api_key_id]).toEqual([
      [1.5, 2.5],
      project,
      null,
    ]);
    expect(values(await read("&api_key_ids=key_b&api_key_ids=key_c"))).toEqual([2.5]);
    const first = await read("&limit=1");
    expect([values(first), first.has_more]).toEqual([[1.5], true]);
    expect(values(await read(`&limit=1&page=${first.next_page}`))).toEqual([2.5]);
    openai.server.mergeSettings({ costs_lag_ms: 3_600_000 });
    expect(values(await read(""))).toEqual([1.5]);
  });

  it("refuse control that names no project", async () => {
    const post = async (body: object) =>
      (await fetch(`${openai.server.url}/_control/vendor/spend`, { method: "POST", body: JSON.stringify(body) }))
        .status;
    expect([await post({ project_id: "proj_none", cents: 1 }), await post({ cents: 1 })]).toEqual([400, 400]);
  });
});
