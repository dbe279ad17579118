import { fingerprintsOf } from "@keygate/shared/crypto/fingerprint";
import { Secret } from "@keygate/shared/secret";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { makeActiveKey } from "./keys-support.ts";

let api: ApiHarness;
let hint: string;
let secret: string;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
  const key = await makeActiveKey(api);
  secret = key.secret;
  // The fake worker issues keys without fingerprints.
  await api.deps.db
    .updateTable("keys")
    .set({ fingerprints: fingerprintsOf(new Secret(secret), api.deps.keyring) })
    .where("id", "=", key.keyId)
    .execute();
  hint = (await api.call("GET", `/keys/${key.keyId}`)).body.key_hint;
});
afterAll(() => api?.close());

const search = async (q: string) => (await api.call("GET", `/search?q=${encodeURIComponent(q)}`)).body;

test("finds developers and their keys by part of a name, whatever its case, and by the beginning of one in two letters", async () => {
  for (const q of ["lovel", "LOVEL", "ad", "Ada Lovelace"]) {
    const found = await search(q);
    expect(found.developers, q).toHaveLength(1);
    expect(found.keys, q).toHaveLength(1);
  }
});

test("finds keys by hint and project name", async () => {
  const [{ project_name }] = (await search("ada")).keys;
  for (const q of [hint, hint.slice(-4), project_name, project_name.slice(-6)])
    expect((await search(q)).keys, q).toHaveLength(1);
  expect((await api.call("GET", `/keys?q=${hint.slice(-4)}`)).body).toHaveLength(1);
  expect((await api.call("GET", "/developers?q=lovelace")).body).toHaveLength(1);
});

test("takes every character as it is and finds nothing where nothing is", async () => {
  for (const q of ["%", "___", "\\", "100%", "nobody at all"])
    expect(await search(q), q).toEqual({ developers: [], keys: [] });
  expect((await api.call("GET", "/search?q=")).status).toBe(422);
  expect((await api.call("GET", "/search?q=ada", { token: null })).status).toBe(401);
});

test("finds whose a pasted key is, keeps nothing of it, and answers admins only", async () => {
  const find = (text: string, token?: string) =>
    api.call("POST", "/keys/find-by-secret", { body: { text }, ...(token ? { token } : {}) });
  expect((await find(`export KEY='${secret}'`)).body).toMatchObject([
    { match: "fingerprint", key: { key_hint: hint } },
  ]);
  expect((await find(secret.slice(-16))).body).toMatchObject([{ match: "fingerprint" }]);
  expect((await find("sk-proj-somebody-elses-key-altogether")).body).toEqual([]);
  expect((await find(secret, api.auditor.token)).status).toBe(403);
  expect(api.logLines.join("\n")).not.toContain(secret.slice(-16));
  const { text } = await api.call("GET", "/audit?action=key.find_by_secret");
  expect(text).not.toContain(secret.slice(-16));
});
