import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { issueKey, until } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness, type TestUser } from "./harness.ts";
import { addDeveloper, askForKey, jobOf } from "./keys-support.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

const dashboard = { "x-requested-by": "keygate-dashboard" };
const signIn = (email: string, password: string, cookie?: string) =>
  api.call("POST", "/auth/session", {
    body: { email, password },
    token: null,
    headers: { ...dashboard, ...(cookie ? { cookie } : {}) },
  });
const cookieOf = (headers: Headers, name: string) =>
  headers
    .getSetCookie()
    .find((line) => line.startsWith(`${name}=`))
    ?.split(";")[0] ?? "";

describe("a browser that somebody signed in from before", () => {
  test("gets in from the very address from which others guess, and its own guesses are counted", async () => {
    const user = await api.addUser("admin");
    const first = await signIn(user.email, user.password);
    const line = first.headers.getSetCookie().find((one) => one.startsWith("__Host-keygate_device="));
    expect(line).toMatch(/Max-Age=7776000; Path=\/; HttpOnly; Secure; SameSite=Strict/);
    const device = cookieOf(first.headers, "__Host-keygate_device");

    for (let i = 0; i < 5; i += 1) expect((await signIn(user.email, "a guess")).status).toBe(401);
    expect((await signIn(user.email, user.password)).status).toBe(429);
    expect((await signIn(user.email, user.password, device)).status).toBe(200);

    // Somebody else's device, a forged one, and one of before the password changed help nobody.
    const other = await api.addUser("admin");
    const otherDevice = cookieOf((await signIn(other.email, other.password)).headers, "__Host-keygate_device");
    expect((await signIn(user.email, user.password, otherDevice)).status).toBe(429);
    expect((await signIn(user.email, user.password, `${device}x`)).status).toBe(429);
    // It is no way in by itself.
    const me = await api.call("GET", "/auth/me", { token: null, headers: { cookie: device } });
    expect(me.status).toBe(401);
    expect((await api.call("GET", "/auth/me", { token: device.split("=")[1] ?? "" })).status).toBe(401);

    for (let i = 0; i < 5; i += 1) expect((await signIn(user.email, "a guess", device)).status).toBe(401);
    expect((await signIn(user.email, user.password, device)).status).toBe(429);
  });
});

describe("a session that ends while something is under way", () => {
  const remove = (user: TestUser) => api.call("DELETE", `/users/${user.id}`);

  test("hears nothing more of a job that it follows", async () => {
    const user = await api.addUser("auditor");
    const { body } = await askForKey(api);
    const response = await fetch(`${api.url}/api/v1/jobs/${body.job_id}/events`, {
      headers: { authorization: `Bearer ${user.token}` },
    });
    const chunks: string[] = [];
    const reading = (async () => {
      for await (const chunk of response.body ?? []) chunks.push(new TextDecoder().decode(chunk));
    })();
    await until(async () => chunks.length > 0, "the first event");
    const removedAt = performance.now();
    expect((await remove(user)).status).toBe(200);
    // A second is the promise: what happens after it is told to nobody, and the stream ends.
    await until(async () => performance.now() - removedAt > 1_100, "a second");
    const heard = chunks.length;
    await issueKey(api.deps, body.job_id);
    await reading;
    expect(chunks.slice(heard).join("")).not.toContain("succeeded");
  });

  test("gets no key that it waited for: the key stays sealed for whoever holds its token, or is revoked", async () => {
    const user = await api.addUser("admin");
    const developerId = await addDeveloper(api);
    const waiting = api.call("POST", "/keys/provision", {
      body: { developer_id: developerId, vendor: "openai" },
      token: user.token,
    });
    const job = await until(
      async () => (await api.call("GET", "/jobs?kind=provision&status=queued&limit=1")).body[0],
      "the job of the one who waits",
    );
    const removedAt = performance.now();
    await remove(user);
    await until(async () => performance.now() - removedAt > 1_100, "a second");
    const secret = await issueKey(api.deps, job.id);
    const answer = await waiting;
    expect(answer.body).toMatchObject({ status: 401, code: "auth.invalid_token" });
    expect(answer.text).not.toContain(secret);
    expect((await jobOf(api, job.id)).claimed_at).toBeNull();
  });
});

