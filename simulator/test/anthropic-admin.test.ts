import { expect, test } from "vitest";
import { startAnthropic } from "./anthropic-support.ts";

const WORKSPACES = "/v1/organizations/workspaces";
const KEYS = "/v1/organizations/api_keys";

test("says which organization the admin key belongs to", async () => {
  const { call, books } = await startAnthropic();
  const me = await call("GET", "/v1/organizations/me");
  expect(me.status).toBe(200);
  expect(me.body).toMatchObject({ type: "organization", id: books().organization.id });
  expect(me.headers.get("request-id")).toMatch(/^req_/);
  expect(me.headers.get("anthropic-organization-id")).toBe(me.body.id);
  expect(me.headers.get("anthropic-workspace-id")).toBeNull();
});

test("refuses a wrong, a missing and a revoked admin key with the vendor's envelope", async () => {
  const { call, server } = await startAnthropic();
  const wrong = await call("GET", "/v1/organizations/me", { key: "sk-ant-admin01-wrong" });
  expect(wrong.status).toBe(401);
  expect(wrong.body).toMatchObject({ type: "error", error: { type: "authentication_error" } });
  expect(wrong.body.request_id).toBe(wrong.headers.get("request-id"));
  expect((await call("GET", "/v1/organizations/me", { key: null })).status).toBe(401);
  await server.control("set_admin", { refused: true });
  expect((await call("GET", "/v1/organizations/me")).status).toBe(401);
});

test("insists on a version it knows", async () => {
  const { call, violations, server, adminKey } = await startAnthropic();
  const old = await call("GET", "/v1/organizations/me", { headers: { "anthropic-version": "2023-06-01" } });
  expect(old.status).toBe(200);
  const unknown = await call("GET", "/v1/organizations/me", { headers: { "anthropic-version": "2025-01-01" } });
  expect(unknown.status).toBe(400);
  const without = await fetch(`${server.url}/v1/organizations/me`, { headers: { "x-api-key": adminKey } });
  expect(without.status).toBe(400);
  expect(violations()).toHaveLength(2);
});

test("refuses unknown fields, unknown parameters, unknown calls and broken JSON, and files each as a violation", async () => {
  const { call, violations } = await startAnthropic();
  const statuses = [
    await call("POST", WORKSPACES, { body: { name: "a", color: "red" } }),
    await call("GET", `${WORKSPACES}?name=a`),
    await call("GET", `${WORKSPACES}?limit=0`),
    await call("GET", `${KEYS}?status=live`),
    await call("POST", WORKSPACES, { body: "{" }),
    await call("POST", WORKSPACES, { body: { name: "a", tags: { anthropic_x: "1" } } }),
    await call("PUT", WORKSPACES, { body: { name: "a" } }),
  ].map(({ status }) => status);
  expect(statuses).toEqual([400, 400, 400, 400, 400, 400, 404]);
  expect(violations()).toHaveLength(7);
});

test("has no call that creates a key", async () => {
  const { call, violations, books } = await startAnthropic();
  expect((await call("POST", KEYS, { body: { name: "k" } })).status).toBe(405);
  expect(violations()).toHaveLength(1);
  expect(books().keys).toEqual([]);
});

test("sends the admin key away from service accounts and federation without calling it a mistake", async () => {
  const { call, violations } = await startAnthropic();
  expect((await call("GET", "/v1/organizations/service_accounts?limit=1")).status).toBe(403);
  expect(violations()).toEqual([]);
});

test("creates, reads, changes and archives a workspace; archiving is for good and takes its keys along", async () => {
  const { call, createKey, books } = await startAnthropic();
  const made = await call("POST", WORKSPACES, { body: { name: "kg-ada", tags: { keygate: "t", job: "1" } } });
  expect(made.body).toMatchObject({ type: "workspace", name: "kg-ada", archived_at: null, tags: { job: "1" } });
  expect(made.body.id).toMatch(/^wrkspc_/);
  expect(made.body.created_at).toMatch(/\.\d{6}Z$/);

  const changed = await call("POST", `${WORKSPACES}/${made.body.id}`, { body: { name: "kg-b", tags: { job: null } } });
  expect(changed.body).toMatchObject({ name: "kg-b", tags: { keygate: "t" } });
  const key = await createKey({ workspace_id: made.body.id });

  const archived = await call("POST", `${WORKSPACES}/${made.body.id}/archive`);
  expect(archived.body.archived_at).not.toBeNull();
  expect((await call("GET", `${KEYS}/${key.id}`)).body.status).toBe("archived");
  expect((await call("GET", "/v1/models", { key: key.secret })).status).toBe(401);
  expect((await call("POST", `${WORKSPACES}/${made.body.id}/archive`)).status).toBe(400);
  expect((await call("POST", `${KEYS}/${key.id}`, { body: { status: "active" } })).status).toBe(400);
  expect(books().events.map(({ event }: { event: string }) => event)).toEqual([
    "workspace.created",
    "workspace.updated",
    "key.created",
    "workspace.archived",
    "key.status",
  ]);
});

