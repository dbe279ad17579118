import { X509Certificate } from "node:crypto";
import { expect, test } from "vitest";
import { ACCOUNTS, emailOf, newCertificate, PROJECT, startGoogle } from "./google-support.ts";

const ADA = `${ACCOUNTS}/${emailOf("kg-ada-1")}`;

test("creates, shows, describes, disables and deletes a service account, and brings it back by its unique id", async () => {
  const { call, violations } = await startGoogle();
  const serviceAccount = { displayName: "KeyGate", description: "keygate=t;key=1" };
  const made = await call("POST", ACCOUNTS, { accountId: "kg-ada-1", serviceAccount });
  expect(made).toMatchObject({
    status: 200,
    body: { name: ADA.slice(4), projectId: PROJECT, email: emailOf("kg-ada-1"), ...serviceAccount },
  });
  expect(made.body.uniqueId).toMatch(/^\d{21}$/);

  const again = await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  expect(again).toMatchObject({ status: 409, body: { error: { code: 409, status: "ALREADY_EXISTS" } } });
  const patch = { serviceAccount: { description: "changed" }, updateMask: "description" };
  expect((await call("PATCH", ADA, patch)).body).toMatchObject({ description: "changed", displayName: "KeyGate" });

  expect(await call("POST", `${ADA}:disable`, {})).toEqual({ status: 200, body: {} });
  expect((await call("GET", ADA)).body.disabled).toBe(true);
  expect(await call("POST", `${ADA}:enable`, {})).toEqual({ status: 200, body: {} });
  expect((await call("GET", ADA)).body).not.toHaveProperty("disabled");

  expect(await call("DELETE", ADA)).toEqual({ status: 200, body: {} });
  expect((await call("DELETE", ADA)).status).toBe(404);
  expect((await call("GET", ADA)).body.error.status).toBe("NOT_FOUND");
  const restored = await call("POST", `${ACCOUNTS}/${made.body.uniqueId}:undelete`, {});
  expect(restored.body.restoredAccount).toMatchObject({ email: emailOf("kg-ada-1"), uniqueId: made.body.uniqueId });
  expect((await call("GET", `${ACCOUNTS}/${made.body.uniqueId}`)).status).toBe(200);
  expect(violations()).toEqual([]);
});

test("refuses bad names, unknown fields, unknown parameters and unknown calls, and files each as a violation", async () => {
  const { call, violations } = await startGoogle();
  const statuses = [
    await call("POST", ACCOUNTS, { accountId: "short" }),
    await call("POST", ACCOUNTS, { accountId: "k".repeat(31) }),
    await call("POST", ACCOUNTS, { accountId: "Upper-case" }),
    await call("POST", ACCOUNTS, { accountId: "kg-ada-1", labels: {} }),
    await call("POST", ACCOUNTS, { accountId: "kg-ada-1", serviceAccount: { description: "ä".repeat(129) } }),
    await call("GET", `${ACCOUNTS}?filter=x`),
    await call("PATCH", `${ACCOUNTS}/x`, { serviceAccount: {} }),
    await call("PUT", ACCOUNTS, {}),
  ].map(({ status }) => status);
  expect(statuses).toEqual([400, 400, 400, 400, 400, 400, 400, 404]);
  expect(violations()).toHaveLength(8);
});

test("turns a missing account from 404 into 403 under the wildcard, and any other project into 403", async () => {
  const { call } = await startGoogle();
  expect((await call("GET", `${ACCOUNTS}/${emailOf("kg-none")}`)).status).toBe(404);
  expect((await call("GET", `/v1/projects/-/serviceAccounts/${emailOf("kg-none")}`)).status).toBe(403);
  expect((await call("GET", "/v1/projects/other-project/serviceAccounts")).status).toBe(403);
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  expect((await call("GET", `/v1/projects/-/serviceAccounts/${emailOf("kg-ada-1")}`)).status).toBe(200);
});

