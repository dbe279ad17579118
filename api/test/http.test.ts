import { request } from "node:http";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness({
    env: {
      TRUSTED_PROXIES: "127.0.0.1,10.0.0.0/8",
      CORS_ORIGINS: "https://dashboard.acme.test",
      PUBLIC_URL: "https://keygate.acme.test",
    },
  });
});
afterAll(() => api?.close());

const mebibyte = 1024 * 1024;
const bytesOf = (length: number) => new TextEncoder().encode(`{"name":"${"x".repeat(length)}"}`);

/** A body in pieces, without a length that anybody could look at beforehand. */
function chunked(length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  return new ReadableStream({
    pull(controller) {
      if (left <= 0) return controller.close();
      controller.enqueue(new Uint8Array(Math.min(left, 64 * 1024)).fill(120));
      left -= 64 * 1024;
    },
  });
}

describe("bodies", () => {
  test("a body over 1 MiB is 413, whether it says its length or comes in pieces", async () => {
    const headers = { "content-type": "application/json" };
    for (const body of [bytesOf(2 * mebibyte), chunked(2 * mebibyte), chunked(20 * mebibyte)]) {
      const answer = await api.call("POST", "/developers", { body, headers });
      expect(answer.body).toMatchObject({ status: 413, code: "request.too_large" });
    }
    expect((await api.call("POST", "/developers", { body: bytesOf(mebibyte - 100), headers })).status).toBe(422);
  });

  test("a body that claims to be enormous is refused unread", async () => {
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${api.owner.token}`,
        "content-type": "application/json",
        "content-length": String(10 * 1024 * mebibyte),
      };
      const call = request(`${api.url}/api/v1/developers`, { method: "POST", headers }, (response) => {
        resolve(response.statusCode);
        call.destroy();
      });
      call.on("error", reject);
      call.write("{");
    });
    expect(status).toBe(413);
  });

  test("an empty body counts as an empty object", async () => {
    const answer = await api.call("POST", "/developers");
    expect(answer.body).toMatchObject({ status: 422, code: "request.invalid" });
    const typed = await api.call("POST", "/developers", { headers: { "content-type": "application/json" } });
    expect(typed.body.errors.map((one: { field: string }) => one.field)).toEqual(["name", "email"]);
  });

  test("what was wrong with the JSON is told by place, never by content", async () => {
    const body = '{"password": "hunter2-very-secret", oops}';
    const answer = await api.call("POST", "/auth/login", { body, token: null });
    expect(answer.body.detail).toMatch(/position \d+/);
    expect(answer.text + api.logLines.join("")).not.toContain("hunter2");
  });

  test("duplicate fields are harmless: the last one counts", async () => {
    const body = '{"name":"First","name":"Second","email":"twice@acme.test"}';
    expect((await api.call("POST", "/developers", { body })).body.name).toBe("Second");
  });

  test("JSON types with a charset or a suffix are understood", async () => {
    for (const [i, type] of ["application/json; charset=utf-8", "application/vnd.acme+json"].entries()) {
      const body = JSON.stringify({ name: "Ada", email: `type${i}@acme.test` });
      expect((await api.call("POST", "/developers", { body, headers: { "content-type": type } })).status).toBe(200);
    }
  });
});

describe("who is asking", () => {
  const ipOf = async (forwarded: string) => {
    const email = `${Math.random()}@acme.test`;
    const headers = { "x-forwarded-for": forwarded };
    const { body } = await api.call("POST", "/developers", { body: { name: "Ada", email }, headers });
    return (await api.call("GET", `/audit?resource_id=${body.id}`)).body[0].ip_address;
  };

  test("the address in the audit log is the last one that no trusted proxy wrote", async () => {
    expect(await ipOf("203.0.113.5")).toBe("203.0.113.5");
    expect(await ipOf("6.6.6.6, 203.0.113.5, 10.1.2.3")).toBe("203.0.113.5");
    expect(await ipOf("2001:db8::7")).toBe("2001:db8::7");
    expect(await ipOf("nonsense")).toBe("127.0.0.1");
  });
});

describe("headers", () => {
  test("every answer has a request id: the caller's when it is sane", async () => {
    const given = await api.call("GET", "/auth/me", { headers: { "x-request-id": "trace-42" } });
    expect(given.headers.get("x-request-id")).toBe("trace-42");
    const forged = await api.call("GET", "/auth/me", { headers: { "x-request-id": 'a" b' } });
    expect(forged.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    expect(api.logLines.some((line) => JSON.parse(line).requestId === "trace-42")).toBe(true);
  });

  test("no answer of the API is framed, sniffed or cached", async () => {
    const { headers } = await api.call("GET", "/developers");
    expect(headers.get("cache-control")).toBe("no-store");
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    expect(headers.get("content-security-policy")).toBe("default-src 'none'; frame-ancestors 'none'");
    expect(headers.get("strict-transport-security")).toBe("max-age=15552000");
  });

  test("pages of the configured origin may call, others may not", async () => {
    const preflight = (origin: string) =>
      api.call("OPTIONS", "/keys/provision", {
        token: null,
        headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization" },
      });
    const ours = await preflight("https://dashboard.acme.test");
    expect(ours.status).toBe(204);
    expect(ours.headers.get("access-control-allow-origin")).toBe("https://dashboard.acme.test");
    expect(ours.headers.get("access-control-allow-headers")).toContain("Idempotency-Key");
    const theirs = await preflight("https://evil.test");
    expect(theirs.headers.get("access-control-allow-origin")).toBeNull();
    const read = await api.call("GET", "/auth/me", { headers: { origin: "https://dashboard.acme.test" } });
    expect(read.headers.get("access-control-expose-headers")).toContain("Link");
    expect(read.headers.get("access-control-allow-credentials")).toBeNull();
  });
});

describe("what goes wrong inside", () => {
  test("is a bare 500 to the caller and a story in the log", async () => {
    await sql`alter table workspaces rename to workspaces_away`.execute(api.deps.db);
    const answer = await api.call("GET", "/workspaces", { headers: { "x-request-id": "broken-1" } });
    await sql`alter table workspaces_away rename to workspaces`.execute(api.deps.db);
    expect(answer.status).toBe(500);
    expect(answer.body).toEqual({
      type: "urn:keygate:problem:service.failed",
      title: "Something went wrong inside KeyGate",
      status: 500,
      detail: "Something went wrong inside KeyGate",
      code: "service.failed",
      instance: "/api/v1/workspaces",
    });
    const logged = api.logLines.map((line) => JSON.parse(line)).find((line) => line.requestId === "broken-1");
    expect(logged).toMatchObject({
      level: 50,
      msg: "api.problem",
      error: { message: expect.stringContaining("workspaces") },
    });
  });

  test("an unknown address is 404 as a problem, signed in or not where no sign-in is needed", async () => {
    expect((await api.call("GET", "/nowhere")).body).toMatchObject({ status: 404, code: "request.not_found" });
    expect((await api.call("GET", "~/nowhere.txt", { token: null })).body).toMatchObject({ status: 404 });
    expect((await api.call("GET", "/nowhere", { token: null })).status).toBe(401);
    expect((await api.call("POST", "~/health", { token: null })).headers.get("allow")).toBe("GET, HEAD");
  });

  test("HEAD answers like GET without a body", async () => {
    const answer = await api.call("HEAD", "/developers");
    expect([answer.status, answer.text]).toEqual([200, ""]);
    const asAuditor = await api.call("HEAD", "/developers", { token: api.auditor.token });
    expect(asAuditor.status).toBe(200);
  });
});
