import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "@keygate/shared/secret";
import { afterEach, describe, expect, it } from "vitest";
import { azureOpenAi } from "../src/vendors/azure-openai/adapter.ts";
import { failureOf, startWorld, type World } from "./azure-openai-support.ts";

const variables: string[] = [];
const setVariable = (name: string, value: string) => {
  variables.push(name);
  process.env[name] = value;
};
const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const name of variables.splice(0)) delete process.env[name];
  for (const cleanUp of cleanUps.splice(0)) await cleanUp();
});

const secret = (text: string) => ({ adminKey: new Secret(text) });
const read = (world: World, client: unknown) => failureOf(world.job({}, client).run("provision"));
const issued = (world: World) => (world.entra.books() as { tokens_issued: { how: string }[] }).tokens_issued;

describe("signing in", () => {
  it("asks for one token however many jobs begin at once", async () => {
    const world = await startWorld();
    await Promise.all(Array.from({ length: 4 }, () => world.provisioned()));
    expect(issued(world)).toHaveLength(1);
  });

  it.each([
    ["a wrong secret", {}, "wrong", "client_secret is wrong"],
    ["an unknown client", { client_id: "11111111-1111-1111-1111-111111111111" }, null, "client_id is not known"],
    ["an unknown tenant", { tenant_id: "11111111-1111-1111-1111-111111111111" }, null, "tenant_id is not known"],
    ["a secret among the settings, which goes first", { client_secret: "wrong" }, null, "client_secret is wrong"],
  ])("names what is wrong with %s, and is a matter of credentials", async (_, extra, wrong, words) => {
    const world = await startWorld();
    const failure = await read(world, world.connect(extra, wrong ? secret(wrong) : {}));
    expect(failure).toMatchObject({ kind: "credentials", nothingHappened: true });
    expect(failure.detail).toContain(words);
    expect(JSON.stringify([failure, failure.facts])).not.toContain("sim~");
    expect(world.arm.calls()).toEqual([]);
  });

  it("names an expired secret, and works again when there is a new one", async () => {
    const world = await startWorld();
    world.entra.mergeSettings({ client_secret_expired: true });
    expect((await read(world, world.client)).detail).toContain("client_secret has expired");
    world.entra.mergeSettings({ client_secret_expired: false });
    expect(await (await world.provisioned()).use()).toBe("accepted");
  });

  it.each([
    ["is not there", { authority_host: "https://127.0.0.1:1" }, null],
    ["breaks off", {}, { type: "drop" }],
    ["has an outage", {}, { type: "respond", status: 503 }],
    ["answers nonsense", {}, { type: "respond", status: 200, text: "<html>" }],
    ["does not answer", {}, { type: "hang" }],
  ] as const)("is tried again when Entra %s, as nothing was done", async (_, extra, effect) => {
    const world = await startWorld();
    if (effect) world.entra.faults.add({ match: {}, times: 0, when: "before", do: effect });
    const failure = await failureOf(world.job({}, world.connect(extra)).once("provision"));
    expect(failure).toMatchObject({ code: "vendor.unavailable", nothingHappened: true });
    if (Object.keys(extra).length > 0) return;
    world.entra.faults.clear();
    expect(await (await world.provisioned()).use()).toBe("accepted");
  });

  it("waits when Entra throttles", async () => {
    const world = await startWorld();
    const body = { error: "temporarily_unavailable", error_description: "AADSTS90055" };
    world.entra.faults.add({ match: { path: "token" }, when: "before", do: { type: "respond", status: 429, body } });
    expect((await failureOf(world.job().once("provision"))).kind).toBe("rate_limited");
  });

  it("takes a token that Azure refuses for the credential's fault only when a new one is refused too", async () => {
    const world = await startWorld();
    await world.provisioned();
    const respond = { type: "respond", status: 401, body: { error: { code: "InvalidAuthenticationToken" } } } as const;
    world.arm.faults.add({ match: {}, when: "before", do: respond });
    await world.provisioned();
    expect(issued(world)).toHaveLength(2);
    world.arm.faults.add({ match: {}, times: 2, when: "before", do: respond });
    expect((await failureOf(world.job().once("provision"))).kind).toBe("credentials");
  });

  it("works by workload identity, with the token that Kubernetes puts into a file", async () => {
    const world = await startWorld();
    const directory = await mkdtemp(join(tmpdir(), "keygate-test-"));
    cleanUps.push(() => rm(directory, { recursive: true }));
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { iss: "https://issuer", sub: "keygate", aud: "api://AzureADTokenExchange", exp: 4_000_000_000 };
    await writeFile(join(directory, "token"), `${part({ alg: "RS256" })}.${part(claims)}.c2ln`);
    setVariable("AZURE_FEDERATED_TOKEN_FILE", join(directory, "token"));
    for (const adminKey of ["", "workload-identity"]) {
      await world.job({}, world.connect({}, secret(adminKey))).run("provision");
    }
    expect(issued(world).map(({ how }) => how)).toEqual(["assertion", "assertion"]);
  });

  it("works by managed identity, with the token that the machine hands out", async () => {
    const world = await startWorld();
    const { tokens, credential } = world.fixture.azure;
    const asked: string[] = [];
    const server = createServer((req, res) => {
      asked.push(String(req.headers["x-identity-header"]));
      const access_token = tokens.issue(credential, world.arm.url, world.arm.now(), 3_600);
      const expires_on = Math.floor(Date.now() / 1_000) + 3_600;
      res.setHeader("content-type", "application/json");
      res.end(JSON.stringify({ access_token, expires_on, resource: world.arm.url, token_type: "Bearer" }));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUps.push(() => server.close());
    setVariable("IDENTITY_ENDPOINT", `http://127.0.0.1:${(server.address() as AddressInfo).port}/msi/token`);
    setVariable("IDENTITY_HEADER", "header");
    for (const adminKey of ["", "managed-identity"]) {
      await world.job({}, world.connect({}, secret(adminKey))).run("provision");
    }
    expect(asked).toContain("header");
    expect(issued(world)).toEqual([]);
  });
});

describe("an authority on this machine that speaks plain HTTP", () => {
  /** As far as a token goes: knows one scope, counts what it is asked, and can be told to misbehave. */
  async function startAuthority(world: World, scope: string) {
    const { tokens, credential } = world.fixture.azure;
    const asked: URLSearchParams[] = [];
    const behaviour = { text: "", status: 0 };
    const server = createServer(async (req, res) => {
      const form = new URLSearchParams(Buffer.concat(await req.toArray()).toString("utf8"));
      asked.push(form);
      const answer = (status: number, body: object | string) => {
        res.writeHead(status, { "content-type": "application/json" });
        res.end(typeof body === "string" ? body : JSON.stringify(body));
      };
      if (behaviour.status) return answer(behaviour.status, behaviour.text);
      if (req.method !== "POST" || req.url !== `/${credential.tenantId}/oauth2/v2.0/token`) return answer(404, {});
      if (form.get("scope") !== scope) return answer(400, { error: "invalid_scope", error_codes: [70011] });
      if (form.get("client_secret") !== credential.clientSecret) {
        return answer(401, { error: "invalid_client", error_codes: [7000215] });
      }
      const access_token = tokens.issue(credential, scope, world.arm.now(), 3_600);
      return answer(200, { token_type: "Bearer", expires_in: 3_599, ext_expires_in: 3_599, access_token });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUps.push(() => server.close());
    return { authority_host: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, behaviour };
  }

  it("gives a token for one form, which serves until Azure does not take it any more", async () => {
    const world = await startWorld();
    const { authority_host, asked } = await startAuthority(world, `${world.arm.url}/.default`);
    const client = world.connect({ authority_host });
    await world.job({}, client).run("provision");
    expect(asked).toHaveLength(1);
    expect(Object.fromEntries(asked[0] ?? [])).toEqual({
      grant_type: "client_credentials",
      client_id: world.fixture.azure.credential.clientId,
      client_secret: world.fixture.azure.credential.clientSecret,
      scope: `${world.arm.url}/.default`,
    });
    world.arm.advanceClock(2 * 3_600_000);
    await world.job({}, client).run("provision");
    expect(asked).toHaveLength(2);
    expect(issued(world)).toEqual([]);
  });

  it("is asked for the public cloud where it does not know the Resource Manager's own address", async () => {
    const world = await startWorld();
    const { authority_host, asked } = await startAuthority(world, "https://management.azure.com/.default");
    const client = world.connect({ authority_host });
    await world.job({}, client).run("provision");
    world.arm.advanceClock(2 * 3_600_000);
    await world.job({}, client).run("provision");
    expect(asked.map((form) => form.get("scope"))).toEqual([
      `${world.arm.url}/.default`,
      "https://management.azure.com/.default",
      "https://management.azure.com/.default",
    ]);
  });

  it.each([
    ["a wrong secret", {}, secret("wrong"), "credentials", "client_secret is wrong"],
    ["an outage", { status: 503, text: "<html>" }, {}, "retryable", "could not be reached"],
    ["nonsense", { status: 200, text: '{"access_token":' }, {}, "retryable", "made no sense"],
    ["too much to do", { status: 429, text: "{}" }, {}, "rate_limited", "slow down"],
  ] as const)("is told apart: %s", async (_, misbehaviour, over, kind, words) => {
    const world = await startWorld();
    const { authority_host, behaviour } = await startAuthority(world, `${world.arm.url}/.default`);
    Object.assign(behaviour, misbehaviour);
    const failure = await failureOf(world.job({}, world.connect({ authority_host }, over)).once("provision"));
    expect(failure).toMatchObject({ kind, nothingHappened: true, detail: expect.stringContaining(words) });
    expect(world.arm.calls()).toEqual([]);
  });
});

describe("the check", () => {
  const check = (client: unknown) => azureOpenAi.check(client);
  const failed = ({ findings }: { findings: { name: string; ok: boolean }[] }) =>
    findings.filter(({ ok }) => !ok).map(({ name }) => name);

  it("finds a good configuration good, and changes nothing", async () => {
    const world = await startWorld();
    const report = await check(world.client);
    expect(report).toMatchObject({ ok: true, missing: [] });
    expect(report.findings.map(({ name }) => name)).toContain("quota in westeurope");
    expect(world.arm.calls().every(({ method }) => method === "GET")).toBe(true);
    expect(world.violations()).toEqual([]);
  });

  it.each([
    ["the group", { missing_roles: ["group_read"] }, false, "resourceGroups/read"],
    ["accounts", { missing_roles: ["list_keys"] }, false, "Microsoft.CognitiveServices/accounts/listKeys/action"],
    ["usages", { missing_roles: ["usages"] }, true, "Usages Reader"],
    ["purging", { missing_roles: ["purge"] }, true, "deletedAccounts/delete"],
    ["deleted accounts", { missing_roles: ["deleted_read"] }, true, "deletedAccounts/read"],
  ])("names the right that is missing for %s", async (_, settings, ok, words) => {
    const world = await startWorld(settings);
    const report = await check(world.client);
    expect(report.ok).toBe(ok);
    expect(report.missing.join()).toContain(words);
  });

  it.each([
    ["a provider that is not registered", { registered: false }, "provider"],
    ["a lock", { lock: "CanNotDelete" }, "locks"],
  ])("tells of %s", async (_, settings, name) => {
    const report = await check((await startWorld(settings)).client);
    expect(report.ok).toBe(false);
    expect(failed(report)).toContain(name);
  });

  it("names a resource group that does not exist, a full location, and what the credential may not ask", async () => {
    const world = await startWorld({
      missing_roles: ["permissions_read", "locks_read"],
      quota_limits: { "swedencentral/OpenAI.S0.AccountCount": 0 },
    });
    const report = await check(world.connect({ resource_group: "nowhere" }));
    expect(report.missing).toEqual(["resource_group"]);
    expect(failed(report)).toEqual(["resource group", "accounts", "quota in swedencentral"]);
  });

  it.each([400, 404, 405])(
    "does not hold it against the credential that Azure answers %i where it asks for rights",
    async (status) => {
      const world = await startWorld();
      const match = { path: "Microsoft.Authorization" };
      world.arm.faults.add({ match, times: 0, when: "before", do: { type: "respond", status, text: "" } });
      expect(await check(world.client)).toMatchObject({ ok: true, missing: [] });
    },
  );

  it("stops at a credential that gives no token", async () => {
    const world = await startWorld();
    const report = await check(world.connect({}, secret("wrong")));
    expect(report.findings).toMatchObject([{ name: "sign-in", ok: false }]);
    expect(report.ok).toBe(false);
  });
});
