import { type Scope, scopes } from "@keygate/shared/contracts/tokens";
import { jobRows } from "@keygate/shared/db/jobs";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi } from "../src/start-api.ts";
import { scopesFor } from "../src/tokens/scopes.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { exampleOf, fillPath, type Operation, operationsOf } from "./schema-examples.ts";

let api: ApiHarness;
let operations: Operation[];
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
  operations = operationsOf((await api.call("GET", "~/openapi.json")).body);
});
afterAll(() => api?.close());

const absent = "tok-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11";
let count = 0;
const next = () => {
  count += 1;
  return count;
};
const create = (body: object = {}, call: object = {}) =>
  api.call("POST", "/tokens", { body: { name: `ci-${next()}`, scopes: ["read"], ...body }, ...call });
const withScopes = async (...names: Scope[]): Promise<{ id: string; token: string; name: string }> =>
  (await create({ scopes: names })).body;
const me = async (token: string) => (await api.call("GET", "/auth/me", { token })).status;
const developer = async () =>
  (await api.call("POST", "/developers", { body: { name: "Ada", email: `ada${next()}@acme.test` } })).body.id;

describe("making one", () => {
  test("shows it once, with what it may do, and keeps its hash alone", async () => {
    const answer = await create({ name: "deploy", scopes: ["keys:provision", "read", "read"], expires_in_days: 7 });
    expect(answer.status).toBe(200);
    const { token, ...view } = answer.body;
    expect(token).toMatch(/^kg_[0-9a-f]{64}$/);
    expect(view).toEqual({
      id: expect.stringMatching(/^tok-/),
      name: "deploy",
      hint: `kg_...${token.slice(-4)}`,
      scopes: ["read", "keys:provision"],
      status: "active",
      created_by: api.owner.email,
      created_at: expect.any(String),
      expires_at: expect.any(String),
      last_used_at: null,
      last_used_address: null,
      revoked_at: null,
      revoked_by: null,
    });
    expect(Math.round((Date.parse(view.expires_at) - Date.now()) / 86_400_000)).toBe(7);
    expect((await api.call("GET", "/tokens", { token: api.auditor.token })).body).toContainEqual(view);
    expect((await api.call("GET", `/tokens/${view.id}`)).body).toEqual(view);

    expect((await api.call("GET", "/auth/me", { token })).body).toEqual({
      id: view.id,
      name: "deploy",
      scopes: ["read", "keys:provision"],
      created_by: api.owner.email,
      expires_at: view.expires_at,
    });
    const used = (await api.call("GET", `/tokens/${view.id}`)).body;
    expect(used).toMatchObject({ last_used_at: expect.any(String), last_used_address: "127.0.0.1" });

    const { rows: audit } = await sql`select * from audit_events`.execute(api.deps.db);
    const { rows: tokens } = await sql`select * from service_tokens`.execute(api.deps.db);
    const everything = JSON.stringify([audit, tokens]) + api.logLines.join("");
    expect(everything).not.toContain(token);
    expect(everything).not.toContain(token.slice(3, 40));
  });

  test("is refused for a name that is taken, unknown scopes and ends that are too far", async () => {
    await create({ name: "taken" });
    const before = await api.countRows();
    expect((await create({ name: "TAKEN" })).body).toMatchObject({ status: 409, code: "token.name_taken" });
    for (const [body, field] of [
      [{ name: "claim" }, "name"],
      [{ name: "a\nb" }, "name"],
      [{ name: "" }, "name"],
      [{ scopes: [] }, "scopes"],
      [{ scopes: ["users:write"] }, "scopes.0"],
      [{ expires_in_days: 367 }, "expires_in_days"],
      [{ zz: 1 }, "zz"],
    ] as const) {
      expect((await create(body)).body, JSON.stringify(body)).toMatchObject({ status: 422, errors: [{ field }] });
    }
    expect(await api.countRows()).toEqual(before);
  });

  test("frees the name of one that was revoked or has expired", async () => {
    const first = (await create({ name: "again" })).body;
    await sql`update service_tokens set expires_at = now() where id = ${first.id}`.execute(api.deps.db);
    const second = (await create({ name: "again" })).body;
    await api.call("DELETE", `/tokens/${second.id}`);
    expect((await create({ name: "again" })).status).toBe(200);
    const all = (await api.call("GET", "/tokens?status=all&limit=500")).body;
    const statuses = all.filter((one: { name: string }) => one.name === "again");
    expect(statuses.map((one: { status: string }) => one.status)).toEqual(["active", "revoked", "revoked"]);
  });

  test("is for admins and owners, repeated without a second look, and told to the log", async () => {
    expect((await create({}, { token: api.auditor.token })).status).toBe(403);
    expect((await create({}, { token: null })).status).toBe(401);
    const body = { name: "once", scopes: ["read"] };
    const headers = { "idempotency-key": "token-1" };
    const first = await api.call("POST", "/tokens", { body, headers, token: api.admin.token });
    const again = await api.call("POST", "/tokens", { body, headers, token: api.admin.token });
    expect(again.body).toEqual({ ...first.body, token: null });
    const [row] = (await api.call("GET", `/audit?resource_id=${first.body.id}`)).body;
    expect(row).toMatchObject({
      action: "token.create",
      actor: api.admin.email,
      resource_type: "service_token",
      details: { outcome: "succeeded", name: "once", scopes: ["read"] },
    });
  });
});

