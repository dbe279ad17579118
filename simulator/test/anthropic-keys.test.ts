import Anthropic from "@anthropic-ai/sdk";
import { expect, test } from "vitest";
import { type Anthropic as Running, startAnthropic } from "./anthropic-support.ts";

const KEYS = "/v1/organizations/api_keys";

async function newWorkspace({ call }: Running, name = "kg-ada"): Promise<{ id: string }> {
  return (await call("POST", "/v1/organizations/workspaces", { body: { name } })).body;
}

test("makes keys in the Console whose secrets look real and say that they are not", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const key = await running.createKey({ workspace_id: workspace.id, name: "kg-ada-1" });
  expect(key.secret).toMatch(/^sk-ant-api03-[\w-]{93}AA$/);
  expect(key.secret).toContain("SIMULATED");
  expect(key).toMatchObject({
    id: expect.stringMatching(/^apikey_/),
    type: "api_key",
    status: "active",
    partial_key_hint: `${key.secret.slice(0, 16)}...${key.secret.slice(-4)}`,
    principal: null,
    scope: { type: "workspace", workspace_id: workspace.id },
  });
  const shown = (await running.call("GET", `${KEYS}/${key.id}`)).body;
  expect(shown).not.toHaveProperty("secret");
  expect(shown).not.toHaveProperty("workspace_id");
  expect(JSON.stringify(running.books())).not.toContain(key.secret);
  expect(JSON.stringify(running.server.books({ secrets: true }))).toContain(key.secret);
});

test("names organization and workspace in the headers of a live key's calls", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const { secret } = await running.createKey({ workspace_id: workspace.id });
  const models = await running.call("GET", "/v1/models?limit=1", { key: secret });
  expect(models.status).toBe(200);
  expect(models.headers.get("anthropic-workspace-id")).toBe(workspace.id);
  expect(models.headers.get("anthropic-organization-id")).toBe(running.books().organization.id);
  expect(models.body.data).toHaveLength(1);
});

test("serves the official client, in administration and in use", async () => {
  const running = await startAnthropic();
  const baseURL = running.server.url;
  const admin = new Anthropic({ baseURL, apiKey: running.adminKey, maxRetries: 0 });
  const workspace = await admin.organization.workspaces.create({ name: "kg-sdk", tags: { keygate: "t" } });
  for (const name of ["a", "b", "c"]) await admin.organization.workspaces.create({ name });
  const names: string[] = [];
  for await (const { name } of admin.organization.workspaces.list({ limit: 2 })) names.push(name);
  expect(names).toEqual(["c", "b", "a", "kg-sdk"]);
  const only = await admin.organization.workspaces.list({ ids: [workspace.id] });
  expect(only.data).toHaveLength(1);
  const [limit] = (await admin.organization.rateLimits.list({ model: "claude-haiku-4-5" })).data;
  await admin.organization.workspaces.rateLimits.update(limit?.id ?? "", {
    workspace_id: workspace.id,
    limits: [{ type: "requests_per_minute", value: 60 }],
  });
  await expect(admin.beta.organization.spendLimits.list()).rejects.toBeInstanceOf(Anthropic.PermissionDeniedError);
  await expect(
    admin.beta.organization.spendLimits.set({ amount: "1", scope: { type: "organization" } }),
  ).rejects.toMatchObject({ status: 403, errorCode: "spend_limits_admin_api_writes_not_enabled" });

  const { id, secret } = await running.createKey({ workspace_id: workspace.id });
  const user = new Anthropic({ baseURL, apiKey: secret, maxRetries: 0 });
  expect((await user.models.list({ limit: 1 })).data[0]?.type).toBe("model");
  const message = await user.messages.create({
    model: "claude-haiku-4-5",
    max_tokens: 10,
    messages: [{ role: "user", content: "hello" }],
  });
  expect(message.content[0]).toMatchObject({ type: "text" });
  expect((await admin.organization.apiKeys.update(id, { status: "inactive" })).status).toBe("inactive");
  await expect(user.models.list()).rejects.toBeInstanceOf(Anthropic.AuthenticationError);
  await admin.organization.workspaces.archive(workspace.id);
  expect(running.violations()).toEqual([]);
});

test("lists keys by workspace without those of the organization, and by status, newest first", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const older = await running.createKey({ workspace_id: workspace.id });
  const newer = await running.createKey({ workspace_id: workspace.id });
  const organizational = await running.createKey({ workspace_id: null });
  await running.call("POST", `${KEYS}/${older.id}`, { body: { status: "inactive" } });

  const ids = async (query: string) =>
    (await running.call("GET", `${KEYS}${query}`)).body.data.map(({ id }: { id: string }) => id);
  expect(await ids("")).toEqual([organizational.id, newer.id, older.id]);
  expect(await ids(`?workspace_id=${workspace.id}`)).toEqual([newer.id, older.id]);
  expect(await ids(`?workspace_id=${workspace.id}&status=active`)).toEqual([newer.id]);
  expect(await ids(`?limit=1&after_id=${newer.id}`)).toEqual([older.id]);
});

test("wants to hear in which workspace a key of the organization runs", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const { secret, scope } = await running.createKey({ workspace_id: null });
  expect(scope).toEqual({ type: "organization" });
  expect((await running.call("GET", "/v1/models", { key: secret })).status).toBe(400);
  const headers = { "anthropic-workspace-id": workspace.id };
  expect((await running.call("GET", "/v1/models", { key: secret, headers })).status).toBe(200);
});