test("leaves the default workspace alone and lists it only when asked", async () => {
  const { call, violations } = await startAnthropic();
  expect((await call("GET", WORKSPACES)).body.data).toEqual([]);
  const [main] = (await call("GET", `${WORKSPACES}?include_default=true`)).body.data;
  expect((await call("POST", `${WORKSPACES}/${main.id}/archive`)).status).toBe(400);
  expect((await call("POST", `${WORKSPACES}/${main.id}`, { body: { name: "x" } })).status).toBe(400);
  expect(violations()).toHaveLength(2);
});

test("counts active workspaces only against the cap", async () => {
  const { call } = await startAnthropic({ workspaces_max: 2 });
  const first = await call("POST", WORKSPACES, { body: { name: "a" } });
  await call("POST", WORKSPACES, { body: { name: "a" } });
  expect((await call("POST", WORKSPACES, { body: { name: "c" } })).status).toBe(400);
  await call("POST", `${WORKSPACES}/${first.body.id}/archive`);
  expect((await call("POST", WORKSPACES, { body: { name: "c" } })).status).toBe(200);
});

test("pages forwards and backwards, and a cursor survives the archiving of what it points at", async () => {
  const { call } = await startAnthropic();
  const ids: string[] = [];
  for (const name of ["a", "b", "c", "d", "e"]) {
    ids.unshift((await call("POST", WORKSPACES, { body: { name } })).body.id);
  }
  const first = (await call("GET", `${WORKSPACES}?limit=2`)).body;
  expect(first).toMatchObject({ has_more: true, first_id: ids[0], last_id: ids[1] });
  await call("POST", `${WORKSPACES}/${ids[1]}/archive`);
  const second = (await call("GET", `${WORKSPACES}?limit=2&after_id=${ids[1]}`)).body;
  expect(second.data.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[3]]);
  const last = (await call("GET", `${WORKSPACES}?limit=2&after_id=${ids[3]}`)).body;
  expect(last).toMatchObject({ has_more: false, last_id: ids[4] });
  const back = (await call("GET", `${WORKSPACES}?limit=2&before_id=${ids[4]}`)).body;
  expect(back.data.map(({ id }: { id: string }) => id)).toEqual([ids[2], ids[3]]);
  expect(back.has_more).toBe(true);

  const all = (await call("GET", `${WORKSPACES}?include_archived=true&limit=1000`)).body;
  expect(all.data).toHaveLength(5);
  const some = (await call("GET", `${WORKSPACES}?ids[]=${ids[0]}&ids[]=${ids[1]}&ids[]=wrkspc_x`)).body;
  expect(some.data.map(({ id }: { id: string }) => id)).toEqual([ids[0]]);
  expect((await call("GET", `${WORKSPACES}?after_id=wrkspc_x`)).status).toBe(400);
});

test("merges rate limits by type, clears with null, and tells inherited values from overrides", async () => {
  const { call, violations } = await startAnthropic();
  const workspace = (await call("POST", WORKSPACES, { body: { name: "a" } })).body;
  const entries = (await call("GET", "/v1/organizations/rate_limits?group_type=model_group")).body.data;
  const url = `${WORKSPACES}/${workspace.id}/rate_limits`;

  await call("POST", `${url}/${entries[0].id}`, { body: { limits: [{ type: "requests_per_minute", value: 60 }] } });
  const merged = await call("POST", `${url}/${entries[0].id}`, {
    body: { limits: [{ type: "output_tokens_per_minute", value: 9_000_000 }] },
  });
  expect(merged.body).toMatchObject({ type: "workspace_rate_limit", rate_limit_id: entries[0].id });
  expect(merged.body.limits).toEqual([
    { type: "requests_per_minute", value: 60, org_limit: 4000, source: { type: "workspace" } },
    { type: "output_tokens_per_minute", value: 9_000_000, org_limit: 400_000, source: { type: "workspace" } },
  ]);
  expect((await call("GET", url)).body.data).toHaveLength(1);
  const inherited = (await call("GET", `${url}?include_inherited=true&group_type=model_group`)).body.data;
  expect(inherited).toHaveLength(3);
  expect(inherited[1].limits[0].source).toEqual({ type: "organization" });

  const cleared = await call("POST", `${url}/${entries[0].id}`, {
    body: { limits: [{ type: "requests_per_minute", value: null }] },
  });
  expect(cleared.body.limits).toHaveLength(1);
  expect(violations()).toEqual([]);
  const byGroup = await call("POST", `${url}/${entries[0].group.id}`, {
    body: { limits: [{ type: "requests_per_minute", value: 1 }] },
  });
  expect(byGroup.status).toBe(404);
  expect(violations()).toHaveLength(1);
});

test("binds a cursor of rate limits to its filters", async () => {
  const { call } = await startAnthropic();
  const first = (await call("GET", "/v1/organizations/rate_limits?limit=4")).body;
  expect(first.data).toHaveLength(4);
  const rest = (await call("GET", `/v1/organizations/rate_limits?limit=4&page=${first.next_page}`)).body;
  expect(rest).toMatchObject({ next_page: null });
  expect(rest.data).toHaveLength(2);
  const other = await call("GET", `/v1/organizations/rate_limits?group_type=batch&page=${first.next_page}`);
  expect(other.status).toBe(400);
});

