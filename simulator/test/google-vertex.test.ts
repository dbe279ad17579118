import { statSync } from "node:fs";
import { JWT } from "google-auth-library";
import { expect, test } from "vitest";
import { startVendorServer } from "../src/core.ts";
import { createGoogle, googleEntry } from "../src/google.ts";
import { ACCOUNTS, assertionFor, type Google, type KeyFile, POLICY, PREDICT, startGoogle } from "./google-support.ts";

/** Google's own client; its token URL is fixed, so an interceptor sends that one request elsewhere. */
function clientFor({ server }: Pick<Google, "server">, file: KeyFile): JWT {
  const client = new JWT({
    email: file.client_email,
    key: file.private_key,
    scopes: ["https://www.googleapis.com/auth/cloud-platform"],
  });
  client.transporter.interceptors.request.add({
    resolved: async (options) => {
      if (options.url?.href === "https://oauth2.googleapis.com/token") options.url = new URL(`${server.url}/token`);
      return options;
    },
  });
  return client;
}

test("serves Google's own client: the admin administers, the issued key counts and generates", async () => {
  const google = await startGoogle();
  const { file } = await google.provision("kg-ada-1", { until: Date.now() + 3_600_000 });
  const admin = clientFor(google, google.adminFile);
  const listed = await admin.request<{ accounts: unknown[] }>({ url: `${google.server.url}${ACCOUNTS}` });
  expect(listed.data.accounts).toHaveLength(2);

  const developer = clientFor(google, file);
  const data = { contents: [{ role: "user", parts: [{ text: "hello" }] }] };
  const url = `${google.server.url}${PREDICT}`;
  const counted = await developer.request({ url: `${url}:countTokens`, method: "POST", data });
  expect(counted.data).toMatchObject({ totalTokens: 2 });
  const generated = await developer.request({ url: `${url}:generateContent`, method: "POST", data });
  expect(generated.data).toMatchObject({ candidates: [{ finishReason: "STOP" }] });
  expect(google.violations()).toEqual([]);
});

test("tells Google's own client that a deleted key is worth nothing", async () => {
  const google = await startGoogle();
  const { email, file } = await google.provision("kg-ada-1");
  await google.call("DELETE", `${ACCOUNTS}/${email}/keys/${file.private_key_id}`);
  await expect(clientFor(google, file).getAccessToken()).rejects.toThrow("invalid_grant");
});

test("leaves the tokens of a deleted key alive for their hour, and ends them at once with the account disabled", async () => {
  const google = await startGoogle();
  const { email, file, token } = await google.provision("kg-ada-1");
  await google.call("DELETE", `${ACCOUNTS}/${email}/keys/${file.private_key_id}`);
  await expect(google.tokenFor(email, file.private_key)).rejects.toThrow("Invalid JWT Signature.");
  expect(await google.predict(token)).toBe(200);
  await google.call("POST", `${ACCOUNTS}/${email}:disable`, {});
  expect(await google.predict(token)).toBe(401);
  await google.call("POST", `${ACCOUNTS}/${email}:enable`, {});
  expect(await google.predict(token)).toBe(200);
  google.server.advanceClock(3_600_000);
  expect(await google.predict(token)).toBe(401);
});

test("issues no tokens to a disabled account or for a disabled key", async () => {
  const google = await startGoogle();
  const { email, file } = await google.provision("kg-ada-1");
  const key = `${ACCOUNTS}/${email}/keys/${file.private_key_id}`;
  await google.call("POST", `${key}:disable`, {});
  await expect(google.tokenFor(email, file.private_key)).rejects.toThrow("invalid_grant");
  await google.call("POST", `${key}:enable`, {});
  await google.call("POST", `${ACCOUNTS}/${email}:disable`, {});
  await expect(google.tokenFor(email, file.private_key)).rejects.toThrow("invalid_grant");
});

test("opens Vertex AI only to accounts whose binding has not ended", async () => {
  const google = await startGoogle();
  const { email, file, token } = await google.provision("kg-ada-1", { until: Date.now() + 1_800_000 });
  expect(await google.predict(token)).toBe(200);
  expect(google.books().accounts[1]).toMatchObject({ email, may_predict: true, keys: [{ live: true }] });
  google.server.advanceClock(1_800_001);
  expect(await google.predict(token)).toBe(403);
  expect(await google.predict(await google.tokenFor(email, file.private_key))).toBe(403);
  expect(google.books().accounts[1]).toMatchObject({ may_predict: false, keys: [{ live: true }] });
});