test("pages accounts, and a page may be empty and still have a next one", async () => {
  const { call } = await startGoogle();
  for (const n of [1, 2, 3, 4, 5]) await call("POST", ACCOUNTS, { accountId: `kg-page-${n}` });
  await call("DELETE", `${ACCOUNTS}/${emailOf("kg-page-1")}`);
  await call("DELETE", `${ACCOUNTS}/${emailOf("kg-page-2")}`);
  const sizes: number[] = [];
  const seen: string[] = [];
  let pageToken = "";
  do {
    const { body } = await call("GET", `${ACCOUNTS}?pageSize=1&pageToken=${pageToken}`);
    const accounts: { email: string }[] = body.accounts ?? [];
    sizes.push(accounts.length);
    seen.push(...accounts.map(({ email }) => email.split("@")[0] ?? ""));
    pageToken = body.nextPageToken ?? "";
  } while (pageToken !== "");
  expect(seen).toEqual(["keygate-admin", "kg-page-3", "kg-page-4", "kg-page-5"]);
  expect(sizes).toContain(0);
});

test("keeps a new account out of sight for a while, except from a second create", async () => {
  const { call, server } = await startGoogle({ account_visible_after_ms: 60_000 });
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  expect((await call("GET", ADA)).status).toBe(404);
  expect((await call("POST", `${ADA}/keys`, {})).status).toBe(404);
  expect((await call("GET", ACCOUNTS)).body.accounts).toHaveLength(1);
  expect((await call("POST", ACCOUNTS, { accountId: "kg-ada-1" })).status).toBe(409);
  server.advanceClock(60_000);
  expect((await call("GET", ADA)).status).toBe(200);
});

test("stops at the project's number of accounts", async () => {
  const { call } = await startGoogle({ accounts_max: 2 });
  expect((await call("POST", ACCOUNTS, { accountId: "kg-ada-1" })).status).toBe(200);
  const full = await call("POST", ACCOUNTS, { accountId: "kg-ada-2" });
  expect(full).toMatchObject({ status: 429, body: { error: { status: "RESOURCE_EXHAUSTED" } } });
});

test("makes a key whose private half is shown once, lists it beside Google's own, disables and deletes it", async () => {
  const { call, violations, books } = await startGoogle();
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const made = await call("POST", `${ADA}/keys`, { privateKeyType: "TYPE_GOOGLE_CREDENTIALS_FILE" });
  expect(made.body).toMatchObject({ keyOrigin: "GOOGLE_PROVIDED", validBeforeTime: "9999-12-31T23:59:59Z" });
  const file = JSON.parse(Buffer.from(made.body.privateKeyData, "base64").toString("utf8"));
  expect(file).toMatchObject({ type: "service_account", client_email: emailOf("kg-ada-1"), project_id: PROJECT });
  expect(made.body.name).toBe(`${ADA.slice(4)}/keys/${file.private_key_id}`);
  expect(file.private_key_id).toMatch(/^[0-9a-f]{40}$/);

  const key = `${ADA}/keys/${file.private_key_id}`;
  const listed = await call("GET", `${ADA}/keys?keyTypes=USER_MANAGED`);
  expect(listed.body.keys).toHaveLength(1);
  expect(listed.body.keys[0]).not.toHaveProperty("privateKeyData");
  const everything = (await call("GET", `${ADA}/keys`)).body.keys;
  expect(everything.map(({ keyType }: { keyType: string }) => keyType)).toEqual(["USER_MANAGED", "SYSTEM_MANAGED"]);

  const shown = await call("GET", `${key}?publicKeyType=TYPE_X509_PEM_FILE`);
  const certificate = new X509Certificate(Buffer.from(shown.body.publicKeyData, "base64"));
  expect(certificate.publicKey.asymmetricKeyType).toBe("rsa");
  expect(await call("POST", `${key}:disable`, {})).toEqual({ status: 200, body: {} });
  expect((await call("GET", key)).body).toMatchObject({ disabled: true });
  await call("POST", `${key}:enable`, {});
  expect(await call("DELETE", key)).toEqual({ status: 200, body: {} });
  expect((await call("DELETE", key)).status).toBe(404);
  expect((await call("GET", `${ADA}/keys?keyTypes=USER_MANAGED`)).body).toEqual({});
  expect(violations()).toEqual([]);
  expect(JSON.stringify(books())).not.toContain("PRIVATE KEY");

  expect((await call("DELETE", `/v1/${everything[1].name}`)).status).toBe(400);
  expect(violations()).toHaveLength(1);
});