describe("its end", () => {
  test("a revoked, expired, shortened, or made-up token is 401, in every process at once", async () => {
    const second = await startApi(api.config, api.deps.log);
    try {
      const { id, token } = await withScopes("read");
      const elsewhere = () => fetch(`${second.url}/api/v1/keys`, { headers: { authorization: `Bearer ${token}` } });
      expect((await elsewhere()).status).toBe(200);
      expect(await me(token.slice(0, -1))).toBe(401);
      expect(await me(`${token}0`)).toBe(401);
      expect(await me(token.toUpperCase())).toBe(401);
      expect(await me(`kg_${"0".repeat(64)}`)).toBe(401);
      expect((await api.call("DELETE", `/tokens/${id}`)).body).toEqual({ status: "revoked", token_id: id });
      expect((await elsewhere()).status).toBe(401);
      const refused = await api.call("GET", "/keys", { token });
      expect(refused.body).toMatchObject({ status: 401, code: "auth.invalid_token" });
      expect((await api.call("DELETE", `/tokens/${id}`)).status).toBe(200);
      const rows = (await api.call("GET", `/audit?resource_id=${id}`)).body;
      expect(rows.map((row: { action: string }) => row.action)).toEqual(["token.revoke", "token.create"]);

      const other = await withScopes("read");
      await sql`update service_tokens set expires_at = now() where id = ${other.id}`.execute(api.deps.db);
      expect(await me(other.token)).toBe(401);
      expect((await api.call("GET", `/tokens/${other.id}`)).body.status).toBe("expired");
      expect((await api.call("GET", `/tokens/${absent}`)).status).toBe(404);
      expect((await api.call("DELETE", `/tokens/${absent}`)).body).toMatchObject({ code: "token.not_found" });
      expect((await api.call("DELETE", `/tokens/${other.id}`, { token: api.auditor.token })).status).toBe(403);
    } finally {
      await second.close();
    }
  });

  test("comes with its maker's, unless the owner keeps it; a demotion takes those that change something", async () => {
    const maker = await api.addUser("admin");
    const made = (body: object) => create(body, { token: maker.token }).then((answer) => answer.body);
    const reader = await made({ scopes: ["read"] });
    const writer = await made({ scopes: ["read", "keys:revoke"] });
    await api.call("PUT", `/users/${maker.id}/role`, { body: { role: "auditor" } });
    expect([await me(reader.token), await me(writer.token)]).toEqual([200, 401]);
    const removal = await api.call("DELETE", `/users/${maker.id}`);
    expect(removal.body).toMatchObject({ tokens_revoked: 1 });
    expect(await me(reader.token)).toBe(401);
    const [row] = (await api.call("GET", `/audit?resource_id=${writer.id}`)).body;
    expect(row).toMatchObject({ action: "token.revoke", actor: api.owner.email });

    const leaving = await api.addUser("admin");
    const kept = (await create({}, { token: leaving.token })).body;
    await api.call("DELETE", `/users/${leaving.id}?keep_tokens=true`);
    expect(await me(kept.token)).toBe(200);
    expect((await api.call("GET", "/auth/me", { token: leaving.token })).status).toBe(401);
  });
});

