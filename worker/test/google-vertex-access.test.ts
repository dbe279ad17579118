import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { loadConfig } from "@keygate/shared/config";
import { Secret } from "@keygate/shared/secret";
import { describe, expect, it } from "vitest";
import { googleVertex } from "../src/vendors/google-vertex/adapter.ts";
import { readSettings } from "../src/vendors/google-vertex/settings.ts";
import { createTokenSource } from "../src/vendors/google-vertex/tokens.ts";
import { exchangeKeyFile } from "./fixtures/google-vertex.ts";
import { startWorld } from "./google-vertex-support.ts";

const scope = "https://www.googleapis.com/auth/cloud-platform";

describe("the admin credential", () => {
  it("is refused in words when Google does not know its key any more, and nothing happened", async () => {
    const world = await startWorld();
    await world.google.main.control("set_admin", { refused: true });
    await expect(world.job().run("provision")).rejects.toMatchObject({
      code: "vendor.refused_us",
      nothingHappened: true,
      detail: expect.stringContaining("invalid_grant"),
    });
    await world.google.main.control("set_admin", { refused: false });
    await world.provisioned();
  });

  it("gets a new token once when the old one ended early, and says so when that does not help", async () => {
    const world = await startWorld();
    await world.provisioned();
    world.google.advance(2 * 3_600_000);
    await world.provisioned();
    await world.google.main.control("set_admin", { refused: true });
    await expect(world.job().run("provision")).rejects.toMatchObject({ code: "vendor.refused_us" });
  });

  it("shares one exchange among all who need a token at the same time", async () => {
    const world = await startWorld();
    await Promise.all(Array.from({ length: 20 }, () => googleVertex.check(world.client)));
    const tokens = world.google.servers[1]?.calls() ?? [];
    expect(tokens.length).toBeLessThan(8);
    expect(tokens.every(({ path }) => path === "/token")).toBe(true);
  });

  it("is tried again later when the token endpoint does not answer, without the library trying by itself", async () => {
    const world = await startWorld();
    const tokens = world.google.servers[1];
    const before = tokens?.calls().length ?? 0;
    tokens?.faults.add({ match: {}, times: 1, when: "before", do: { type: "respond", status: 503, body: {} } });
    await expect(world.job().once("provision")).rejects.toMatchObject({
      code: "vendor.unavailable",
      nothingHappened: true,
    });
    tokens?.faults.add({ match: {}, times: 1, when: "before", do: { type: "drop" } });
    await expect(world.job().once("provision")).rejects.toMatchObject({ code: "vendor.unavailable" });
    expect((tokens?.calls().length ?? 0) - before).toBe(2);
  });

  it.each([
    ["without a token", { status: 200, body: { token_type: "Bearer" } }, "vendor.unavailable"],
    ["that is a web page", { status: 200, text: "<h1>Sign in</h1>" }, "vendor.unavailable"],
    ["about a rate", { status: 429, body: {} }, "vendor.throttled"],
    ["in the shape of Google's other APIs", { status: 403, body: { error: { code: 403 } } }, "vendor.refused_us"],
    ["that is empty", { status: 400, text: "" }, "vendor.refused_us"],
  ])("takes an answer %s of the token endpoint for what it is", async (_, answer, code) => {
    const world = await startWorld();
    const tokens = world.google.servers[1];
    tokens?.faults.add({ match: {}, when: "before", do: { type: "respond", ...answer } });
    await expect(world.job().once("provision")).rejects.toMatchObject({ code, nothingHappened: true });
    await world.job().once("provision");
  });

  it("works with tokens whose end the endpoint does not say", async () => {
    const world = await startWorld();
    const token = await exchangeKeyFile(world.google.settings.adminKey, scope, `${world.google.servers[1]?.url}/token`);
    const body = { access_token: token, token_type: "Bearer" };
    world.google.servers[1]?.faults.add({
      match: {},
      times: 0,
      when: "before",
      do: { type: "respond", status: 200, body },
    });
    await world.job().once("provision");
    expect(world.google.liveKeys()).toHaveLength(1);
  });

  it("never shows in an error", async () => {
    const world = await startWorld();
    await world.google.main.control("set_admin", { refused: true });
    const error: unknown = await world
      .job()
      .once("provision")
      .catch((each: unknown) => each);
    expect(inspect(error, { depth: 10 })).not.toMatch(/PRIVATE|assertion|eyJ/);
  });

  it.each([
    ["no JSON", "/etc/keygate/google.json", /not its path/],
    ["another kind of file", JSON.stringify({ type: "authorized_user" }), /neither/],
    ["a file without a key", JSON.stringify({ type: "service_account", client_email: "a@b.c" }), /private_key/],
    [
      "a key that cannot be read",
      JSON.stringify({ type: "service_account", client_email: "a@b.c", private_key: "cut" }),
      /cannot be read/,
    ],
    ["a configuration that sends tokens elsewhere", external({ token_url: "https://evil.example/t" }), /evil\.example/],
    ["a configuration that runs a program", external({ credential_source: { executable: {} } }), /program/],
  ])("is refused as %s", async (_, adminKey, words) => {
    const { google } = await startWorld();
    const settings = { ...google.settings, adminKey: new Secret(adminKey) };
    expect(() => readSettings(settings)).toThrow(words);
  });

  it("may be the machine's own identity where project and location are configured", () => {
    const strong = (n: number) =>
      Buffer.from(Array.from({ length: 48 }, (_, i) => (i * 37 + n) % 251)).toString("base64");
    const { vendors } = loadConfig({
      DATABASE_URL: "postgres://x/y",
      SECRET_KEY: strong(1),
      ENCRYPTION_KEY: strong(2),
      GCP_PROJECT_ID: "acme-llm",
      GCP_REGION: "global",
    });
    const given = vendors.google_vertex;
    const settings = readSettings({
      ...{ vendor: "google_vertex", version: 1, orgId: null, simulated: false },
      adminKey: given?.adminKey ?? new Secret("not configured"),
      extra: given?.extra ?? {},
    });
    expect(settings).toMatchObject({
      credential: { kind: "attached" },
      vertexUrl: "https://aiplatform.googleapis.com",
      serviceUsageUrl: "https://serviceusage.googleapis.com",
      tokenUrl: "https://oauth2.googleapis.com/token",
    });
  });
});

