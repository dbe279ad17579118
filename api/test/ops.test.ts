import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeyring } from "@keygate/shared/crypto/envelope";
import { Secret } from "@keygate/shared/secret";
import { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import root from "../../package.json" with { type: "json" };
import { createApp } from "../src/app.ts";
import type { ApiDeps } from "../src/deps.ts";
import { dashboardPages } from "../src/ops/pages.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

describe("health", () => {
  test("says that the process runs and checks nothing", async () => {
    const answer = await api.call("GET", "~/health", { token: null });
    expect(answer.body).toEqual({ status: "healthy", service: "keygate", version: root.version });
  });

  const readyWith = async (change: Partial<ApiDeps>) => {
    const response = await createApp({ ...api.deps, ...change }).request("/ready");
    return { status: response.status, body: await response.json() };
  };

  test("readiness is 200 when database, queue and credentials are there", async () => {
    expect(await readyWith({})).toEqual({
      status: 200,
      body: { status: "ready", checks: { database: "ok", queue: "ok", credentials: "ok" } },
    });
  });

  test("readiness is 503 and names what failed, within two seconds each", async () => {
    const startedAt = performance.now();
    const never = new Promise<never>(() => {});
    const keyring = createKeyring([new Secret("a key that sealed nothing of what is stored")]);
    const answer = await readyWith({ keyring, queues: { ...api.deps.queues, ping: () => never } });
    expect(answer).toEqual({
      status: 503,
      body: {
        status: "not_ready",
        checks: { database: "ok", queue: "failed", credentials: "failed" },
        unreadable: ["vendor credential openai"],
      },
    });
    expect(performance.now() - startedAt).toBeLessThan(3_500);
  });
});

describe("documentation", () => {
  test("the OpenAPI document is 3.1 and names every call of the design with its schemas", async () => {
    const { body } = await api.call("GET", "~/openapi.json", { token: null });
    expect(body.openapi).toBe("3.1.0");
    expect(body.info).toMatchObject({ title: "KeyGate", version: root.version });
    expect(body.components.securitySchemes).toEqual({
      bearer: { type: "http", scheme: "bearer", bearerFormat: "JWT" },
    });
    const calls = Object.entries(body.paths).flatMap(([path, item]) =>
      Object.keys(item as object).map((method) => `${method.toUpperCase()} ${path.replace("/api/v1", "")}`),
    );
    for (const call of published) expect(calls).toContain(call);
    const provision = body.paths["/api/v1/keys/provision"].post;
    expect(provision.requestBody.content["application/json"].schema).toEqual({
      $ref: "#/components/schemas/ProvisionRequest",
    });
    expect(body.components.schemas.ProvisionRequest.additionalProperties).toBe(false);
    expect(body.paths["/api/v1/jobs/{id}/retry"].post.requestBody.required).toBe(false);
    expect(provision.requestBody.required).toBe(true);
    expect(body.components.schemas.CreateDeveloper.properties.name.pattern).toBe("^[^\\p{Cc}\\p{Cs}]*$");
    expect(body.components.schemas.KeyDetail.properties.instructions).toEqual({
      anyOf: [{ $ref: "#/components/schemas/Instructions" }, { type: "null" }],
    });
    const references = [...JSON.stringify(body).matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(
      (match) => match[1],
    );
    for (const name of references) expect(body.components.schemas).toHaveProperty(String(name));
  });

  test("Swagger UI and ReDoc load nothing from other hosts", async () => {
    for (const page of ["/docs", "/redoc"]) {
      const answer = await api.call("GET", `~${page}`, { token: null });
      expect(answer.status).toBe(200);
      expect(answer.headers.get("content-type")).toContain("text/html");
      expect(answer.headers.get("content-security-policy")).toContain("default-src 'self'");
      expect(answer.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
      for (const [, path] of answer.text.matchAll(/(?:src|href|spec-url)="([^"]+)"/g)) {
        expect((await api.call("GET", `~/${path}`, { token: null })).status, path).toBe(200);
      }
    }
    const bundle = await api.call("GET", "~/docs/assets/swagger-ui-bundle.js", { token: null });
    expect(bundle.headers.get("content-type")).toContain("javascript");
    expect((await api.call("GET", "~/docs/assets/../../package.json", { token: null })).status).toBe(404);
  });
});

describe("the dashboard's pages", () => {
  test("are a few links where it was not built", async () => {
    const response = await dashboardPages(join(tmpdir(), "keygate-no-such-folder")).request("/");
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('<a href="docs">');
  });

  test("come from its build, every page of its router being the same file; what is missing stays missing", async () => {
    const dist = mkdtempSync(join(tmpdir(), "keygate-dist-"));
    try {
      mkdirSync(join(dist, "assets"));
      writeFileSync(join(dist, "index.html"), "<title>dashboard</title>");
      writeFileSync(join(dist, "assets", "main-1a2b.js"), "export {};");
      const app = new Hono().route("/", dashboardPages(dist));
      for (const path of ["/", "/keys", "/claim/job-1"]) {
        const response = await app.request(path);
        expect(await response.text(), path).toBe("<title>dashboard</title>");
        expect(response.headers.get("content-security-policy"), path).toContain("default-src 'self'");
      }
      const script = await app.request("/assets/main-1a2b.js");
      expect(script.headers.get("cache-control")).toContain("immutable");
      for (const path of ["/assets/gone.js", "/api/v1/nothing", "/..%2f..%2fetc/passwd.txt"]) {
        expect((await app.request(path)).status, path).toBe(404);
      }
      expect((await app.request("/keys", { method: "POST" })).status).toBe(404);
    } finally {
      rmSync(dist, { recursive: true });
    }
  });
});

describe("the queue board", () => {
  const basic = (email: string, password: string) => ({
    authorization: `Basic ${Buffer.from(`${email}:${password}`).toString("base64")}`,
  });
  const board = (path: string, headers: Record<string, string>, method = "GET") =>
    api.call(method, `~/queues${path}`, { token: null, headers });

  test("asks for a sign-in as browsers know it; a bearer token or a wrong password does not open it", async () => {
    for (const headers of [{}, { authorization: `Bearer ${api.owner.token}` }, basic(api.owner.email, "wrong")]) {
      const answer = await board("", headers);
      expect(answer.status).toBe(401);
      expect(answer.headers.get("www-authenticate")).toContain('Basic realm="KeyGate queues"');
    }
  });

  test("shows every queue after it, and remembers the sign-in in a cookie for the board alone", async () => {
    const answer = await board("", basic(api.admin.email, api.admin.password));
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('<base href="/queues/"');
    expect(answer.headers.get("content-security-policy")).toContain("default-src 'self'");
    for (const [, path] of answer.text.matchAll(/(?:src|href)="(static\/[^"]+)"/g)) {
      expect((await board(`/${path}`, basic(api.admin.email, api.admin.password))).status, path).toBe(200);
    }
    const cookie = answer.headers.get("set-cookie") ?? "";
    expect(cookie).toMatch(/Path=\/queues; HttpOnly; SameSite=Strict/);
    const [pair = ""] = cookie.split(";");
    const queues = await board("/api/queues", { cookie: pair });
    expect(queues.body.queues.map((queue: { name: string }) => queue.name)).toEqual(
      expect.arrayContaining(["vendor-openai", "maintenance"]),
    );
    const token = pair.split("=")[1] ?? "";
    expect((await api.call("GET", "/auth/me", { token })).status).toBe(401);
    const { body } = await api.call("GET", `/audit?action=auth.login&actor=${api.admin.email}`);
    expect(new Set(body.map((event: { details: { door: string } }) => event.details.door))).toEqual(
      new Set(["queues"]),
    );
  });

  test("lets an admin change queues, and neither an auditor nor another site look or change", async () => {
    const asAdmin = basic(api.admin.email, api.admin.password);
    const asAuditor = basic(api.auditor.email, api.auditor.password);
    const pause = "/api/queues/vendor-openai/pause";
    for (const path of ["", "/", "/api/queues"]) {
      const refused = await board(path, asAuditor);
      expect([path, refused.status]).toEqual([path, path === "/" ? 308 : 403]);
      expect(refused.text).not.toContain("vendor-openai");
    }
    expect((await board(pause, asAuditor, "PUT")).status).toBe(403);
    const crossSite = { ...asAdmin, "sec-fetch-site": "cross-site" };
    expect((await board(pause, crossSite, "PUT")).status).toBe(403);
    expect((await board(pause, { ...asAdmin, origin: "https://evil.test" }, "PUT")).status).toBe(403);
    expect((await board(pause, { ...asAdmin, origin: "null" }, "PUT")).status).toBe(403);
    expect((await board(pause, { ...asAdmin, "sec-fetch-site": "same-origin" }, "PUT")).status).toBe(200);
    expect((await board("/api/queues/vendor-openai/resume", asAdmin, "PUT")).status).toBe(200);
  });

  test("throttles guesses like the sign-in does", async () => {
    const user = await api.addUser("admin");
    for (let i = 0; i < 5; i += 1) expect((await board("", basic(user.email, "wrong"))).status).toBe(401);
    expect((await board("", basic(user.email, user.password))).status).toBe(429);
  });
});

const published = [
  "GET /health",
  "GET /ready",
  "POST /auth/login",
  "GET /auth/me",
  "POST /vendors/configure",
  "GET /vendors",
  "POST /vendors/{vendor}/check",
  "DELETE /vendors/{vendor}",
  "POST /developers",
  "GET /developers",
  "GET /developers/{id}",
  "PATCH /developers/{id}",
  "PUT /developers/{id}/role",
  "DELETE /developers/{id}",
  "POST /keys/provision",
  "GET /keys",
  "GET /keys/{id}",
  "POST /keys/{id}/revoke",
  "POST /keys/{id}/rotate",
  "POST /keys/revoke",
  "GET /jobs",
  "GET /jobs/{id}",
  "GET /jobs/{id}/events",
  "POST /jobs/{id}/claim",
  "POST /jobs/{id}/input",
  "POST /jobs/{id}/retry",
  "POST /jobs/{id}/cancel",
  "GET /audit",
  "GET /audit/verify",
  "GET /audit/export",
  "GET /workspaces",
  "POST /workspaces",
  "GET /workspaces/{id}",
  "PUT /workspaces/{id}",
  "POST /workspaces/{id}/archive",
  "GET /workspaces/{id}/members",
  "POST /workspaces/{id}/members",
  "DELETE /workspaces/{id}/members/{dev}",
  "PUT /workspaces/{id}/members/{dev}/role",
  "GET /members",
  "POST /members/invite",
  "PUT /members/{id}/role",
  "POST /members/{id}/suspend",
  "GET /dashboard/stats",
];
