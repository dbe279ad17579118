import { createHash } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startOpenAi, type TestOpenAi } from "./openai-support.ts";

let openai: TestOpenAi;
let project: string;
beforeAll(async () => {
  openai = await startOpenAi();
});
beforeEach(async () => {
  openai.server.reset();
  project = await openai.project();
});
afterAll(() => openai.server.close());

const at = (path: string) => `/projects/${project}${path}`;
const opens = async (secret: string) => (await openai.as(secret, "GET", "/models")).status === 200;
const live = (keyId: string) => openai.books().keys.find(({ id }) => id === keyId)?.live;

describe("service accounts", () => {
  it("come with a key whose secret is shown once", async () => {
    const { accountId, keyId, secret } = await openai.key(project, { expires_in_seconds: 3600 });
    expect(secret).toMatch(/^sk-svcacct-SIMULATED-/);
    expect(await opens(secret)).toBe(true);
    const listed = (await openai.admin("GET", at("/api_keys"))).body.data[0];
    expect(listed).toMatchObject({ id: keyId, name: "Secret Key", owner: { service_account: { id: accountId } } });
    const [lead, tail] = listed.redacted_value.split("...");
    expect([secret.startsWith(lead), secret.endsWith(tail)]).toEqual([true, true]);
    const later = [listed, (await openai.admin("GET", at(`/api_keys/${keyId}`))).body, openai.books()];
    expect(JSON.stringify([...later, openai.server.calls()])).not.toContain(secret);
  });

  it("may share a name, and every create makes another", async () => {
    const [a, b] = [await openai.key(project), await openai.key(project)];
    expect(a.accountId).not.toBe(b.accountId);
    expect((await openai.admin("GET", at("/service_accounts"))).body.data).toHaveLength(2);
  });

  it("made alone have no key, no role, and cannot be used before they get one", async () => {
    const { body } = await openai.admin("POST", at("/service_accounts"), {
      name: "a",
      create_service_account_only: true,
    });
    expect(body).toMatchObject({ role: "none", api_key: null });
    const key = (await openai.admin("POST", at(`/service_accounts/${body.id}/api_keys`), { name: "k" })).body;
    expect((await openai.as(key.value, "GET", "/models")).status).toBe(403);
    const shown = async (access: string) =>
      (await openai.admin("GET", at(`/api_keys${access}`))).body.data.map(({ id }: { id: string }) => id);
    expect(await shown("")).toEqual([]);
    expect(await shown("?owner_project_access=active")).toEqual([]);
    expect(await shown("?owner_project_access=inactive")).toEqual([key.id]);
    expect(await shown("?owner_project_access=any")).toEqual([key.id]);
    expect((await openai.admin("POST", at(`/service_accounts/${body.id}`), { role: "member" })).body.role).toBe(
      "member",
    );
    expect(await opens(key.value)).toBe(true);
    expect(await shown("")).toEqual([key.id]);
  });

  it("take their keys with them when deleted; deleting twice is a 404", async () => {
    const { accountId, keyId, secret } = await openai.key(project);
    const path = at(`/service_accounts/${accountId}`);
    expect((await openai.admin("DELETE", path)).body).toMatchObject({ id: accountId, deleted: true });
    expect([await opens(secret), live(keyId)]).toEqual([false, false]);
    expect((await openai.admin("DELETE", path)).status).toBe(404);
    expect((await openai.admin("GET", path)).status).toBe(404);
    expect((await openai.admin("DELETE", at(`/api_keys/${keyId}`))).status).toBe(404);
    expect(openai.server.violations()).toEqual([]);
  });

  it("belong to one project: another project's path does not find them", async () => {
    const { accountId, keyId } = await openai.key(project);
    const other = await openai.project();
    expect((await openai.admin("GET", `/projects/${other}/service_accounts/${accountId}`)).status).toBe(404);
    expect((await openai.admin("DELETE", `/projects/${other}/api_keys/${keyId}`)).status).toBe(404);
    expect(live(keyId)).toBe(true);
  });
});

