/** A running Google, a plain way to call it, and what an owner of a key does with it. */
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { afterEach } from "vitest";
import { type RunningVendor, startVendorServer } from "../src/core.ts";
import { createGoogle } from "../src/google.ts";
import { selfSignedCertificate } from "../src/google-certificate.ts";

export interface Answer {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
}

export interface KeyFile {
  client_email: string;
  private_key: string;
  private_key_id: string;
  token_uri: string;
  [name: string]: string;
}

export const PROJECT = "keygate-sim";
export const ACCOUNTS = `/v1/projects/${PROJECT}/serviceAccounts`;
export const POLICY = `/v3/projects/${PROJECT}`;
export const ROLE = `projects/${PROJECT}/roles/keygateVertexCaller`;
export const PREDICT = `/v1/projects/${PROJECT}/locations/europe-west4/publishers/google/models/gemini-2.5-flash`;
export const emailOf = (accountId: string) => `${accountId}@${PROJECT}.iam.gserviceaccount.com`;

const running: RunningVendor[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

const SCOPE = "https://www.googleapis.com/auth/cloud-platform";

/** An assertion as Google's clients make it; claims can be changed. */
export function assertionFor(email: string, key: KeyObject | string, claims: Record<string, unknown> = {}): string {
  const iat = Math.floor(Date.now() / 1000);
  const encode = (part: unknown) => Buffer.from(JSON.stringify(part)).toString("base64url");
  const payload = {
    iss: email,
    sub: email,
    scope: SCOPE,
    aud: "https://oauth2.googleapis.com/token",
    iat,
    exp: iat + 3600,
  };
  const signed = `${encode({ alg: "RS256", typ: "JWT" })}.${encode({ ...payload, ...claims })}`;
  return `${signed}.${sign("RSA-SHA256", Buffer.from(signed), key).toString("base64url")}`;
}

/** A pair and its certificate, the way `keys:upload` wants it. */
export function newCertificate(notAfter = Date.now() + 86_400_000): { privateKey: KeyObject; publicKeyData: string } {
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const pem = selfSignedCertificate({ ...pair, name: "test", notBefore: Date.now() - 60_000, notAfter });
  return { privateKey: pair.privateKey, publicKeyData: Buffer.from(pem).toString("base64") };
}

export interface Google {
  server: RunningVendor;
  adminFile: KeyFile;
  /** As the admin, or with another token (`null` = none). */
  call(method: string, path: string, body?: unknown, token?: string | null): Promise<Answer>;
  exchange(assertion: string): Promise<Answer>;
  tokenFor(email: string, key: KeyObject | string): Promise<string>;
  /** An account, its role if there is none yet, a binding and a key made by Google. */
  provision(accountId: string, options?: { until?: number }): Promise<{ email: string; file: KeyFile; token: string }>;
  bind(email: string, options?: { until?: number }): Promise<Answer>;
  predict(token: string): Promise<number>;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  books(): any;
  violations(): string[];
}

export async function startGoogle(settings: Record<string, unknown> = {}): Promise<Google> {
  const vendor = createGoogle();
  const server = await startVendorServer(vendor);
  running.push(server);
  server.mergeSettings(settings);
  const adminFile: KeyFile = JSON.parse(vendor.adminFile);

  const send = async (path: string, init: RequestInit): Promise<Answer> => {
    const response = await fetch(`${server.url}${path}`, init);
    return { status: response.status, body: await response.json() };
  };
  const exchange = (assertion: string) =>
    send("/token", {
      method: "POST",
      body: new URLSearchParams({ grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion }),
    });
  const tokenFor = async (email: string, key: KeyObject | string): Promise<string> => {
    const { status, body } = await exchange(assertionFor(email, key));
    if (status !== 200) throw new Error(JSON.stringify(body));
    return body.access_token;
  };
  let adminToken: string | undefined;
  const call: Google["call"] = async (method, path, body, token) => {
    adminToken ??= await tokenFor(adminFile.client_email, adminFile.private_key);
    const bearer = token === undefined ? adminToken : token;
    return send(path, {
      method,
      headers: {
        ...(bearer !== null && { authorization: `Bearer ${bearer}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
  };
  const bind: Google["bind"] = async (email, { until } = {}) => {
    const read = await call("POST", `${POLICY}:getIamPolicy`, { options: { requestedPolicyVersion: 3 } });
    const condition = until === undefined ? undefined : conditionUntil(until);
    const binding = { role: ROLE, members: [`serviceAccount:${email}`], ...(condition && { condition }) };
    const policy = { version: 3, etag: read.body.etag, bindings: [...read.body.bindings, binding] };
    return call("POST", `${POLICY}:setIamPolicy`, { policy });
  };
  const provision: Google["provision"] = async (accountId, options) => {
    const role = { title: "caller", includedPermissions: ["aiplatform.endpoints.predict"], stage: "GA" };
    await call("POST", `/v1/projects/${PROJECT}/roles`, { roleId: "keygateVertexCaller", role });
    const email = emailOf(accountId);
    await call("POST", ACCOUNTS, { accountId });
    await bind(email, options);
    const made = await call("POST", `${ACCOUNTS}/${email}/keys`, {});
    const file: KeyFile = JSON.parse(Buffer.from(made.body.privateKeyData, "base64").toString("utf8"));
    return { email, file, token: await tokenFor(email, createPrivateKey(file.private_key)) };
  };
  return {
    ...{ server, adminFile, call, exchange, tokenFor, bind, provision },
    predict: async (token) => {
      const prompt = { contents: [{ role: "user", parts: [{ text: "hi" }] }] };
      return (await call("POST", `${PREDICT}:countTokens`, prompt, token)).status;
    },
    books: () => server.books(),
    violations: () => server.violations().map(({ reason }) => reason),
  };
}

export const conditionUntil = (ms: number) => ({
  title: "keygate-test",
  description: "set by a test",
  expression: `request.time < timestamp("${new Date(ms).toISOString()}")`,
});
