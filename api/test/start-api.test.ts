import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { loadConfig } from "@keygate/shared/config";
import { verifyPassword } from "@keygate/shared/crypto/password";
import { userRows } from "@keygate/shared/db/users";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { createLog } from "@keygate/shared/log";
import { Secret } from "@keygate/shared/secret";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../embedded/test-support/database.ts";
import { startApi } from "../src/start-api.ts";
import { createApiHarness } from "./harness.ts";

let database: TestDatabase;
let env: Record<string, string>;
const children: ChildProcess[] = [];

beforeEach(async () => {
  database = await createTestDatabase();
  env = {
    DATABASE_URL: database.url,
    SECRET_KEY: randomBytes(48).toString("base64"),
    ENCRYPTION_KEY: randomBytes(48).toString("base64"),
    HOST: "127.0.0.1",
    PORT: "0",
    SHUTDOWN_GRACE_SECONDS: "5",
  };
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await database.drop();
});

const log = createLog({ level: "silent", name: "api" });
const start = (more: Record<string, string> = {}) => startApi(loadConfig({ ...env, ...more }), log);

/** Runs main.ts as a process of its own. */
function runMain(more: Record<string, string> = {}, withIpc = false) {
  const main = join(import.meta.dirname, "../src/main.ts");
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, ...env, ...more },
    stdio: ["ignore", "pipe", "pipe", ...(withIpc ? (["ipc"] as const) : [])],
  });
  children.push(child);
  const output = { stdout: "", stderr: "" };
  child.stdout?.on("data", (chunk) => (output.stdout += chunk));
  child.stderr?.on("data", (chunk) => (output.stderr += chunk));
  const ended = once(child, "exit").then(([code]) => code as number | null);
  return { child, output, ended };
}

describe("the first admin", () => {
  test("is made once as owner, and a password that was changed since stays changed", async () => {
    const admin = { ADMIN_EMAIL: "Root@KeyGate.test", ADMIN_PASSWORD: "correct horse battery" };
    const first = await start(admin);
    const user = await userRows(first.deps.db).findByEmail("root@keygate.test");
    expect(user).toMatchObject({ role: "owner", is_active: true });
    await first.close();
    const second = await start({ ...admin, ADMIN_PASSWORD: "another horse battery" });
    const again = await userRows(second.deps.db).findByEmail("root@keygate.test");
    await second.close();
    expect(again?.password_hash).toBe(user?.password_hash);
    expect(await verifyPassword(new Secret("correct horse battery"), again?.password_hash ?? "")).toBe(true);
  });

  test("is made once by two processes that start at the same time", async () => {
    const admin = { ADMIN_EMAIL: "root@keygate.test", ADMIN_PASSWORD: "correct horse battery" };
    const apis = await Promise.all([start(admin), start(admin)]);
    const login = await fetch(`${apis[0].url}/api/v1/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email: admin.ADMIN_EMAIL, password: admin.ADMIN_PASSWORD }),
    });
    expect(login.status).toBe(200);
    const { access_token: token } = (await login.json()) as { access_token: string };
    const headers = { authorization: `Bearer ${token}` };
    expect((await fetch(`${apis[1].url}/api/v1/auth/me`, { headers })).status).toBe(200);
    const log = await fetch(`${apis[1].url}/api/v1/audit?action=user.create`, { headers });
    expect(await log.json()).toHaveLength(1);
    await Promise.all(apis.map((api) => api.close()));
  });
});

test("a vendor of the environment is configured at start, and marked as such", async () => {
  const api = await start({
    OPENAI_ADMIN_KEY: "sk-admin-0123456789abcdef0123",
    ADMIN_EMAIL: "root@keygate.test",
    ADMIN_PASSWORD: "correct horse battery",
  });
  const rows = await vendorConfigRows(api.deps.db).list();
  await api.close();
  expect(rows).toMatchObject([{ vendor: "openai", source: "environment" }]);
});

describe("stopping", () => {
  test("lets a request end that is under way, and takes no new one", async () => {
    const api = await start();
    const slow = new ReadableStream({
      async pull(controller) {
        await closing;
        controller.enqueue(new TextEncoder().encode('{"email":"nobody@keygate.test","password":"x"}'));
        controller.close();
      },
    });
    const { promise: closing, resolve: beginClosing } = Promise.withResolvers<void>();
    const underWay = fetch(`${api.url}/api/v1/auth/login`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: slow,
      duplex: "half",
    });
    await expect.poll(() => fetch(`${api.url}/health`).then((answer) => answer.status)).toBe(200);
    const closed = api.close();
    beginClosing();
    expect((await underWay).status).toBe(401);
    await closed;
    await expect(fetch(`${api.url}/health`)).rejects.toThrow();
    await api.close();
  });

  test("answers whoever waits for a job: it goes on without them", async () => {
    const api = await createApiHarness();
    const { body: ada } = await api.call("POST", "/developers", { body: { name: "Ada", email: "ada@acme.test" } });
    await api.addKey({ developerId: ada.id });
    const headers = { prefer: "wait=60" };
    const waiting = api.call("DELETE", `/developers/${ada.id}`, { headers });
    await expect.poll(async () => (await api.call("GET", "/jobs?kind=revoke")).body.length).toBe(1);
    const startedAt = performance.now();
    await api.close();
    expect((await waiting).body).toMatchObject({ status: "deactivated", keys_revoked: 0 });
    expect((await waiting).status).toBe(202);
    expect(performance.now() - startedAt).toBeLessThan(3_000);
  });

  test("does not wait for an idle connection that a client keeps alive", async () => {
    const api = await start();
    await (await fetch(`${api.url}/health`)).text();
    const startedAt = performance.now();
    await api.close();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
  });
});

describe("as a process", () => {
  test("says that it listens, tells its parent, and ends with 0 when told to stop", async () => {
    for (const how of ["SIGTERM", "SIGINT", "disconnect"] as const) {
      const { child, output, ended } = runMain({}, true);
      const [message] = await once(child, "message");
      expect(message).toEqual({ type: "ready", port: expect.any(Number) });
      expect((await fetch(`http://127.0.0.1:${message.port}/health`)).status).toBe(200);
      if (how === "disconnect") child.disconnect();
      else child.kill(how);
      expect(await ended, how).toBe(0);
      expect(output.stdout).toContain('"msg":"api.listening"');
      expect(output.stderr).toBe("");
    }
  });

  test("a port that is taken ends it with one clear line", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const address = other.address();
    const port = typeof address === "object" ? address?.port : 0;
    const { output, ended } = runMain({ PORT: String(port) });
    expect(await ended).toBe(1);
    expect(output.stderr).toBe(`Port ${port} is taken by another program. Set PORT to a free one.\n`);
    other.close();
  });

  test("a database that is not there, or has no tables, is explained", async () => {
    const away = runMain({ DATABASE_URL: "postgres://nobody:nothing@127.0.0.1:1/none" });
    expect(await away.ended).toBe(1);
    expect(away.output.stderr).toBe("The database that DATABASE_URL names does not answer.\n");
    const empty = runMain({ DATABASE_URL: database.url.replace(/[^/]*$/, "postgres") });
    expect(await empty.ended).toBe(1);
    expect(empty.output.stderr).toBe("The database has no KeyGate tables yet. Run: npm run migrate\n");
  });
});
