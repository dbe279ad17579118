import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { type RunningAzure, startAzure } from "../src/azure.ts";
import { makeCertificate } from "../src/azure-certificate.ts";

let azure: RunningAzure;
beforeAll(async () => {
  azure = await startAzure();
});
afterEach(() => {
  azure.arm.reset();
  azure.entra.reset();
});
afterAll(() => azure.close());

async function askToken(form: Record<string, string>, tenant = azure.credential.tenantId) {
  const ca = await readFile(azure.caPath);
  const url = `${azure.entra.url}/${tenant}/oauth2/v2.0/token`;
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: Record<string, unknown> }>();
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  const req = request(url, { method: "POST", ca, headers }, (res) => {
    let text = "";
    res.on("data", (chunk) => {
      text += chunk;
    });
    res.on("end", () => resolve({ status: res.statusCode ?? 0, body: JSON.parse(text) }));
  });
  req.on("error", reject);
  req.end(new URLSearchParams(form).toString());
  return promise;
}

const bySecret = (more: Record<string, string> = {}) => ({
  grant_type: "client_credentials",
  client_id: azure.credential.clientId,
  client_secret: azure.credential.clientSecret,
  scope: "https://management.azure.com/.default",
  ...more,
});

function assertion(claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "RS256" })}.${part(claims)}.c2lnbmF0dXJl`;
}

const byAssertion = (claims: object) => ({
  grant_type: "client_credentials",
  client_id: azure.credential.clientId,
  client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
  client_assertion: assertion({ iss: "https://issuer", sub: "keygate", aud: "api://AzureADTokenExchange", ...claims }),
  scope: "https://management.azure.com/.default",
});

/** Runs a script in a Node of its own: NODE_EXTRA_CA_CERTS is read when a process starts, and only then. */
async function runNode(script: string, env: Record<string, string>): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: import.meta.dirname,
    env: { PATH: process.env.PATH ?? "", HOME: tmpdir(), ...env },
  });
  return stdout.trim();
}

const REAL_CLIENT = `
  import { ClientSecretCredential } from "@azure/identity";
  const { AZURE_TENANT_ID: tenant, AZURE_CLIENT_ID: id, AZURE_CLIENT_SECRET: secret } = process.env;
  const credential = new ClientSecretCredential(tenant, id, secret, {
    authorityHost: process.env.AZURE_AUTHORITY_HOST,
    disableInstanceDiscovery: true,
  });
  try {
    const { token } = await credential.getToken(process.env.SCOPE);
    const url = process.env.AZURE_RESOURCE_MANAGER_URL + "/subscriptions/" + process.env.AZURE_SUBSCRIPTION_ID +
      "/providers/Microsoft.CognitiveServices/accounts?api-version=2026-03-01";
    const answer = await fetch(url, { headers: { authorization: "Bearer " + token } });
    console.log(answer.status);
  } catch (error) {
    console.log(error.message);
  }
