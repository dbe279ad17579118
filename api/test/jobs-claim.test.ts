import { makeReceiverPair, openSealed } from "@keygate/shared/crypto/sealing";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { newId } from "@keygate/shared/ids";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { createTestRedis, type TestRedis } from "../../embedded/test-support/redis.ts";
import { type FakeWorker, failKey, issueKey, putJobBack, startFakeWorker, until } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import {
  addDeveloper,
  askForKey,
  auditOf,
  claim,
  jobOf,
  keyOf,
  leaveWhenMade,
  makeActiveKey,
  makeClaimableKey,
  placesOf,
} from "./keys-support.ts";

let api: ApiHarness;
let worker: FakeWorker | undefined;
let redis: TestRedis | undefined;
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  vi.restoreAllMocks();
});

/** The promises hold for the handoff in Redis and in PostgreSQL alike. */
function useBackend(backend: "redis" | "postgres"): void {
  beforeAll(async () => {
    redis = backend === "redis" ? await createTestRedis() : undefined;
    api = await createApiHarness(redis ? { env: { REDIS_URL: redis.url } } : {});
    await api.storeVendor();
  });
  afterAll(async () => {
    await api?.close();
    await redis?.drop();
  });
}

const nobody = { token: null };

describe.each(["postgres", "redis"] as const)("POST /jobs/{id}/claim with the handoff in %s", (backend) => {
  useBackend(backend);

  test("gives the key to whoever holds the claim token, once, and 410 after that", async () => {
    const { jobId, keyId, token, secret } = await makeClaimableKey(api);
    expect(await placesOf(api, secret)).toEqual([]);
    const first = await claim(api, jobId, token, nobody);
    expect(first).toMatchObject({ status: 200, body: { api_key: secret, key_id: keyId, job_id: jobId } });
    expect(first.headers.get("cache-control")).toBe("no-store");
    expect(await claim(api, jobId, token, nobody)).toMatchObject({ status: 410, body: { code: "claim.gone" } });
    expect((await claim(api, jobId)).status).toBe(410);
    expect(await placesOf(api, secret)).toEqual([]);
    expect(await placesOf(api, token)).toEqual([]);
    expect((await keyOf(api, keyId)).claimed_at).not.toBeNull();
    expect(await auditOf(api, keyId)).toContain("key.claim succeeded");
    const { body } = await api.call("GET", `/jobs/${jobId}`);
    expect(body.claim).toMatchObject({ available: false, claimed_at: expect.any(String) });
  });

  test("gives it to exactly one of many who claim at once", async () => {
    const { jobId, token, secret } = await makeClaimableKey(api);
    const answers = await Promise.all(Array.from({ length: 8 }, () => claim(api, jobId, token)));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 410, 410, 410, 410, 410, 410, 410]);
    expect(answers.find((answer) => answer.status === 200)?.body.api_key).toBe(secret);
    expect((await jobOf(api, jobId)).state).toBe("succeeded");
  });

  test("is refused to a wrong token, to nobody, and to somebody else who is signed in", async () => {
    const { jobId, token } = await makeClaimableKey(api);
    const wrong = makeReceiverPair().privateHalf.reveal();
    expect(await claim(api, jobId, wrong)).toMatchObject({ status: 403, body: { code: "claim.wrong_token" } });
    expect((await claim(api, jobId, wrong, nobody)).status).toBe(403);
    expect((await claim(api, jobId, "short", nobody)).status).toBe(422);
    expect((await claim(api, jobId, undefined, nobody)).status).toBe(401);
    const other = await claim(api, jobId, undefined, { token: api.admin.token });
    expect(other).toMatchObject({ status: 403, body: { code: "auth.forbidden" } });
    expect((await claim(api, jobId, undefined, { token: "no-token" })).status).toBe(401);
    expect((await claim(api, jobId, undefined, { token: api.auditor.token })).status).toBe(403);
    expect((await claim(api, newId("job"), token, nobody)).status).toBe(404);
    expect((await claim(api, jobId, token, { token: api.auditor.token })).status).toBe(200);
  });

  test("is not burnt by a GET", async () => {
    const { jobId, token, secret } = await makeClaimableKey(api);
    expect((await api.call("GET", `/jobs/${jobId}/claim`)).status).toBe(405);
    expect((await claim(api, jobId, token)).body.api_key).toBe(secret);
  });

  test("has a key made anew that was lost before anybody took it", async () => {
    const { jobId, keyId, token, secret } = await makeClaimableKey(api);
    await api.deps.handoff.drop(jobId);
    worker = startFakeWorker(api.deps);
    const answer = await claim(api, jobId, token, { headers: { prefer: "wait=10" } });
    expect(answer.status).toBe(200);
    expect(worker.secretsOf(jobId)).toEqual([answer.body.api_key]);
    expect(answer.body.api_key).not.toBe(secret);
    expect(await auditOf(api, keyId)).toContain("key.remake requested");
  });

  test("says when to come back while a lost key is being made anew, and gives up after two losses", async () => {
    const { jobId, token } = await makeClaimableKey(api);
    await api.deps.handoff.drop(jobId);
    const early = await claim(api, jobId, token);
    expect(early).toMatchObject({ status: 409, body: { code: "claim.not_ready" } });
    expect(Number(early.headers.get("retry-after"))).toBeGreaterThan(0);

    worker = startFakeWorker(api.deps);
    vi.spyOn(api.deps.handoff, "take").mockResolvedValue(null);
    const late = await claim(api, jobId, token, { headers: { prefer: "wait=20" } });
    expect(late).toMatchObject({ status: 409, body: { code: "claim.not_ready" } });
    expect(worker.secretsOf(jobId)).toHaveLength(3);
  });

  test("treats a key that is sealed for somebody else as lost", async () => {
    const { jobId, token } = await makeClaimableKey(api);
    const other = makeReceiverPair();
    await jobRows(api.deps.db).setReceiver(jobId, other.publicKey, false);
    expect((await claim(api, jobId, token)).status).toBe(403);
    worker = startFakeWorker(api.deps);
    const answer = await claim(api, jobId, other.privateHalf.reveal(), { headers: { prefer: "wait=10" } });
    expect(worker.secretsOf(jobId)).toEqual([answer.body.api_key]);
  });

  test("gives it to who asked for it without a token, made anew, and the old token opens nothing", async () => {
    const { jobId, keyId, token, secret } = await makeClaimableKey(api);
    worker = startFakeWorker(api.deps);
    const answer = await claim(api, jobId, undefined, { headers: { prefer: "wait=10" } });
    expect(answer.status).toBe(200);
    expect(answer.body.api_key).not.toBe(secret);
    expect((await claim(api, jobId, token)).status).toBe(403);
    expect(await auditOf(api, keyId)).toContain("key.redirect succeeded");
  });

  test("gives it to the later of two requests of who asked for it, never to both", async () => {
    const developer_id = await addDeveloper(api);
    const first = askForKey(api, { developer_id }, { headers: { prefer: "wait=20" } });
    const find = async () => {
      const [key] = (await keyRows(api.deps.db).list({ developer_id, status: "pending", limit: 1 })).items;
      return key && jobRows(api.deps.db).findMaker(key.id);
    };
    const job = await until(find, "the job");
    const second = claim(api, job.id, undefined, { headers: { prefer: "wait=20" } });
    const isRedirected = async () => (await jobOf(api, job.id)).delivery_key?.x !== job.delivery_key?.x;
    await until(isRedirected, "the new receiver");
    const secret = await issueKey(api.deps, job.id);
    expect(await first).toMatchObject({ status: 410, body: { code: "claim.gone" } });
    expect((await second).body.api_key).toBe(secret);
  });

  test("gives who brought a public key what only they can open", async () => {
    const { publicKey, privateHalf } = makeReceiverPair();
    const { body } = await askForKey(api, { delivery: { public_key: publicKey } });
    const secret = await issueKey(api.deps, body.job_id);
    const answer = await claim(api, body.job_id);
    expect(answer).toMatchObject({ status: 200, body: { api_key: null } });
    expect((await openSealed(answer.body.api_key_jwe, privateHalf)).reveal()).toBe(secret);
    expect(answer.text).not.toContain(secret);
  });

  test("waits for a job that goes on, and answers a failed one with its reason", async () => {
    const { body } = await askForKey(api);
    expect(await claim(api, body.job_id, body.claim_token)).toMatchObject({
      status: 409,
      body: { code: "claim.not_ready", job_id: body.job_id },
    });
    const waiting = claim(api, body.job_id, body.claim_token, { headers: { prefer: "wait=10" } });
    const secret = await issueKey(api.deps, body.job_id);
    expect((await waiting).body.api_key).toBe(secret);

    const failing = await askForKey(api);
    await failKey(api.deps, failing.body.job_id, { code: "vendor.refused", title: "", detail: "No." });
    expect(await claim(api, failing.body.job_id, failing.body.claim_token)).toMatchObject({
      status: 502,
      body: { code: "vendor.refused", detail: "No." },
    });
  });

  test("says what a job waits for that waits for a person", async () => {
    const { body } = await askForKey(api);
    const waiting = { reason: "make the key in the Console", instructions: null, link: null };
    await putJobBack(api.deps, body.job_id, "waiting_for_input", { waiting });
    const answer = await claim(api, body.job_id, body.claim_token);
    expect(answer).toMatchObject({ status: 409, body: { code: "claim.not_ready" } });
    expect(answer.body.detail).toContain(waiting.reason);
  });

  test("is gone when its time is over, and for a job that delivers nothing", async () => {
    const { body } = await askForKey(api);
    await issueKey(api.deps, body.job_id, { claimTtlSeconds: -1 });
    expect((await claim(api, body.job_id, body.claim_token)).status).toBe(410);
    expect((await jobOf(api, body.job_id)).claimed_at).toBeNull();

    const { keyId, token } = await makeActiveKey(api);
    const revoking = await api.call("POST", `/keys/${keyId}/revoke`, { headers: { prefer: "respond-async" } });
    expect((await claim(api, revoking.body.job_id, token)).status).toBe(403);
    expect((await claim(api, revoking.body.job_id)).status).toBe(409);
  });

  test("does not take the key for a client that has gone", async () => {
    const { body } = await askForKey(api);
    const { signal, headers, ended } = leaveWhenMade(api);
    const call = claim(api, body.job_id, body.claim_token, { signal, headers: { ...headers, prefer: "wait=30" } });
    await expect(call).rejects.toThrow();
    await ended();
    expect((await claim(api, body.job_id, body.claim_token)).status).toBe(200);
  });
});