test("takes an uploaded certificate with its end date, finds its public key again, and refuses rubbish", async () => {
  const { call, tokenFor, server, violations } = await startGoogle();
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const { privateKey, publicKeyData } = newCertificate(Date.now() + 1_800_000);
  const uploaded = await call("POST", `${ADA}/keys:upload`, { publicKeyData });
  expect(uploaded.body).toMatchObject({ keyOrigin: "USER_PROVIDED", keyType: "USER_MANAGED" });
  expect(Date.parse(uploaded.body.validBeforeTime) - Date.now()).toBeLessThanOrEqual(1_800_000);
  const shown = await call("GET", `/v1/${uploaded.body.name}?publicKeyType=TYPE_RAW_PUBLIC_KEY`);
  const ours = new X509Certificate(Buffer.from(publicKeyData, "base64")).publicKey;
  expect(Buffer.from(shown.body.publicKeyData, "base64").toString()).toBe(
    ours.export({ type: "spki", format: "pem" }).toString(),
  );
  expect(await tokenFor(emailOf("kg-ada-1"), privateKey)).toMatch(/^ya29\./);
  server.advanceClock(1_800_001);
  await expect(tokenFor(emailOf("kg-ada-1"), privateKey)).rejects.toThrow("invalid_grant");

  expect(violations()).toEqual([]);
  const rubbish = [
    ours.export({ type: "spki", format: "pem" }).toString(),
    "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
  ];
  for (const text of rubbish) {
    const body = { publicKeyData: Buffer.from(text).toString("base64") };
    expect((await call("POST", `${ADA}/keys:upload`, body)).status).toBe(400);
  }
  const expired = newCertificate(Date.now() + 1000);
  expect((await call("POST", `${ADA}/keys:upload`, { publicKeyData: expired.publicKeyData })).status).toBe(400);
  expect(violations()).toHaveLength(3);
});

test("makes a second key of the same certificate, or refuses it, as the setting says", async () => {
  const { call, server } = await startGoogle();
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const { publicKeyData } = newCertificate();
  const upload = async () => (await call("POST", `${ADA}/keys:upload`, { publicKeyData })).status;
  expect([await upload(), await upload()]).toEqual([200, 200]);
  server.mergeSettings({ same_certificate: "refused" });
  expect(await upload()).toBe(409);
});

test("holds ten keys per account and tells whoever wants an eleventh to wait a day", async () => {
  const { call } = await startGoogle();
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const { publicKeyData } = newCertificate();
  for (let n = 0; n < 10; n += 1) await call("POST", `${ADA}/keys:upload`, { publicKeyData });
  const full = await call("POST", `${ADA}/keys`, {});
  expect(full.status).toBe(429);
  expect(full.body.error).toMatchObject({ status: "RESOURCE_EXHAUSTED", details: [{ retryDelay: "86401s" }] });
});

test("lets the key list lag behind, for new and for deleted keys", async () => {
  const { call, server } = await startGoogle({ key_list_lag_ms: 30_000 });
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const { publicKeyData } = newCertificate();
  const { body } = await call("POST", `${ADA}/keys:upload`, { publicKeyData });
  const count = async () => ((await call("GET", `${ADA}/keys?keyTypes=USER_MANAGED`)).body.keys ?? []).length;
  expect(await count()).toBe(0);
  expect((await call("GET", `/v1/${body.name}`)).status).toBe(200);
  server.advanceClock(30_000);
  expect(await count()).toBe(1);
  await call("DELETE", `/v1/${body.name}`);
  expect(await count()).toBe(1);
  expect((await call("GET", `/v1/${body.name}`)).status).toBe(404);
  server.advanceClock(30_000);
  expect(await count()).toBe(0);
});