`;

describe("certificate", () => {
  it("is for the given hosts, signed by itself as its own authority", () => {
    const certificate = new X509Certificate(makeCertificate(["127.0.0.1", "localhost"]).cert);
    expect(certificate.subjectAltName).toBe("IP Address:127.0.0.1, DNS:localhost");
    expect(certificate.ca).toBe(true);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.checkIssued(certificate)).toBe(true);
    expect(certificate.validToDate.getTime()).toBeGreaterThan(Date.now() + 300 * 86_400_000);
  });

  it("is a valid one every time, whatever random bytes its serial number begins with", () => {
    for (let i = 0; i < 50; i += 1) {
      const certificate = new X509Certificate(makeCertificate(["127.0.0.1"]).cert);
      expect(certificate.checkIP("127.0.0.1")).toBe("127.0.0.1");
    }
  });
});

describe("the real client", () => {
  it.each(["https://management.azure.com/.default", "its own"])(
    "gets a token that ARM takes, for %s",
    async (scope) => {
      const SCOPE = scope === "its own" ? `${azure.arm.url}/.default` : scope;
      expect(await runNode(REAL_CLIENT, { ...azure.env, SCOPE })).toBe("200");
      expect(azure.entra.violations()).toEqual([]);
      expect(azure.arm.violations()).toEqual([]);
    },
  );

  it("is told why a wrong secret is refused", async () => {
    const env = { ...azure.env, AZURE_CLIENT_SECRET: "wrong", SCOPE: "https://management.azure.com/.default" };
    expect(await runNode(REAL_CLIENT, env)).toContain("AADSTS7000215");
  });

  it("refuses the server when it does not know its certificate", async () => {
    const { NODE_EXTRA_CA_CERTS: _, ...env } = azure.env;
    const said = await runNode(REAL_CLIENT, { ...env, SCOPE: "https://management.azure.com/.default" });
    expect(said).not.toBe("200");
    expect(azure.entra.calls()).toEqual([]);
  });
});

describe("tokens", () => {
  it("are given for the secret, in Entra's shape", async () => {
    const { status, body } = await askToken(bySecret());
    expect(status).toBe(200);
    expect(body).toMatchObject({ token_type: "Bearer", expires_in: 3_599, ext_expires_in: 3_599 });
  });

  it("are given for a workload's assertion, and not for one for another audience or out of time", async () => {
    const exp = Math.floor(Date.now() / 1_000) + 600;
    expect((await askToken(byAssertion({ exp }))).status).toBe(200);
    expect((await askToken(byAssertion({ exp, aud: "other" }))).body.error_codes).toEqual([700212]);
    expect((await askToken(byAssertion({ exp: exp - 1_200 }))).body.error_codes).toEqual([700024]);
    expect(azure.entra.violations()).toEqual([]);
  });

  it("are refused for a wrong or expired secret with 401 invalid_client, which is nobody's fault in the protocol", async () => {
    const wrong = await askToken(bySecret({ client_secret: "wrong" }));
    expect(wrong).toMatchObject({ status: 401, body: { error: "invalid_client", error_codes: [7000215] } });
    azure.entra.mergeSettings({ client_secret_expired: true });
    expect((await askToken(bySecret())).body).toMatchObject({ error: "invalid_client", error_codes: [7000222] });
    expect(azure.entra.violations()).toEqual([]);
  });

  it("are refused to an unknown tenant or application", async () => {
    expect((await askToken(bySecret(), "nowhere")).body).toMatchObject({ error_codes: [90002] });
    expect((await askToken(bySecret({ client_id: "nobody" }))).body.error).toBe("unauthorized_client");
  });

  it.each([
    [{ grant_type: "password" }, "unsupported_grant_type"],
    [{ scope: "https://management.azure.com/user_impersonation" }, "invalid_scope"],
    [{ scope: "https://example.com/.default" }, "invalid_resource"],
    [{ scope: "" }, "invalid_request"],
  ])("are refused for %j, which is filed as a violation", async (more, error) => {
    const answer = await askToken(bySecret(more));
    expect(answer).toMatchObject({ status: 400, body: { error } });
    expect(azure.entra.violations()).toHaveLength(1);
  });

  it("end when their time is over by ARM's clock, and a new one is good at once", async () => {
    const list = `${azure.arm.url}/subscriptions/${azure.place.subscriptionId}/providers/Microsoft.CognitiveServices/accounts?api-version=2026-03-01`;
    const ask = async (token: unknown) => {
      const answer = await fetch(list, { headers: { authorization: `Bearer ${token}` } });
      return [answer.status, ((await answer.json()) as { error?: { code: string } }).error?.code];
    };
    const { access_token: old } = (await askToken(bySecret())).body;
    expect(await ask(old)).toEqual([200, undefined]);
    azure.arm.advanceClock(3_600_000);
    expect(await ask(old)).toEqual([401, "ExpiredAuthenticationToken"]);
    expect(await ask((await askToken(bySecret())).body.access_token)).toEqual([200, undefined]);
    expect(await ask("made.up.token")).toEqual([401, "InvalidAuthenticationToken"]);
  });
});