const SPEND = "/v1/organizations/spend_limits";
const beta = { "anthropic-beta": "spend-limit-reads-2026-09-26" };

test("keeps spend limits to organizations in the preview", async () => {
  const { call, violations } = await startAnthropic();
  const read = await call("GET", SPEND, { headers: beta });
  expect(read.status).toBe(403);
  const write = await call("POST", SPEND, { body: { amount: "5000", scope: { type: "organization" } } });
  expect(write.status).toBe(403);
  expect(write.body.error.details).toEqual({ error_code: "spend_limits_admin_api_writes_not_enabled" });
  expect(violations()).toEqual([]);
  expect((await call("GET", SPEND)).status).toBe(400);
  expect(violations()).toHaveLength(1);
});

test("holds one spend limit per scope, overwritten in place, and enforces it with a 400", async () => {
  const { call, createKey, server } = await startAnthropic({ spend_limits: "enabled" });
  const workspace = (await call("POST", WORKSPACES, { body: { name: "a" } })).body;
  const scope = { type: "workspace", workspace_id: workspace.id };
  const first = await call("POST", SPEND, { body: { amount: "5000", scope, period: "monthly" } });
  const second = await call("POST", SPEND, { body: { amount: "100", scope } });
  expect(second.body.id).toBe(first.body.id);
  const listed = (await call("GET", `${SPEND}?workspace_id=${workspace.id}&scope_type[]=workspace`, { headers: beta }))
    .body;
  expect(listed.data).toMatchObject([{ amount: "100", currency: "USD", period: "monthly", scope }]);

  const { secret } = await createKey({ workspace_id: workspace.id });
  const body = { model: "claude-haiku-4-5", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
  expect((await call("POST", "/v1/messages", { key: secret, body })).status).toBe(200);
  await server.control("add_spend", { workspace_id: workspace.id, cents: 100 });
  const over = await call("POST", "/v1/messages", { key: secret, body });
  expect(over.status).toBe(400);
  expect(over.body.error.message).toMatch(/^You have reached your specified workspace API usage limits/);

  expect((await call("DELETE", `${SPEND}/${first.body.id}`)).body).toEqual({
    id: first.body.id,
    type: "spend_limit_deleted",
  });
  expect((await call("DELETE", `${SPEND}/${first.body.id}`)).status).toBe(404);
  expect((await call("POST", SPEND, { body: { amount: 5000, scope } })).status).toBe(400);
});

test("keeps members and users, and a leaver's personal keys end", async () => {
  const { call, createKey, server } = await startAnthropic();
  const workspace = (await call("POST", WORKSPACES, { body: { name: "a" } })).body;
  const [dev] = (await call("GET", "/v1/organizations/users?email=dev@simulated.example")).body.data;
  const url = `${WORKSPACES}/${workspace.id}/members`;
  const member = { user_id: dev.id, workspace_role: "workspace_developer" };
  expect((await call("POST", url, { body: member })).body).toMatchObject({ type: "workspace_member", ...member });
  expect((await call("GET", url)).body.data).toHaveLength(1);
  const personal = { workspace_id: workspace.id, principal: { type: "user_actor", user_id: dev.id } };
  const key = await createKey(personal);
  const legacy = await createKey({ workspace_id: workspace.id });
  await call("DELETE", `${url}/${dev.id}`);
  expect((await call("GET", `${KEYS}/${key.id}`)).body.status).toBe("archived");
  expect((await call("GET", `${KEYS}/${legacy.id}`)).body.status).toBe("active");
  expect((await call("DELETE", `/v1/organizations/users/${dev.id}`)).body.type).toBe("user_deleted");
  expect((await call("GET", `/v1/organizations/users/${dev.id}`)).status).toBe(404);
  await expect(server.control("create_key", personal)).rejects.toThrow();
});

test("throttles with retry-after and overloads on demand, and recovers with time", async () => {
  const { call, server } = await startAnthropic({ admin_requests_per_minute: 2 });
  await call("GET", "/v1/organizations/me");
  await call("GET", "/v1/organizations/me");
  const throttled = await call("GET", "/v1/organizations/me");
  expect(throttled.status).toBe(429);
  expect(Number(throttled.headers.get("retry-after"))).toBeGreaterThan(0);
  server.advanceClock(61_000);
  expect((await call("GET", "/v1/organizations/me")).status).toBe(200);
  server.mergeSettings({ overloaded: true });
  expect((await call("GET", "/v1/organizations/me")).status).toBe(529);
});

test("is as new after a reset, with the same admin key", async () => {
  const { call, server, books, createKey } = await startAnthropic();
  const workspace = (await call("POST", WORKSPACES, { body: { name: "a" } })).body;
  await createKey({ workspace_id: workspace.id });
  server.reset();
  expect(books()).toMatchObject({ keys: [], events: [] });
  expect((await call("GET", "/v1/organizations/me")).status).toBe(200);
});
