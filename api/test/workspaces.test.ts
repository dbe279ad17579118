import { keyRows } from "@keygate/shared/db/keys";
import { newId } from "@keygate/shared/ids";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
});
afterAll(() => api?.close());

const make = async (name: string, values: Record<string, unknown> = {}) =>
  (await api.call("POST", "/workspaces", { body: { name, ...values } })).body;
const register = async (email: string) =>
  (await api.call("POST", "/developers", { body: { name: "Ada", email } })).body.id;
const actionsOf = async (id: string) =>
  (await api.call("GET", `/audit?resource_id=${id}`)).body.map((event: { action: string }) => event.action);

test("a workspace has the published fields, and its limits in dollars", async () => {
  const answer = await api.call("POST", "/workspaces", {
    body: { name: "Research", spend_limit: 1234.56, rate_limit_rpm: 500 },
  });
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({
    id: expect.stringMatching(/^ws-/),
    name: "Research",
    description: "",
    color: "#6366F1",
    spend_limit: 1234.56,
    rate_limit_rpm: 500,
    is_archived: false,
    member_count: 0,
    key_count: 0,
    total_budget_allocated: 0,
    created_at: expect.any(String),
  });
  expect((await api.call("GET", `/workspaces/${answer.body.id}`)).body).toEqual(answer.body);
  expect(await actionsOf(answer.body.id)).toEqual(["workspace.create"]);
});

test("a name is used once among workspaces that are not archived", async () => {
  const first = await make("Unique");
  expect((await api.call("POST", "/workspaces", { body: { name: "UNIQUE" } })).status).toBe(409);
  const other = await make("Another");
  const renamed = await api.call("PUT", `/workspaces/${other.id}`, { body: { name: "unique" } });
  expect(renamed.body).toMatchObject({ code: "workspace.name_taken", errors: [{ field: "name" }] });
  await api.call("POST", `/workspaces/${first.id}/archive`);
  expect((await api.call("PUT", `/workspaces/${other.id}`, { body: { name: "unique" } })).status).toBe(200);
});

test("two changes at once to the same name: one wins, the other hears why", async () => {
  const ids = await Promise.all(["Left", "Right", "Middle"].map(async (name) => (await make(name)).id));
  const answers = await Promise.all(
    ids.map((id) => api.call("PUT", `/workspaces/${id}`, { body: { name: "Contested" } })),
  );
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, 409, 409]);
});

test("a change keeps what is not named; null takes a limit away", async () => {
  const made = await make("Changing", { spend_limit: 10, description: "before" });
  const changed = await api.call("PUT", `/workspaces/${made.id}`, { body: { spend_limit: null, color: "#112233" } });
  expect(changed.body).toEqual({ ...made, spend_limit: null, color: "#112233" });
  expect(await actionsOf(made.id)).toEqual(["workspace.update", "workspace.create"]);
});

test("limits do not go below what live keys already have", async () => {
  const made = await make("Limited", { spend_limit: 200, rate_limit_rpm: 100 });
  const developerId = await register("limits@acme.test");
  await api.addKey({ developerId, workspaceId: made.id, rateLimitRpm: 80 });
  const spend = await api.call("PUT", `/workspaces/${made.id}`, { body: { spend_limit: 49.99 } });
  expect(spend.body).toMatchObject({
    status: 409,
    code: "workspace.limit_exceeded",
    errors: [{ field: "spend_limit" }],
  });
  const rate = await api.call("PUT", `/workspaces/${made.id}`, { body: { rate_limit_rpm: 79 } });
  expect(rate.body).toMatchObject({
    status: 409,
    code: "workspace.limit_exceeded",
    errors: [{ field: "rate_limit_rpm" }],
  });
  const exact = await api.call("PUT", `/workspaces/${made.id}`, { body: { spend_limit: 50, rate_limit_rpm: 80 } });
  expect(exact.body).toMatchObject({ key_count: 1, total_budget_allocated: 50, spend_limit: 50 });
});

test("archiving is refused while there are live keys, and repeatable afterwards", async () => {
  const made = await make("Archivable");
  const developerId = await register("archive@acme.test");
  const key = await api.addKey({ developerId, workspaceId: made.id });
  const refused = await api.call("POST", `/workspaces/${made.id}/archive`);
  expect(refused.body).toMatchObject({ status: 409, code: "workspace.has_live_keys" });
  await keyRows(api.deps.db).markRevoking([key.id], "test");
  await keyRows(api.deps.db).markEnded(key.id, "revoked");
  for (let i = 0; i < 2; i += 1) {
    expect((await api.call("POST", `/workspaces/${made.id}/archive`)).body).toMatchObject({ is_archived: true });
  }
  expect(await actionsOf(made.id)).toEqual(["workspace.archive", "workspace.create"]);
  expect((await api.call("PUT", `/workspaces/${made.id}`, { body: { name: "Back" } })).body.code).toBe(
    "workspace.archived",
  );
  const listed = async (query: string) =>
    (await api.call("GET", `/workspaces${query}`)).body.map((one: { id: string }) => one.id);
  expect(await listed("")).not.toContain(made.id);
  expect(await listed("?include_archived=true")).toContain(made.id);
});

test("members come, change their role, and go", async () => {
  const made = await make("Team");
  const dev = await register("member@acme.test");
  const path = `/workspaces/${made.id}/members`;
  const added = await api.call("POST", path, { body: { developer_id: dev } });
  expect(added.status).toBe(200);
  expect(added.body).toEqual({
    developer_id: dev,
    name: "Ada",
    email: "member@acme.test",
    role: "member",
    is_active: true,
    joined_at: expect.any(String),
  });
  expect((await api.call("POST", path, { body: { developer_id: dev } })).body.code).toBe("workspace.member_exists");
  const promoted = await api.call("PUT", `${path}/${dev}/role`, { body: { role: "admin" } });
  expect(promoted.body).toEqual({ ...added.body, role: "admin" });
  expect((await api.call("GET", path)).body).toEqual([promoted.body]);
  expect((await api.call("GET", `/developers/${dev}`)).body.workspace_ids).toEqual([made.id]);
  const removed = await api.call("DELETE", `${path}/${dev}`);
  expect(removed.body).toEqual({ status: "removed", workspace_id: made.id, developer_id: dev });
  expect((await api.call("DELETE", `${path}/${dev}`)).body.code).toBe("workspace.member_not_found");
  expect((await api.call("PUT", `${path}/${dev}/role`, { body: { role: "admin" } })).status).toBe(404);
});

test("only an active developer that exists becomes a member", async () => {
  const made = await make("Strict");
  const dev = await register("gone@acme.test");
  await api.call("DELETE", `/developers/${dev}`);
  const path = `/workspaces/${made.id}/members`;
  expect((await api.call("POST", path, { body: { developer_id: dev } })).body.code).toBe("developer.inactive");
  expect((await api.call("POST", path, { body: { developer_id: newId("dev") } })).body.code).toBe(
    "developer.not_found",
  );
});