function external(over: Record<string, unknown>): string {
  return JSON.stringify({
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: "https://sts.googleapis.com/v1/token",
    credential_source: { file: "/dev/null" },
    ...over,
  });
}

interface Exchange {
  path: string;
  authorization: string | undefined;
  body: string;
}

/** A token service that answers by path, and a file with the machine's own token. */
async function startExchange(answers: Record<string, unknown>) {
  const dir = await mkdtemp(join(tmpdir(), "keygate-test-"));
  const file = join(dir, "token");
  await writeFile(file, "the machine's token");
  const asked: Exchange[] = [];
  const server = createServer((req, res) => {
    let body = "";
    req.on("data", (chunk) => {
      body += chunk;
    });
    req.on("end", () => {
      const path = req.url ?? "";
      asked.push({ path, authorization: req.headers.authorization, body });
      res.writeHead(path in answers ? 200 : 404, { "content-type": "application/json" });
      res.end(JSON.stringify(answers[path] ?? {}));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    file,
    asked,
    tokens(over: Record<string, unknown>) {
      const text = external({ token_url: `${url}/v1/token`, credential_source: { file }, ...over });
      const { credential, tokenUrl } = readSettings({
        ...{ vendor: "google_vertex", version: 1, orgId: null, simulated: false, adminKey: new Secret(text) },
        extra: { project_id: "acme-llm", token_url: `${url}/token` },
      });
      return createTokenSource(credential, tokenUrl, 2_000);
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await rm(dir, { recursive: true });
    },
  };
}

const federated = { access_token: "ya29.federated", expires_in: 3600, token_type: "Bearer" };

describe("workload identity", () => {
  it("exchanges the machine's token through Google's own library", async () => {
    await using exchange = await startExchange({ "/v1/token": federated });
    const tokens = exchange.tokens({});
    expect(await tokens.get()).toBe("ya29.federated");
    expect(await tokens.get()).toBe("ya29.federated");
    expect(exchange.asked.map(({ body }) => new URLSearchParams(body).get("subject_token"))).toEqual([
      "the machine's token",
    ]);
  });

  it("acts as a service account where the configuration names one", async () => {
    const path = "/v1/projects/-/serviceAccounts/keygate-admin@acme-llm.iam.gserviceaccount.com:generateAccessToken";
    const expireTime = new Date(Date.now() + 3_600_000).toISOString();
    await using exchange = await startExchange({
      "/v1/token": federated,
      [path]: { accessToken: "ya29.impersonated", expireTime },
    });
    const tokens = exchange.tokens({ service_account_impersonation_url: `${exchange.url}${path}` });
    expect(await tokens.get()).toBe("ya29.impersonated");
    expect(exchange.asked).toMatchObject([{ path: "/v1/token" }, { path, authorization: "Bearer ya29.federated" }]);
    expect(exchange.asked[1]?.body).toContain("https://www.googleapis.com/auth/cloud-platform");
  });

  it("is refused in words when the machine's token is not taken, and shows nothing of it", async () => {
    await using exchange = await startExchange({});
    const error: unknown = await exchange
      .tokens({})
      .get()
      .catch((each: unknown) => each);
    expect(error).toMatchObject({ code: "vendor.refused_us", nothingHappened: true });
    expect(inspect(error, { depth: 10 })).not.toContain("the machine's token");
  });
});

describe("the check", () => {
  it("finds nothing wrong where everything is granted, and changes nothing", async () => {
    const world = await startWorld();
    const before = world.books().events.length;
    const report = await googleVertex.check(world.client);
    expect(report).toMatchObject({ ok: true, missing: [] });
    const changes = world
      .books()
      .events.slice(before)
      .filter(({ event }) => event !== "token.issued");
    expect(changes).toEqual([]);
    expect(world.violations()).toEqual([]);
  });

  it("names each permission, API, policy and role that is missing", async () => {
    const world = await startWorld(
      {
        admin_lacks: ["iam.serviceAccountKeys.create", "resourcemanager.projects.setIamPolicy", "iam.roles.create"],
        disabled_services: ["aiplatform.googleapis.com"],
        constraints: ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyUpload"],
      },
      { role: false },
    );
    const report = await googleVertex.check(world.client);
    expect(report.ok).toBe(false);
    expect(report.missing).toEqual([
      "iam.serviceAccountKeys.create",
      "resourcemanager.projects.setIamPolicy",
      "aiplatform.googleapis.com",
      "an exception from iam.managed.disableServiceAccountKeyUpload",
      "projects/keygate-sim/roles/keygateVertexCaller with aiplatform.endpoints.predict",
    ]);
  });

  it("does not call a gateway broken that serves IAM and not its neighbours", async () => {
    const world = await startWorld();
    for (const path of ["/services:batchGet$", ":getEffectivePolicy$"]) {
      const answer = { type: "respond", status: 404, text: "<h1>nothing here</h1>" } as const;
      world.google.main.faults.add({ match: { path }, times: 0, when: "before", do: answer });
    }
    const report = await googleVertex.check(world.client);
    expect(report).toMatchObject({ ok: true, missing: [] });
    expect(report.findings.find(({ name }) => name === "APIs")?.detail).toContain("Not looked at");
  });

  it("tells an API that is not enabled from a permission that is missing", async () => {
    const world = await startWorld({ disabled_services: ["iam.googleapis.com", "orgpolicy.googleapis.com"] });
    const report = await googleVertex.check(world.client);
    expect(report).toMatchObject({ ok: false, missing: ["iam.googleapis.com"] });
    const policies = report.findings.find(({ name }) => name === "organization policies");
    // Only the check needs that API: nothing is wrong where it is off, as it is in most projects.
    expect(policies).toMatchObject({ ok: true, detail: "Not looked at: orgpolicy.googleapis.com is not enabled." });
    await expect(world.job().run("provision")).rejects.toMatchObject({
      code: "vendor.refused_us",
      detail: expect.stringContaining("Enable the API iam.googleapis.com"),
    });
  });

  it("warns of a role that is far too wide, and does without rights that only help", async () => {
    const world = await startWorld({
      admin_lacks: ["orgpolicy.policy.get", "serviceusage.services.get"],
      constraints: ["iam.disableServiceAccountKeyUpload"],
    });
    const wide = world.connect({ extra: { ...world.google.settings.extra, role: "roles/aiplatform.user" } });
    const report = await googleVertex.check(wide);
    expect(report.ok).toBe(true);
    const words = report.findings.map(({ detail }) => detail).join("\n");
    expect(words).toContain("Warning: roles/aiplatform.user");
    expect(words).toContain("Not looked at: that needs orgpolicy.policy.get.");
  });

  it("names a role that was deleted, whose name stays blocked, and no key is made under it", async () => {
    const world = await startWorld();
    const body = { name: "projects/keygate-sim/roles/keygateVertexCaller", deleted: true };
    world.google.main.faults.add({
      match: { method: "GET", path: "/roles/" },
      times: 0,
      when: "before",
      do: { type: "respond", status: 200, body },
    });
    const report = await googleVertex.check(world.client);
    expect(report).toMatchObject({ ok: false, missing: [`undelete ${body.name}`] });
    await expect(world.job().run("provision")).rejects.toMatchObject({ code: "vendor.refused" });
    expect(world.google.leftovers()).toEqual([]);
  });

  it("says what is wrong with the credential and looks no further", async () => {
    const world = await startWorld();
    await world.google.main.control("set_admin", { refused: true });
    const report = await googleVertex.check(world.client);
    expect(report).toMatchObject({ ok: false, findings: [{ name: "credential", ok: false }] });
  });
});