describe("keys", () => {
  it("are deleted one by one; the account and its other keys stay", async () => {
    const first = await openai.key(project);
    const second = (await openai.admin("POST", at(`/service_accounts/${first.accountId}/api_keys`), {})).body;
    const path = at(`/api_keys/${first.keyId}`);
    expect((await openai.admin("DELETE", path)).body.deleted).toBe(true);
    expect([await opens(first.secret), await opens(second.value)]).toEqual([false, true]);
    expect((await openai.admin("DELETE", path)).status).toBe(404);
    expect((await openai.admin("GET", at("/service_accounts"))).body.data).toHaveLength(1);
  });

  it("stop at their expiry by the simulator's clock, and can then only be replaced", async () => {
    const { keyId, secret } = await openai.key(project, { expires_in_seconds: 3600 });
    const path = at(`/api_keys/${keyId}`);
    openai.server.advanceClock(3_590_000);
    expect(await opens(secret)).toBe(true);
    openai.server.advanceClock(10_000);
    expect([await opens(secret), live(keyId)]).toEqual([false, false]);
    expect((await openai.admin("POST", path, { expires_in_seconds: 60 })).status).toBe(400);
    expect((await openai.admin("GET", path)).status).toBe(200);
    expect((await openai.admin("DELETE", path)).status).toBe(200);
  });

  it("get a new expiry counted from the update, never none", async () => {
    const { keyId } = await openai.key(project);
    const path = at(`/api_keys/${keyId}`);
    const now = Math.floor(openai.server.now() / 1000);
    const { body } = await openai.admin("POST", path, { expires_in_seconds: 3600 });
    expect(body.expires_at - now - 3600).toBeLessThanOrEqual(2);
    expect(body).not.toHaveProperty("value");
    for (const bad of [{ expires_in_seconds: null }, {}, { name: "x" }]) {
      expect((await openai.admin("POST", path, bad)).status).toBe(400);
    }
    expect(openai.server.violations()).toHaveLength(3);
  });

  it("open only what their scopes name, and everything with none", async () => {
    const { accountId } = await openai.key(project);
    const make = async (scopes: string[]) =>
      (await openai.admin("POST", at(`/service_accounts/${accountId}/api_keys`), { name: "k", scopes })).body.value;
    const [all, reads] = [await make([]), await make(["api.model.read"])];
    expect([await opens(all), (await openai.chat(all)).status]).toEqual([true, 200]);
    const refused = await openai.chat(reads);
    expect([await opens(reads), refused.status, typeof refused.body.error]).toEqual([true, 403, "string"]);
  });

  it("show when they were last used", async () => {
    const { keyId, secret } = await openai.key(project);
    const lastUsed = async () => (await openai.admin("GET", at(`/api_keys/${keyId}`))).body.last_used_at;
    expect(await lastUsed()).toBeNull();
    await openai.chat(secret);
    expect(await lastUsed()).toBeGreaterThan(0);
  });

  it("made by a person are listed with their owner", async () => {
    await openai.server.control("create_user_key", { project_id: project });
    const { body } = await openai.admin("GET", at("/api_keys?owner_project_access=any"));
    expect(body.data[0]).toMatchObject({ owner: { type: "user", user: { email: expect.any(String) } } });
  });

  it("may work a little after their deletion when revocation lags", async () => {
    openai.server.mergeSettings({ revocation_lag_ms: 5_000 });
    const { keyId, secret } = await openai.key(project);
    await openai.admin("DELETE", at(`/api_keys/${keyId}`));
    expect([await opens(secret), live(keyId)]).toEqual([true, true]);
    openai.server.advanceClock(5_000);
    expect([await opens(secret), live(keyId)]).toEqual([false, false]);
  });
});

describe("an organization's key policy", () => {
  it("can forbid new keys; then a refused account leaves nothing behind", async () => {
    const { accountId, secret } = await openai.key(project);
    openai.server.mergeSettings({ policy_forbids_keys: true });
    expect((await openai.admin("POST", at("/service_accounts"), { name: "b" })).status).toBe(400);
    expect((await openai.admin("POST", at(`/service_accounts/${accountId}/api_keys`), {})).status).toBe(400);
    expect([openai.books().accounts.length, await opens(secret)]).toEqual([1, true]);
    expect(openai.server.violations()).toEqual([]);
  });

  it("can demand an expiry", async () => {
    openai.server.mergeSettings({ policy_max_expiry_seconds: 3600 });
    const create = async (fields: object) =>
      (await openai.admin("POST", at("/service_accounts"), { name: "b", ...fields })).status;
    expect([
      await create({}),
      await create({ expires_in_seconds: 3601 }),
      await create({ expires_in_seconds: 3600 }),
    ]).toEqual([400, 400, 200]);
  });

  it("can be as it was before keys of accounts were deletable", async () => {
    openai.server.mergeSettings({ refuse_service_account_key_delete: true });
    const { keyId } = await openai.key(project);
    expect((await openai.admin("DELETE", at(`/api_keys/${keyId}`))).status).toBe(400);
  });
});

describe("the books", () => {
  it("prove that limits were set before the key existed", async () => {
    await openai.admin("POST", at("/spend_limit"), { threshold_amount: 500, currency: "USD", interval: "month" });
    const { keyId } = await openai.key(project);
    const { events } = openai.books();
    const place = (type: string) =>
      events.findIndex((event) => event.type === type && event.ids.project_id === project);
    expect(place("spend_limit.set")).toBeGreaterThan(place("project.created"));
    expect(place("api_key.created")).toBeGreaterThan(place("spend_limit.set"));
    expect(events[place("api_key.created")]?.ids.api_key_id).toBe(keyId);
    expect(events.map((event) => event.n)).toEqual(events.map((_, i) => i + 1));
  });

  it("hold hashes of secrets, and secrets only on request", async () => {
    const { secret } = await openai.key(project);
    const read = async (query: string) => (await fetch(`${openai.server.url}/_control/books${query}`)).text();
    expect(await read("")).toContain(createHash("sha256").update(secret).digest("hex"));
    expect(await read("")).not.toContain(secret);
    expect(await read("?secrets=1")).toContain(secret);
  });
});