describe("its scopes", () => {
  test("every call that changes something says which scope it takes, or is known to be for people", () => {
    const forPeople = operations
      .filter(({ method, path, token }) => token === "needed" && scopesFor(method, path) === null)
      .map(({ method, path }) => `${method} ${path}`)
      .sort();
    expect(forPeople).toEqual([
      "DELETE /tokens/{id}",
      "DELETE /users/{id}",
      "POST /auth/password",
      "POST /tokens",
      "POST /users/invite",
      "POST /users/{id}/link",
      "PUT /users/{id}/role",
    ]);
  });

  test("let through what they name and nothing else: 403 says which one is missing", async () => {
    const before = await api.countRows();
    const tokens: Record<string, { token: string }> = Object.fromEntries(
      await Promise.all((Object.keys(scopes) as Scope[]).map(async (name) => [name, await withScopes(name)])),
    );
    const made = await api.countRows();
    expect(made.service_tokens).toBe((before.service_tokens ?? 0) + Object.keys(scopes).length);
    for (const operation of operations.filter(({ token }) => token === "needed")) {
      const { method, path } = operation;
      if (path === "/auth/me" || path === "/jobs/{id}/events") continue;
      const needed = scopesFor(method, path);
      for (const [scope, { token }] of Object.entries(tokens)) {
        if (needed?.includes(scope as Scope)) continue;
        const body = operation.body ? { body: exampleOf(operation.body) } : {};
        const answer = await api.call(method, fillPath(operation), { ...body, token });
        const what = `${method} ${path} with ${scope}`;
        expect(answer.status, what).toBe(403);
        if (needed) expect(answer.body, what).toMatchObject({ code: "auth.scope_missing" });
        for (const one of needed ?? []) expect(answer.body.detail, what).toContain(one);
      }
    }
    expect(await api.countRows()).toEqual(made);
  });

  test("work where they fit: the token acts under its own name and follows its own job", async () => {
    const developerId = await developer();
    const pipeline = await withScopes("keys:provision");
    const body = { developer_id: developerId, vendor: "openai" };
    const asked = await api.call("POST", "/keys/provision", {
      body,
      token: pipeline.token,
      headers: { prefer: "respond-async", "idempotency-key": "run-1" },
    });
    expect(asked.status).toBe(202);
    const jobId = asked.body.job_id;
    const again = await api.call("POST", "/keys/provision", {
      body,
      token: pipeline.token,
      headers: { prefer: "respond-async", "idempotency-key": "run-1" },
    });
    expect(again.body.job_id).toBe(jobId);
    expect((await jobRows(api.deps.db).find(jobId))?.requested_by).toBe(`token:${pipeline.name}`);
    const [row] = (await api.call("GET", `/audit?resource_id=${asked.body.key_id}&action=key.provision`)).body;
    expect(row).toMatchObject({
      action: "key.provision",
      actor: `token:${pipeline.name}`,
      details: { token_id: pipeline.id },
    });

    expect((await api.call("GET", `/jobs/${jobId}`, { token: pipeline.token })).status).toBe(200);
    const other = await withScopes("keys:provision");
    expect((await api.call("GET", `/jobs/${jobId}`, { token: other.token })).body).toMatchObject({
      status: 403,
      code: "auth.scope_missing",
    });
    // Not ready, and not theirs: each in the claim's own words, not the door's.
    const wait = { prefer: "wait=0" };
    const early = await api.call("POST", `/jobs/${jobId}/claim`, { body: {}, token: pipeline.token, headers: wait });
    expect(early.body).toMatchObject({ status: 409, code: "claim.not_ready" });
    const foreign = await api.call("POST", `/jobs/${jobId}/claim`, { body: {}, token: other.token, headers: wait });
    expect(foreign.body).toMatchObject({ status: 403, code: "auth.forbidden" });
    const reader = await withScopes("read");
    const asReader = await api.call("POST", `/jobs/${jobId}/claim`, { body: {}, token: reader.token, headers: wait });
    expect(asReader.body).toMatchObject({ status: 403, code: "auth.scope_missing" });
  });
});
