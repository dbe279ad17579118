import { hashPassword } from "@keygate/shared/crypto/password";
import { userRows } from "@keygate/shared/db/users";
import { Secret } from "@keygate/shared/secret";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness({ env: { TRUSTED_PROXIES: "127.0.0.1" } });
});
afterAll(() => api?.close());

const from = (address: string) => ({ "x-forwarded-for": address });
const login = (email: string, password: string, address: string) =>
  api.call("POST", "/auth/login", { body: { email, password }, token: null, headers: from(address) });
const actionsOf = async (actor: string) =>
  (await api.call("GET", `/audit?actor=${encodeURIComponent(actor)}`)).body.map(
    (one: { action: string }) => one.action,
  );

test("a sign-in gives a bearer token that opens the API, whatever the case of the e-mail", async () => {
  const user = await api.addUser("admin");
  const answer = await login(user.email.toUpperCase(), user.password, "192.0.2.1");
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({ access_token: expect.any(String), token_type: "bearer" });
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const me = await api.call("GET", "/auth/me", { token: answer.body.access_token });
  expect(me.body).toEqual({ id: user.id, email: user.email, role: "admin", created_at: expect.any(String) });
  expect(await actionsOf(user.email)).toEqual(["auth.login"]);
});

test("a wrong password and an unknown e-mail get the same answer after about the same time", async () => {
  const user = await api.addUser("admin");
  await login(user.email, user.password, "192.0.2.2");
  const timed = async (email: string, address: string) => {
    const times: number[] = [];
    for (let i = 0; i < 4; i += 1) {
      const startedAt = performance.now();
      const answer = await login(email, "wrong", address);
      times.push(performance.now() - startedAt);
      expect(answer.status).toBe(401);
      expect(answer.body).toMatchObject({ code: "auth.invalid_credentials" });
    }
    return Math.min(...times);
  };
  const known = await timed(user.email, "192.0.2.3");
  const unknown = await timed("nobody@keygate.test", "192.0.2.4");
  // The hash alone takes tens of milliseconds: had one of the two been skipped, it would be several times faster.
  expect(Math.max(known, unknown) / Math.min(known, unknown)).toBeLessThan(2.5);
  expect(await actionsOf(user.email)).toContain("auth.login_failed");
});

test("five wrong passwords lock that address out of that account, and nobody else", async () => {
  const user = await api.addUser("admin");
  for (let i = 0; i < 5; i += 1) expect((await login(user.email, "wrong", "198.51.100.1")).status).toBe(401);
  const locked = await login(user.email, user.password, "198.51.100.1");
  expect(locked.status).toBe(429);
  expect(locked.body).toMatchObject({ code: "auth.throttled" });
  expect(Number(locked.headers.get("retry-after"))).toBeGreaterThan(200);
  expect((await login(user.email, user.password, "198.51.100.2")).status).toBe(200);
  const other = await api.addUser("admin");
  expect((await login(other.email, other.password, "198.51.100.1")).status).toBe(200);
});

test("a burst of wrong passwords counts like a row of them", async () => {
  const user = await api.addUser("admin");
  const burst = Array.from({ length: 20 }, () => login(user.email, "wrong", "198.51.100.10"));
  const statuses = (await Promise.all(burst)).map((answer) => answer.status);
  expect(statuses.filter((status) => status === 401)).toHaveLength(5);
  expect(statuses.filter((status) => status === 429)).toHaveLength(15);
});

test("thirty failures from one address at many accounts stop that address", async () => {
  for (let i = 0; i < 30; i += 1) await login(`user${i}@keygate.test`, "wrong", "198.51.100.20");
  const user = await api.addUser("admin");
  expect((await login(user.email, user.password, "198.51.100.20")).status).toBe(429);
});

test("a flood of failures from everywhere never keeps out an address that signed in before", async () => {
  const user = await api.addUser("admin");
  expect((await login(user.email, user.password, "203.0.113.1")).status).toBe(200);
  await sql`insert into login_throttles values (${`account:${user.email}`}, 100, now() + interval '10 minutes')`.execute(
    api.deps.db,
  );
  expect((await login(user.email, user.password, "203.0.113.2")).status).toBe(429);
  expect((await login(user.email, user.password, "203.0.113.1")).status).toBe(200);
});

test("a success forgets the failures before it", async () => {
  const user = await api.addUser("admin");
  for (let round = 0; round < 3; round += 1) {
    for (let i = 0; i < 4; i += 1) expect((await login(user.email, "wrong", "203.0.113.9")).status).toBe(401);
    expect((await login(user.email, user.password, "203.0.113.9")).status).toBe(200);
  }
});

test("a new password and a deactivation end every token at once", async () => {
  const user = await api.addUser("admin");
  expect((await api.call("GET", "/auth/me", { token: user.token })).status).toBe(200);
  await userRows(api.deps.db).setPassword(user.id, await hashPassword(new Secret("another password")));
  const outdated = await api.call("GET", "/auth/me", { token: user.token });
  expect(outdated.status).toBe(401);
  expect(outdated.headers.get("www-authenticate")).toBe('Bearer realm="keygate", error="invalid_token"');
  const again = await login(user.email, "another password", "203.0.113.30");
  await sql`update users set is_active = false where id = ${user.id}`.execute(api.deps.db);
  expect((await api.call("GET", "/auth/me", { token: again.body.access_token })).status).toBe(401);
  expect((await login(user.email, "another password", "203.0.113.30")).status).toBe(401);
});

test("neither password nor token reaches the log or the audit", async () => {
  const user = await api.addUser("admin");
  const { body } = await login(user.email, user.password, "203.0.113.40");
  await login(user.email, `${user.password}-but-wrong`, "203.0.113.40");
  await login("my-secret-typed-as-e-mail", user.password, "203.0.113.40");
  const { rows } = await sql`select * from audit_events`.execute(api.deps.db);
  const everything = api.logLines.join("") + JSON.stringify(rows);
  for (const secret of [user.password, body.access_token, "my-secret-typed-as-e-mail"]) {
    expect(everything).not.toContain(secret);
  }
});