test("names the organization policy that forbids keys, in the refusal and when asked beforehand", async () => {
  const constraint = "iam.disableServiceAccountKeyCreation";
  const { call } = await startGoogle({ constraints: [constraint, "iam.managed.disableServiceAccountKeyUpload"] });
  await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const refused = await call("POST", `${ADA}/keys`, {});
  expect(refused.status).toBe(400);
  expect(refused.body.error).toMatchObject({
    status: "FAILED_PRECONDITION",
    details: [{ violations: [{ type: `constraints/${constraint}` }] }],
  });
  const upload = await call("POST", `${ADA}/keys:upload`, { publicKeyData: newCertificate().publicKeyData });
  expect(upload.body.error.details[0].violations[0].type).toBe(
    "constraints/iam.managed.disableServiceAccountKeyUpload",
  );

  const effective = async (name: string) =>
    (await call("GET", `/v2/projects/${PROJECT}/policies/${name}:getEffectivePolicy`)).body.spec.rules;
  expect(await effective(constraint)).toEqual([{ enforce: true }]);
  expect(await effective("iam.disableServiceAccountKeyUpload")).toEqual([{ enforce: false }]);
});

test("disables a key that Google found in public, and says why", async () => {
  const { call, server, provision, tokenFor } = await startGoogle();
  const { email, file } = await provision("kg-ada-1");
  await server.control("expose_key", { email, key_id: file.private_key_id });
  const shown = await call("GET", `${ADA}/keys/${file.private_key_id}`);
  expect(shown.body).toMatchObject({ disabled: true, disableReason: "SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED" });
  await expect(tokenFor(email, file.private_key)).rejects.toThrow("invalid_grant");
});

test("tells which permissions are held and which services are enabled", async () => {
  const { call, violations } = await startGoogle({
    admin_lacks: ["iam.serviceAccounts.create"],
    disabled_services: ["aiplatform.googleapis.com"],
  });
  const permissions = [
    "iam.serviceAccounts.create",
    "iam.serviceAccountKeys.create",
    "resourcemanager.projects.setIamPolicy",
  ];
  const held = await call("POST", `/v3/projects/${PROJECT}:testIamPermissions`, { permissions });
  expect(held.body).toEqual({ permissions: permissions.slice(1) });
  const denied = await call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  expect(denied.status).toBe(403);
  expect(denied.body.error.details[0]).toMatchObject({ reason: "IAM_PERMISSION_DENIED" });

  const names = ["iam", "aiplatform"].map((name) => `names=projects/${PROJECT}/services/${name}.googleapis.com`);
  const services = await call("GET", `/v1/projects/${PROJECT}/services:batchGet?${names.join("&")}`);
  expect(services.body.services.map(({ state }: { state: string }) => state)).toEqual(["ENABLED", "DISABLED"]);
  expect(violations()).toEqual([]);
});

test("makes a custom role once", async () => {
  const { call } = await startGoogle();
  const role = { title: "caller", includedPermissions: ["aiplatform.endpoints.predict"], stage: "GA" };
  const path = `/v1/projects/${PROJECT}/roles`;
  const made = await call("POST", path, { roleId: "keygateVertexCaller", role });
  expect(made.body).toMatchObject({ name: `projects/${PROJECT}/roles/keygateVertexCaller`, ...role });
  expect((await call("POST", path, { roleId: "keygateVertexCaller", role })).status).toBe(409);
  expect((await call("GET", `${path}/keygateVertexCaller`)).body.includedPermissions).toEqual(role.includedPermissions);
  expect((await call("GET", `${path}/nothing`)).status).toBe(404);
});
