import { makeReceiverPair, openSealed, sealTo } from "@keygate/shared/crypto/sealing";
import { newId } from "@keygate/shared/ids";
import { Secret } from "@keygate/shared/secret";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { auditOf, jobOf, makeClaimableKey } from "./keys-support.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

const nobody = { token: null };
const challengeOf = (jobId: string) => api.call("POST", `/claims/${jobId}/challenge`, { ...nobody, body: {} });
const claimWith = (jobId: string, proof: string) =>
  api.call("POST", `/jobs/${jobId}/claim`, { ...nobody, body: { proof } });
async function proofOf(jobId: string, privateHalf: string): Promise<string> {
  const { body } = await challengeOf(jobId);
  return (await openSealed(body.challenge, new Secret(privateHalf))).reveal();
}

test("tells the holder of a link for whom, from whom and until when, and nothing else, without taking the key", async () => {
  const { jobId } = await makeClaimableKey(api);
  for (let look = 0; look < 3; look++) {
    const { status, body } = await api.call("GET", `/claims/${jobId}`, nobody);
    expect(status).toBe(200);
    expect(body).toEqual({
      job_id: jobId,
      developer_name: "Ada Lovelace",
      requested_by: api.owner.email,
      vendor: "openai",
      state: "ready",
      until: expect.any(String),
      taken_at: null,
    });
  }
});

test("answers 404 for a job that does not exist, or makes no key", async () => {
  expect((await api.call("GET", `/claims/${newId("job")}`, nobody)).status).toBe(404);
  expect((await challengeOf(newId("job"))).status).toBe(404);
  expect((await api.call("GET", "/claims/not-an-id", nobody)).status).toBe(404);
});

test("gives the sealed key, once, to whoever opens a challenge, and never sees what opens it", async () => {
  const { jobId, keyId, token, secret } = await makeClaimableKey(api);
  const first = await claimWith(jobId, await proofOf(jobId, token));
  expect(first).toMatchObject({ status: 200, body: { api_key: null, key_id: keyId } });
  expect((await openSealed(first.body.api_key_jwe, new Secret(token))).reveal()).toBe(secret);
  expect(first.text).not.toContain(secret);
  expect(await claimWith(jobId, await proofOf(jobId, token))).toMatchObject({ status: 410 });
  expect(await api.call("GET", `/claims/${jobId}`, nobody)).toMatchObject({ body: { state: "taken" } });
});

test("refuses a proof that is made up, is another job's, or was sealed by somebody else", async () => {
  const [mine, other] = [await makeClaimableKey(api), await makeClaimableKey(api)];
  const others = await proofOf(other.jobId, other.token);
  const changed = (await proofOf(mine.jobId, mine.token)).replace(/^\d+/, (at) => String(Number(at) + 9_999));
  for (const proof of ["x", "9999999999.abc.def", others, changed]) {
    expect(await claimWith(mine.jobId, proof)).toMatchObject({ status: 403, body: { code: "claim.wrong_token" } });
  }
  const sealed = await sealTo(makeReceiverPair().publicKey, new Secret("guess"));
  expect((await claimWith(mine.jobId, sealed)).status).toBe(403);
  expect((await jobOf(api, mine.jobId)).claimed_at).toBeNull();
});

test("writes one audit row when the holder of a link says that somebody else took the key", async () => {
  const { jobId, keyId, token } = await makeClaimableKey(api);
  const dispute = async () =>
    api.call("POST", `/claims/${jobId}/dispute`, { ...nobody, body: { proof: await proofOf(jobId, token) } });
  expect((await dispute()).status).toBe(409);
  await claimWith(jobId, await proofOf(jobId, token));
  expect((await dispute()).status).toBe(200);
  expect((await dispute()).status).toBe(200);
  const rows = await auditOf(api, keyId);
  expect(rows.filter((row) => row.startsWith("key.claim_disputed"))).toHaveLength(1);
});

test("names a new receiver for who asked, and for nobody else", async () => {
  const { jobId } = await makeClaimableKey(api);
  const body = { public_key: makeReceiverPair().publicKey };
  const put = (token: string | null) => api.call("PUT", `/jobs/${jobId}/receiver`, { token, body });
  expect((await put(null)).status).toBe(401);
  expect((await put(api.admin.token)).status).toBe(403);
  expect((await put(api.owner.token)).status).toBe(202);
  expect((await jobOf(api, jobId)).delivery_key?.x).toBe(body.public_key.x);
});
