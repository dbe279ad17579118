import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi } from "../src/start-api.ts";
import { type ApiHarness, createApiHarness, type TestUser } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
});
afterAll(() => api?.close());

const nobody = "usr-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11";
const password = "a long enough password";
let count = 0;
const newEmail = () => {
  count += 1;
  return `person${count}@keygate.test`;
};

const invite = (body: object = {}, call: object = {}) =>
  api.call("POST", "/users/invite", { body: { email: newEmail(), role: "admin", ...body }, ...call });
const tokenOf = (link: string) => link.split("#")[1] ?? "";
const inspect = (token: string) =>
  api.call("POST", "/auth/links/inspect", { body: { link_token: token }, token: null });
const use = (token: string, next = password) =>
  api.call("POST", "/auth/links/use", { body: { link_token: token, new_password: next }, token: null });
const login = (email: string, given = password) =>
  api.call("POST", "/auth/login", { body: { email, password: given }, token: null });
const auditOf = async (id: string) => (await api.call("GET", `/audit?resource_id=${id}&limit=500`)).body;
const statusAs = async (user: TestUser) => (await api.call("GET", "/auth/me", { token: user.token })).status;

describe("an invitation", () => {
  test("lets somebody set a password once, and sign in with it from then on", async () => {
    const email = newEmail();
    const answer = await invite({ email: email.toUpperCase(), role: "auditor", expires_in_hours: 1 });
    expect(answer.status).toBe(200);
    const { user, one_time_link: link } = answer.body;
    expect(answer.body).toEqual({
      user: {
        id: expect.stringMatching(/^usr-/),
        email,
        role: "auditor",
        status: "invited",
        created_at: expect.any(String),
        joined_at: null,
        last_sign_in_at: null,
        open_link: { purpose: "join", expires_at: answer.body.expires_at },
      },
      purpose: "join",
      one_time_link: expect.stringMatching(/^\/welcome#[0-9a-f]{64}$/),
      expires_at: expect.any(String),
    });
    const hours = (Date.parse(answer.body.expires_at) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(0.9);
    expect(hours).toBeLessThan(1.1);

    // Whoever does not know the link cannot sign in, and a look at the link does not use it up.
    expect((await login(email)).status).toBe(401);
    const info = {
      purpose: "join",
      email,
      role: "auditor",
      invited_by: api.owner.email,
      expires_at: expect.any(String),
    };
    expect((await inspect(tokenOf(link))).body).toEqual(info);
    expect((await inspect(tokenOf(link))).status).toBe(200);

    const used = await use(tokenOf(link));
    expect([used.status, used.body]).toEqual([200, { status: "password_set", email }]);
    expect((await use(tokenOf(link), "somebody else's password")).body).toMatchObject({
      status: 410,
      code: "link.gone",
    });
    expect((await inspect(tokenOf(link))).status).toBe(410);

    const signedIn = await login(email);
    expect(signedIn.status).toBe(200);
    const listed = await api.call("GET", `/users/${user.id}`, { token: signedIn.body.access_token });
    expect(listed.body).toMatchObject({ status: "active", joined_at: expect.any(String), open_link: null });
    expect(listed.body.last_sign_in_at).not.toBeNull();
    expect((await auditOf(user.id)).map((row: { action: string; actor: string }) => [row.action, row.actor])).toEqual([
      ["auth.login", email],
      ["user.join", email],
      ["auth.login_failed", email],
      ["user.invite", api.owner.email],
    ]);
  });

  test("is used by one of many who try at once", async () => {
    const { body } = await invite();
    const tries = await Promise.all(Array.from({ length: 6 }, () => use(tokenOf(body.one_time_link))));
    expect(tries.map(({ status }) => status).sort()).toEqual([200, 410, 410, 410, 410, 410]);
  });

  test("runs out, is replaced by a newer link, and dies with its user", async () => {
    const first = (await invite()).body;
    await sql`update user_links set expires_at = now() where user_id = ${first.user.id}`.execute(api.deps.db);
    expect((await use(tokenOf(first.one_time_link))).status).toBe(410);
    expect((await api.call("GET", `/users/${first.user.id}`)).body).toMatchObject({
      status: "invited",
      open_link: null,
    });
    const second = (await api.call("POST", `/users/${first.user.id}/link`, { body: {} })).body;
    expect(second.purpose).toBe("join");
    const third = (await api.call("POST", `/users/${first.user.id}/link`, { body: {} })).body;
    expect((await inspect(tokenOf(second.one_time_link))).status).toBe(410);
    expect((await inspect(tokenOf(third.one_time_link))).status).toBe(200);
    await api.call("DELETE", `/users/${first.user.id}`);
    expect((await use(tokenOf(third.one_time_link))).status).toBe(410);
  });

  test("is refused for an e-mail that is taken, and for what is no e-mail or role", async () => {
    const before = await api.countRows();
    const taken = await invite({ email: api.admin.email.toUpperCase() });
    expect(taken.body).toMatchObject({ status: 409, code: "user.email_taken", errors: [{ field: "email" }] });
    for (const [body, field] of [
      [{ email: "nobody" }, "email"],
      [{ role: "root" }, "role"],
      [{ expires_in_hours: 169 }, "expires_in_hours"],
      [{ zz: 1 }, "zz"],
    ] as const) {
      const answer = await invite(body);
      expect(answer.body).toMatchObject({ status: 422, errors: [{ field }] });
    }
    expect(await api.countRows()).toEqual(before);
  });

  test("shows its link once, however often the same request is repeated", async () => {
    const body = { email: newEmail(), role: "admin" };
    const headers = { "idempotency-key": "invite-1" };
    const first = await api.call("POST", "/users/invite", { body, headers });
    const again = await api.call("POST", "/users/invite", { body, headers });
    expect(again.status).toBe(200);
    expect(again.body).toEqual({ ...first.body, one_time_link: null });
  });
});

describe("who may do it", () => {
  test("is owners alone: an admin, an auditor and nobody change nothing", async () => {
    const victim = await api.addUser("admin");
    const calls = [
      ["POST", "/users/invite", { email: newEmail(), role: "owner" }],
      ["POST", `/users/${victim.id}/link`, {}],
      ["PUT", `/users/${victim.id}/role`, { role: "owner" }],
      ["PUT", `/users/${api.admin.id}/role`, { role: "owner" }],
      ["DELETE", `/users/${victim.id}`, undefined],
    ] as const;
    const before = await api.countRows();
    for (const [method, path, body] of calls) {
      for (const { token } of [api.admin, api.auditor]) {
        const answer = await api.call(method, path, { body, token });
        expect(answer.body, `${method} ${path}`).toMatchObject({ status: 403, code: "auth.forbidden" });
      }
      expect((await api.call(method, path, { body, token: null })).status).toBe(401);
    }
    expect(await api.countRows()).toEqual(before);
    expect(await statusAs(victim)).toBe(200);
  });

  test("everybody who is signed in sees who else is, and no secret of theirs", async () => {
    const removed = await api.addUser("auditor");
    await api.call("DELETE", `/users/${removed.id}`);
    const { body, text } = await api.call("GET", "/users?limit=500", { token: api.auditor.token });
    expect(body.map((user: { id: string }) => user.id)).toContain(api.owner.id);
    expect(body.map((user: { id: string }) => user.id)).not.toContain(removed.id);
    expect(text).not.toMatch(/argon2|password|hash|token/);
    const all = await api.call("GET", "/users?limit=500&include_removed=true");
    expect(all.body).toContainEqual(expect.objectContaining({ id: removed.id, status: "removed" }));
    const page = await api.call("GET", "/users?limit=2");
    const next = /<([^>]+)>; rel="next"/.exec(page.headers.get("link") ?? "")?.[1] ?? "";
    const second = await api.call("GET", next.replace("/api/v1", ""));
    expect([...page.body, ...second.body].map((user: { id: string }) => user.id)).toEqual(
      body.slice(0, page.body.length + second.body.length).map((user: { id: string }) => user.id),
    );
    expect((await api.call("GET", `/users/${nobody}`)).body).toMatchObject({ status: 404, code: "user.not_found" });
  });
});

describe("a role", () => {
  test("holds from the next request on", async () => {
    const user = await api.addUser("admin");
    const asUser = () =>
      api.call("POST", "/developers", { token: user.token, body: { name: "Ada", email: newEmail() } });
    expect((await asUser()).status).toBe(200);
    const changed = await api.call("PUT", `/users/${user.id}/role`, { body: { role: "auditor" } });
    expect(changed.body).toMatchObject({ id: user.id, role: "auditor", status: "active" });
    expect((await asUser()).status).toBe(403);
    const [row] = await auditOf(user.id);
    expect(row).toMatchObject({
      action: "user.set_role",
      actor: api.owner.email,
      details: { outcome: "succeeded", before: "admin", role: "auditor", tokens_revoked: 0 },
    });
  });

  test("of the last owner stays, also when two of them take each other's away at once", async () => {
    const one = await createApiHarness();
    try {
      const { owner } = one;
      const self = await one.call("PUT", `/users/${owner.id}/role`, { body: { role: "admin" } });
      expect(self.body).toMatchObject({ status: 409, code: "user.last_owner" });
      expect((await one.call("DELETE", `/users/${owner.id}`)).body).toMatchObject({ code: "user.last_owner" });
      // Somebody who has not joined cannot act yet, so is no owner to rely on.
      await one.call("POST", "/users/invite", { body: { email: "later@keygate.test", role: "owner" } });
      expect((await one.call("DELETE", `/users/${owner.id}`)).status).toBe(409);

      const other = await one.addUser("owner");
      const [first, second] = await Promise.all([
        one.call("PUT", `/users/${other.id}/role`, { body: { role: "auditor" }, token: owner.token }),
        one.call("DELETE", `/users/${owner.id}`, { token: other.token }),
      ]);
      // The slower one was the last owner by then, or no longer allowed to.
      expect([first.status, second.status].filter((status) => status === 200)).toHaveLength(1);
      const { rows } = await sql<{ n: number }>`
        select count(*) as n from users where role = 'owner' and is_active and joined_at is not null`.execute(
        one.deps.db,
      );
      expect(rows[0]?.n).toBe(1);
    } finally {
      await one.close();
    }
  });
});

describe("a password reset", () => {
  test("keeps the old password until the link is used, then ends every session and token", async () => {
    const user = await api.addUser("admin");
    const { body } = await api.call("POST", `/users/${user.id}/link`, { body: { expires_in_hours: 2 } });
    expect(body).toMatchObject({ purpose: "reset_password", user: { id: user.id, status: "active" } });
    expect((await login(user.email, user.password)).status).toBe(200);
    expect(await statusAs(user)).toBe(200);
    const weak = await use(tokenOf(body.one_time_link), "short");
    expect(weak.body).toMatchObject({ status: 422, errors: [{ field: "new_password" }] });
    expect((await use(tokenOf(body.one_time_link))).status).toBe(200);
    expect(await statusAs(user)).toBe(401);
    expect((await login(user.email, user.password)).status).toBe(401);
    expect((await login(user.email)).status).toBe(200);
    const actions = (await auditOf(user.id)).map((row: { action: string }) => row.action);
    expect(actions).toEqual(expect.arrayContaining(["user.create_link", "user.reset_password"]));
  });

  test("is not for who was removed or never was", async () => {
    const user = await api.addUser("admin");
    await api.call("DELETE", `/users/${user.id}`);
    expect((await api.call("POST", `/users/${user.id}/link`, { body: {} })).body).toMatchObject({
      status: 409,
      code: "user.removed",
    });
    expect((await api.call("PUT", `/users/${user.id}/role`, { body: { role: "admin" } })).status).toBe(409);
    expect((await api.call("POST", `/users/${nobody}/link`, { body: {} })).status).toBe(404);
    for (const token of ["", "x", "0".repeat(64), "../../x", "' or 1=1 --"]) {
      expect([410, 422]).toContain((await use(token)).status);
    }
  });
});

describe("a removal", () => {
  test("ends sessions and tokens within the next request, in every process", async () => {
    const second = await startApi(api.config, api.deps.log);
    try {
      const user = await api.addUser("admin");
      const elsewhere = () =>
        fetch(`${second.url}/api/v1/auth/me`, { headers: { authorization: `Bearer ${user.token}` } });
      expect((await elsewhere()).status).toBe(200);
      const removal = await api.call("DELETE", `/users/${user.id}`);
      expect(removal.body).toEqual({ status: "removed", user_id: user.id, tokens_revoked: 0 });
      expect((await elsewhere()).status).toBe(401);
      expect(await statusAs(user)).toBe(401);
      expect((await login(user.email, user.password)).status).toBe(401);
      const again = await api.call("DELETE", `/users/${user.id}`);
      expect(again.status).toBe(200);
      const actions = (await auditOf(user.id)).map((row: { action: string }) => row.action);
      expect(actions.filter((action: string) => action === "user.remove")).toHaveLength(1);
    } finally {
      await second.close();
    }
  });

  test("can be followed by a new invitation, under the same id and with nothing of before", async () => {
    const user = await api.addUser("owner");
    await api.call("DELETE", `/users/${user.id}`);
    const { body } = await invite({ email: user.email, role: "auditor" });
    expect(body.user).toMatchObject({ id: user.id, role: "auditor", status: "invited" });
    expect(await statusAs(user)).toBe(401);
    expect((await login(user.email, user.password)).status).toBe(401);
    expect((await use(tokenOf(body.one_time_link))).status).toBe(200);
    expect(await statusAs(user)).toBe(401);
    expect((await login(user.email)).status).toBe(200);
  });
});

test("whoever runs KeyGate makes a link for an owner whom nobody else can help", async () => {
  const user = await api.addUser("owner");
  const main = join(import.meta.dirname, "../src/tools/user-link.ts");
  const env = {
    PATH: process.env.PATH,
    DATABASE_URL: api.config.databaseUrl,
    SECRET_KEY: api.config.secretKey.reveal(),
    ENCRYPTION_KEY: api.config.encryptionKeys.map((key) => key.reveal()).join(","),
    PUBLIC_URL: "https://keygate.acme.test",
  };
  const run = (...args: string[]) => promisify(execFile)(process.execPath, [main, ...args], { env });
  const { stdout } = await run(user.email.toUpperCase(), "--hours", "1");
  expect(stdout).toMatch(/^https:\/\/keygate\.acme\.test\/welcome#[0-9a-f]{64}\n$/);
  expect((await use(tokenOf(stdout.trim()))).status).toBe(200);
  expect((await login(user.email)).status).toBe(200);
  expect((await use(tokenOf(stdout.trim()))).status).toBe(410);
  const late = await run(user.email);
  await sql`update user_links set expires_at = now() where user_id = ${user.id}`.execute(api.deps.db);
  expect((await use(tokenOf(late.stdout.trim()))).status).toBe(410);
  const rows = await auditOf(user.id);
  expect(rows).toContainEqual(expect.objectContaining({ action: "user.create_link", actor: "system:user-link" }));
  await expect(run("nobody@keygate.test")).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining("No user"),
  });
  await expect(run(user.email, "--hours", "1000")).rejects.toMatchObject({ code: 2 });
});

test("an auditor changes their own password, and nobody's by a wrong one", async () => {
  const user = await api.addUser("auditor");
  const change = (current: string) =>
    api.call("POST", "/auth/password", {
      token: user.token,
      body: { current_password: current, new_password: password },
    });
  expect((await change("not this one")).status).toBe(401);
  expect(await statusAs(user)).toBe(200);
  expect((await change(user.password)).body).toEqual({ status: "changed" });
  expect(await statusAs(user)).toBe(401);
  expect((await login(user.email)).status).toBe(200);
});

test("no link, password or hash of one is in the log, the audit or, readable, in the database", async () => {
  const { body } = await invite();
  const token = tokenOf(body.one_time_link);
  await use(token, "canary password 4711");
  const { rows: audit } = await sql`select * from audit_events`.execute(api.deps.db);
  const { rows: links } = await sql`select * from user_links`.execute(api.deps.db);
  const { rows: users } = await sql`select * from users`.execute(api.deps.db);
  const { rows: kept } = await sql`select * from idempotency_keys`.execute(api.deps.db);
  const everything = api.logLines.join("") + JSON.stringify([audit, links, users, kept]);
  expect(everything).not.toContain(token);
  expect(everything).not.toContain("canary password 4711");
  expect(everything).not.toMatch(/welcome#/);
});