test("gives a key without a workspace its owner's rights over the Admin API, and one with a workspace none", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const [dev, admin] = (await running.call("GET", "/v1/organizations/users")).body.data;
  const statusOf = async (body: unknown) => {
    const { secret } = await running.createKey(body);
    return (await running.call("GET", "/v1/organizations/me", { key: secret })).status;
  };
  const personal = (user_id: string) => ({ type: "user_actor", user_id });
  expect(await statusOf({ workspace_id: null, principal: personal(admin.id) })).toBe(200);
  expect(await statusOf({ workspace_id: null, principal: personal(dev.id) })).toBe(403);
  expect(await statusOf({ workspace_id: workspace.id, principal: personal(admin.id) })).toBe(403);
});

test("switches a key off and on again, and archives it for good", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const { id, secret } = await running.createKey({ workspace_id: workspace.id });
  const set = async (body: unknown) => (await running.call("POST", `${KEYS}/${id}`, { body })).status;
  const use = async () => (await running.call("GET", "/v1/models", { key: secret })).status;
  expect([await set({ status: "inactive" }), await use()]).toEqual([200, 401]);
  expect([await set({ status: "active", name: "renamed" }), await use()]).toEqual([200, 200]);
  expect([await set({ status: "archived" }), await use()]).toEqual([200, 401]);
  expect(await set({ status: "archived" })).toBe(200);
  expect(await set({ status: "active" })).toBe(400);
  expect(await set({ status: "expired" })).toBe(400);
  expect((await running.call("GET", `${KEYS}?status=archived`)).body.data).toMatchObject([{ id, name: "renamed" }]);
});

test("lets a key die at its end by the movable clock, past reviving", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const { id, secret } = await running.createKey({ workspace_id: workspace.id, expires_at });
  expect((await running.call("GET", "/v1/models", { key: secret })).status).toBe(200);
  running.server.advanceClock(3_600_001);
  expect((await running.call("GET", "/v1/models", { key: secret })).status).toBe(401);
  expect((await running.call("GET", `${KEYS}/${id}`)).body.status).toBe("expired");
  expect((await running.call("POST", `${KEYS}/${id}`, { body: { status: "inactive" } })).status).toBe(400);
  expect((await running.call("POST", `${KEYS}/${id}`, { body: { status: "archived" } })).status).toBe(200);
  expect(running.books().keys[0]).toMatchObject({ status: "archived", live: false });
});

test("goes on accepting a key for as long as its new status takes to spread", async () => {
  const running = await startAnthropic({ key_status_delay_ms: 5_000 });
  const workspace = await newWorkspace(running);
  const { id, secret } = await running.createKey({ workspace_id: workspace.id });
  await running.call("POST", `${KEYS}/${id}`, { body: { status: "inactive" } });
  expect((await running.call("GET", "/v1/models", { key: secret })).status).toBe(200);
  running.server.advanceClock(5_000);
  expect((await running.call("GET", "/v1/models", { key: secret })).status).toBe(401);
});

test("says with a code when there is no room to switch a key on again", async () => {
  const running = await startAnthropic({ workspace_keys_max: 1 });
  const workspace = await newWorkspace(running);
  const first = await running.createKey({ workspace_id: workspace.id });
  await running.call("POST", `${KEYS}/${first.id}`, { body: { status: "inactive" } });
  await running.createKey({ workspace_id: workspace.id });
  const full = await running.call("POST", `${KEYS}/${first.id}`, { body: { status: "active" } });
  expect(full.status).toBe(400);
  expect(full.body.error.details).toEqual({ error_code: "workspace_api_key_limit_exceeded" });
});

test("enforces a workspace's requests per minute once the limit has taken effect", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const { secret } = await running.createKey({ workspace_id: workspace.id });
  const [entry] = (await running.call("GET", "/v1/organizations/rate_limits?model=claude-haiku-4-5")).body.data;
  await running.call("POST", `/v1/organizations/workspaces/${workspace.id}/rate_limits/${entry.id}`, {
    body: { limits: [{ type: "requests_per_minute", value: 1 }] },
  });
  const body = { model: "claude-haiku-4-5", max_tokens: 5, messages: [{ role: "user", content: "hi" }] };
  const send = async () => (await running.call("POST", "/v1/messages", { key: secret, body })).status;
  expect([await send(), await send()]).toEqual([200, 200]);
  running.server.advanceClock(3_600_000);
  expect([await send(), await send()]).toEqual([200, 429]);
});

test("refuses sampling parameters under the current version only", async () => {
  const running = await startAnthropic();
  const workspace = await newWorkspace(running);
  const { secret } = await running.createKey({ workspace_id: workspace.id });
  const messages = [{ role: "user", content: "hi" }];
  const body = { model: "claude-haiku-4-5", max_tokens: 5, temperature: 0, messages };
  expect((await running.call("POST", "/v1/messages", { key: secret, body })).status).toBe(400);
  const headers = { "anthropic-version": "2023-06-01" };
  expect((await running.call("POST", "/v1/messages", { key: secret, body, headers })).status).toBe(200);
});

test("shows the older version's ambiguous workspace_id to those who ask for that version", async () => {
  const running = await startAnthropic();
  const [main] = (await running.call("GET", "/v1/organizations/workspaces?include_default=true")).body.data;
  const inDefault = await running.createKey({ workspace_id: main.id });
  const headers = { "anthropic-version": "2023-06-01" };
  const old = (await running.call("GET", `${KEYS}/${inDefault.id}`, { headers })).body;
  expect(old).toMatchObject({ workspace_id: null, scope: { type: "workspace", workspace_id: main.id } });
});