describe("the host name", () => {
  const statusFor = async (host: string, headers: Record<string, string> = {}, at: ApiHarness = api) => {
    const { port } = new URL(at.url);
    const sent = request({ host: "127.0.0.1", port, path: "/health", headers: { host, ...headers } }).end();
    const [response] = await once(sent, "response");
    response.resume();
    return response.statusCode;
  };

  test("of a KeyGate on this machine alone is this machine's: another name that points here is 421", async () => {
    for (const host of ["localhost", "localhost:8000", "127.0.0.1", "[::1]:8000", "keygate.localhost"]) {
      expect(await statusFor(host), host).toBe(200);
    }
    for (const host of ["evil.test", "localhost.evil.test:8000", "127.0.0.1.evil.test", "10.0.0.1"]) {
      expect(await statusFor(host), host).toBe(421);
    }
    // Nobody vouches for what the client itself writes.
    expect(await statusFor("evil.test", { "x-forwarded-host": "localhost" })).toBe(421);
  });

  test("may also be that of PUBLIC_URL, or what a trusted proxy passes on", async () => {
    const open = await createApiHarness({ env: { PUBLIC_URL: "https://keygate.acme.test" } });
    const proxied = await createApiHarness({ env: { TRUSTED_PROXIES: "127.0.0.1" } });
    try {
      expect(await statusFor("keygate.acme.test", {}, open)).toBe(200);
      expect(await statusFor("evil.test", {}, open)).toBe(421);
      expect(await statusFor("anything.acme.test", {}, proxied)).toBe(200);
      const asked = await open.call("POST", "/users/invite", { body: { email: "a@keygate.test", role: "admin" } });
      expect(asked.body.one_time_link).toMatch(/^https:\/\/keygate\.acme\.test\/welcome#/);

      // Behind TLS the queue board's cookie is this host's alone, too.
      const basic = `Basic ${Buffer.from(`${open.admin.email}:${open.admin.password}`).toString("base64")}`;
      const board = await open.call("GET", "~/queues", { token: null, headers: { authorization: basic } });
      const [line = ""] = board.headers.getSetCookie();
      expect(line).toMatch(/^__Host-keygate_queues=.*Path=\/; HttpOnly; Secure; SameSite=Strict$/);
      const [cookie = ""] = line.split(";");
      expect((await open.call("GET", "~/queues/api/queues", { token: null, headers: { cookie } })).status).toBe(200);
      const plain = { cookie: cookie.replace("__Host-", "") };
      expect((await open.call("GET", "~/queues/api/queues", { token: null, headers: plain })).status).toBe(401);
    } finally {
      await open.close();
      await proxied.close();
    }
  });
});

test("a copy of the session's cookie is worth nothing once its owner signed out; other sessions go on", async () => {
  const user = await api.addUser("admin");
  const cookie = cookieOf((await signIn(user.email, user.password)).headers, "__Host-keygate");
  const other = cookieOf((await signIn(user.email, user.password)).headers, "__Host-keygate");
  const me = (of = cookie) => api.call("GET", "/auth/me", { token: null, headers: { cookie: of } });
  const { body: bearer } = await api.call("POST", "/auth/login", {
    token: null,
    body: { email: user.email, password: user.password },
  });
  expect((await me()).status).toBe(200);
  const foreign = await api.call("DELETE", "/auth/session", { token: null, headers: { cookie } });
  expect(foreign.status).toBe(403);
  expect((await me()).status).toBe(200);
  const out = await api.call("DELETE", "/auth/session", { token: null, headers: { cookie, ...dashboard } });
  expect(out.headers.getSetCookie()[0]).toMatch(/^__Host-keygate=; Max-Age=0; Path=\/;/);
  expect((await me()).status).toBe(401);
  expect((await api.call("GET", "~/queues/api/queues", { token: null, headers: { cookie } })).status).toBe(401);
  expect((await me(other)).status).toBe(200);
  expect((await api.call("GET", "/auth/me", { token: bearer.access_token })).status).toBe(200);
  await api.call("DELETE", "/auth/session", { token: null, headers: { cookie, ...dashboard } });
  const { body } = await api.call("GET", `/audit?resource_id=${user.id}&action=auth.logout`);
  expect(body).toHaveLength(1);
});

test("whoever is signed in to the dashboard is not asked again by the queue board, until the session ends", async () => {
  const user = await api.addUser("admin");
  const cookie = cookieOf((await signIn(user.email, user.password)).headers, "__Host-keygate");
  const board = (more: object = {}, method = "GET") =>
    api.call(method, "~/queues/api/queues", { token: null, headers: { cookie, ...more } });
  expect((await board()).body.queues[0].name).toMatch(/^vendor-|^maintenance/);
  const forged = { "sec-fetch-site": "cross-site" };
  expect((await board(forged, "PUT")).status).toBe(403);
  await api.call("DELETE", `/users/${user.id}`);
  expect((await board()).status).toBe(401);
});