test("answers 403 without a binding and 401 without a token", async () => {
  const google = await startGoogle();
  const adminToken = await google.tokenFor(google.adminFile.client_email, google.adminFile.private_key);
  expect(await google.predict(adminToken)).toBe(403);
  expect(await google.predict("ya29.made-up")).toBe(401);
  expect((await google.call("POST", `${PREDICT}:countTokens`, {}, null)).body.error.status).toBe("UNAUTHENTICATED");
});

test("takes its time to grant and to withdraw", async () => {
  const google = await startGoogle({ grant_after_ms: 120_000, revoke_after_ms: 60_000 });
  const { email, token } = await google.provision("kg-ada-1");
  expect(await google.predict(token)).toBe(403);
  google.server.advanceClock(120_000);
  expect(await google.predict(token)).toBe(200);
  const read = await google.call("POST", `${POLICY}:getIamPolicy`, { options: { requestedPolicyVersion: 3 } });
  const bindings = read.body.bindings.filter(({ members }: { members: string[] }) => !members[0]?.includes(email));
  await google.call("POST", `${POLICY}:setIamPolicy`, { policy: { version: 3, etag: read.body.etag, bindings } });
  expect(await google.predict(token)).toBe(200);
  google.server.advanceClock(60_000);
  expect(await google.predict(token)).toBe(403);
});

test("does not know a new key everywhere at once", async () => {
  const google = await startGoogle();
  google.server.mergeSettings({ key_usable_after_ms: 30_000 });
  await expect(google.provision("kg-ada-1")).rejects.toThrow("Invalid JWT Signature.");
});

test("refuses assertions for another audience, past their time, too long-lived, for somebody else or without a scope", async () => {
  const google = await startGoogle();
  const { client_email: email, private_key: key } = google.adminFile;
  const now = Math.floor(Date.now() / 1000);
  const bad = [
    { aud: "https://example.com/token" },
    { iat: now - 7200, exp: now - 3600 },
    { iat: now, exp: now + 7200 },
    { sub: "ceo@example.com" },
    { scope: "" },
    { iss: "nobody@keygate-sim.iam.gserviceaccount.com", sub: undefined },
  ];
  for (const claims of bad) {
    expect(await google.exchange(assertionFor(email, key, claims))).toMatchObject({
      status: 400,
      body: { error: expect.any(String), error_description: expect.any(String) },
    });
  }
  expect((await google.exchange("not.a.jwt")).body.error).toBe("invalid_grant");
  const own = assertionFor(email, key, { aud: `${google.server.url}/token`, sub: undefined });
  expect(await google.exchange(own)).toMatchObject({ status: 200, body: { expires_in: 3599, token_type: "Bearer" } });
});

test("goes on issuing tokens to clients whose clock stayed behind when the simulator's was moved", async () => {
  const google = await startGoogle();
  const { email, file } = await google.provision("kg-ada-1");
  google.server.advanceClock(30 * 86_400_000);
  expect(await google.predict(await google.tokenFor(email, file.private_key))).toBe(200);
});

test("refuses the admin on demand", async () => {
  const google = await startGoogle();
  expect((await google.call("GET", ACCOUNTS)).status).toBe(200);
  await google.server.control("set_admin", { refused: true });
  expect((await google.call("GET", ACCOUNTS)).status).toBe(401);
  await expect(google.tokenFor(google.adminFile.client_email, google.adminFile.private_key)).rejects.toThrow();
});

test("is as new after a reset, and the admin's file still opens it", async () => {
  const vendor = createGoogle();
  const server = await startVendorServer(vendor);
  try {
    const file: KeyFile = JSON.parse(vendor.adminFile);
    const admin = () => clientFor({ server }, file);
    const data = { accountId: "kg-ada-1" };
    await admin().request({ url: `${server.url}${ACCOUNTS}`, method: "POST", data });
    server.reset();
    const { data: listed } = await admin().request<{ accounts: unknown[] }>({ url: `${server.url}${ACCOUNTS}` });
    expect(listed.accounts).toHaveLength(1);
  } finally {
    await server.close();
  }
});

test("hands out the admin's file readable by its owner alone, and removes it in the end", async () => {
  const started = await googleEntry.start(() => undefined);
  const path = started.env.GOOGLE_APPLICATION_CREDENTIALS;
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(started.env.GOOGLE_TOKEN_URL).toBe(`${started.servers.google.url}/token`);
  await started.servers.google.close();
  await started.close();
  expect(() => statSync(path)).toThrow();
});
