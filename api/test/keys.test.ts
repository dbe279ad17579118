import { ProvisionResult } from "@keygate/shared/contracts/keys";
import { makeReceiverPair, openSealed } from "@keygate/shared/crypto/sealing";
import { jobRows } from "@keygate/shared/db/jobs";
import { must } from "@keygate/shared/errors";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type FakeWorker, failKey, issueKey, putJobBack, startFakeWorker } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import {
  addDeveloper,
  askForKey,
  auditOf,
  claim,
  keyOf,
  leaveWhenMade,
  makeActiveKey,
  placesOf,
} from "./keys-support.ts";

let api: ApiHarness;
let worker: FakeWorker | undefined;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterEach(async () => {
  await worker?.stop();
  worker = undefined;
  vi.restoreAllMocks();
});
afterAll(() => api?.close());

const provision = (body: Record<string, unknown>, headers: Record<string, string> = {}) =>
  api.call("POST", "/keys/provision", { body: { vendor: "openai", ...body }, headers });

describe("POST /keys/provision", () => {
  test("answers 200 with the published body and the key, which stands nowhere afterwards", async () => {
    worker = startFakeWorker(api.deps);
    const developer_id = await addDeveloper(api);
    const answer = await provision({ developer_id, budget_limit_usd: 12.5, description: "for CI" });

    expect(answer.status).toBe(200);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(ProvisionResult.parse(answer.body)).toEqual(answer.body);
    const [secret = ""] = worker.secretsOf(answer.body.job_id);
    expect(answer.body).toMatchObject({ api_key: secret, vendor: "openai", budget_limit_usd: 12.5 });
    expect(answer.body.project_name).toMatch(/^keygate-core-ada-lovelace-[a-z0-9]{6}$/);
    expect(await placesOf(api, secret)).toEqual([]);

    const key = await keyOf(api, answer.body.key_id);
    expect(key).toMatchObject({
      status: "active",
      rate_limit_rpm: 60,
      budget_micros: 12_500_000,
      description: "for CI",
    });
    expect(key.claimed_at).not.toBeNull();
    expect(Number(key.expires_at) - Number(key.created_at)).toBe(90 * 86_400_000);
    expect(await auditOf(api, key.id)).toEqual(["key.provision requested", "key.claim succeeded"]);
    expect((await claim(api, answer.body.job_id)).status).toBe(410);
  });

  test("answers 202 at once with a claim token when the caller does not wait", async () => {
    const answer = await askForKey(api);
    expect(answer.status).toBe(202);
    expect(answer.headers.get("preference-applied")).toBe("respond-async");
    expect(answer.headers.get("location")).toBe(`/api/v1/jobs/${answer.body.job_id}`);
    expect(answer.body).toMatchObject({ status: "queued", claim_token: expect.stringMatching(/^[\w-]{43}$/) });
    expect(await placesOf(api, answer.body.claim_token)).toEqual([]);
  });

  test("answers 202 when the time that the caller gave is over", async () => {
    const startedAt = performance.now();
    const answer = await askForKey(api, {}, { headers: { prefer: "wait=1" } });
    expect(answer.status).toBe(202);
    expect(performance.now() - startedAt).toBeGreaterThan(950);
    expect(answer.headers.get("preference-applied")).toBe("wait=1");
  });

  test("does not wait for a job that waits for a person", async () => {
    worker = startFakeWorker(api.deps, { provision: (job) => putJobBack(api.deps, job.id, "waiting_for_input") });
    const startedAt = performance.now();
    const answer = await provision({ developer_id: await addDeveloper(api) });
    expect(answer).toMatchObject({ status: 202, body: { status: "waiting_for_input" } });
    expect(performance.now() - startedAt).toBeLessThan(5_000);
  });

  test("seals the key to the caller's own public key, so that only the caller can open it", async () => {
    worker = startFakeWorker(api.deps);
    const { publicKey, privateHalf } = makeReceiverPair();
    const answer = await provision({ developer_id: await addDeveloper(api), delivery: { public_key: publicKey } });
    expect(answer).toMatchObject({ status: 200, body: { api_key: null } });
    const [secret = ""] = worker.secretsOf(answer.body.job_id);
    expect((await openSealed(answer.body.api_key_jwe, privateHalf)).reveal()).toBe(secret);
    await expect(openSealed(answer.body.api_key_jwe, makeReceiverPair().privateHalf)).rejects.toThrow();
    expect(answer.text).not.toContain(secret);
  });

  test("gives no claim token to who brought a public key", async () => {
    const { publicKey } = makeReceiverPair();
    const answer = await askForKey(api, { delivery: { public_key: publicKey } });
    expect(answer).toMatchObject({ status: 202, body: { claim_token: null } });
  });

  test("refuses a public key to which nothing can be sealed, before anything is made", async () => {
    const before = await api.countRows();
    const x = Buffer.alloc(32).toString("base64url");
    const answer = await askForKey(api, { delivery: { public_key: { kty: "OKP", crv: "X25519", x } } });
    expect(answer).toMatchObject({ status: 422, body: { errors: [{ field: "delivery.public_key" }] } });
    expect((await api.countRows()).jobs).toBe(before.jobs);
  });

  test("answers a failed job with its own code and the vendor's words", async () => {
    const error = { code: "vendor.refused", title: "", detail: "OpenAI: no more projects." };
    worker = startFakeWorker(api.deps, { provision: (job) => failKey(api.deps, job.id, error) });
    const answer = await provision({ developer_id: await addDeveloper(api) });
    expect(answer).toMatchObject({
      status: 502,
      body: { code: "vendor.refused", detail: error.detail, job_id: expect.stringMatching(/^job-/) },
    });
  });

  test("answers a code that it does not know as a failed job", async () => {
    const error = { code: "vendor.of_tomorrow", title: "", detail: "What?" };
    worker = startFakeWorker(api.deps, { provision: (job) => failKey(api.deps, job.id, error) });
    const answer = await provision({ developer_id: await addDeveloper(api) });
    expect(answer).toMatchObject({ status: 502, body: { code: "job.failed", detail: "What?" } });
  });

  test("says that something is left at the vendor when undoing did not work", async () => {
    const error = { code: "vendor.refused", title: "", detail: "No." };
    worker = startFakeWorker(api.deps, {
      provision: (job) => putJobBack(api.deps, job.id, "needs_attention", { error }),
    });
    const answer = await provision({ developer_id: await addDeveloper(api) });
    expect(answer).toMatchObject({ status: 502, body: { code: "vendor.refused" } });
    expect(answer.body.detail).toMatch(/^No\. .*goes on undoing it/);
  });

  test("does not take the key for a client that has gone", async () => {
    const { signal, headers, ended } = leaveWhenMade(api);
    const taking = vi.spyOn(api.deps.handoff, "take");
    const body = { vendor: "openai", developer_id: await addDeveloper(api) };
    await expect(api.call("POST", "/keys/provision", { body, signal, headers })).rejects.toThrow();
    await ended();
    expect(taking).not.toHaveBeenCalled();
    const { items } = await jobRows(api.deps.db).list({ kind: "provision", limit: 1 });
    expect(must(items[0], "the job")).toMatchObject({ state: "succeeded", claimed_at: null });
  });

  test("puts nothing but the job's id into the queue", async () => {
    const adding = vi.spyOn(api.deps.queues, "add");
    const { body } = await askForKey(api);
    expect(adding.mock.calls).toEqual([[[{ queue: "vendor-openai", jobId: body.job_id, priority: 3 }]]]);
  });

  test("is not held up by a queue that is away", async () => {
    vi.spyOn(api.deps.queues, "add").mockReturnValue(new Promise(() => {}));
    const startedAt = performance.now();
    expect((await askForKey(api)).status).toBe(202);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    expect(api.logLines.some((line) => line.includes("queue.add_failed"))).toBe(true);
  });

  test("takes nothing while the handoff is away, and gives the claim token out instead", async () => {
    worker = startFakeWorker(api.deps);
    vi.spyOn(api.deps.handoff, "take").mockRejectedValue(new Error("connection lost"));
    const answer = await provision({ developer_id: await addDeveloper(api) });
    expect(answer.status).toBe(202);
    expect((await claim(api, answer.body.job_id, answer.body.claim_token)).status).toBe(503);
    vi.restoreAllMocks();
    expect((await claim(api, answer.body.job_id, answer.body.claim_token)).body.api_key).toBe(
      worker.secretsOf(answer.body.job_id)[0],
    );
  });
});

describe("the same Idempotency-Key", () => {
  const twice = { "idempotency-key": "again" };

  test("gives the same job, and not the key a second time", async () => {
    worker = startFakeWorker(api.deps);
    const body = { developer_id: await addDeveloper(api) };
    const first = await provision(body, { "idempotency-key": "taken" });
    const second = await provision(body, { "idempotency-key": "taken" });
    expect(worker.secretsOf(first.body.job_id)).toEqual([first.body.api_key]);
    expect(second).toMatchObject({ status: 200, body: { ...first.body, api_key: null } });
  });

  test("has the key made anew for its new receiver when the first answer never came", async () => {
    const body = { vendor: "openai", developer_id: await addDeveloper(api) };
    const first = await api.call("POST", "/keys/provision", { body, headers: { ...twice, prefer: "respond-async" } });
    const lost = await issueKey(api.deps, first.body.job_id);
    worker = startFakeWorker(api.deps);
    const second = await api.call("POST", "/keys/provision", { body, headers: twice });
    expect(second).toMatchObject({ status: 200, body: { job_id: first.body.job_id, key_id: first.body.key_id } });
    expect(worker.secretsOf(second.body.job_id)).toEqual([second.body.api_key]);
    expect(second.body.api_key).not.toBe(lost);
    expect((await claim(api, first.body.job_id, first.body.claim_token)).status).toBe(403);
    expect(await auditOf(api, first.body.key_id)).toContain("key.remake requested");
  });

  test("leaves a key alone that is sealed to the caller's own public key", async () => {
    const { publicKey, privateHalf } = makeReceiverPair();
    const body = { vendor: "openai", developer_id: await addDeveloper(api), delivery: { public_key: publicKey } };
    const headers = { "idempotency-key": "own pair" };
    const first = await api.call("POST", "/keys/provision", { body, headers: { ...headers, prefer: "wait=0" } });
    const secret = await issueKey(api.deps, first.body.job_id);
    const second = await api.call("POST", "/keys/provision", { body, headers });
    expect((await openSealed(second.body.api_key_jwe, privateHalf)).reveal()).toBe(secret);
  });

  test("gives a claim token that works instead of the first one while the job goes on", async () => {
    const body = { vendor: "openai", developer_id: await addDeveloper(api) };
    const headers = { "idempotency-key": "pending", prefer: "respond-async" };
    const first = await api.call("POST", "/keys/provision", { body, headers });
    const second = await api.call("POST", "/keys/provision", { body, headers });
    expect(second).toMatchObject({ status: 202, body: { job_id: first.body.job_id } });
    const secret = await issueKey(api.deps, first.body.job_id);
    expect((await claim(api, first.body.job_id, first.body.claim_token)).status).toBe(403);
    expect((await claim(api, first.body.job_id, second.body.claim_token)).body.api_key).toBe(secret);
  });
});

test("the list can be narrowed to keys that are alive and end soon", async () => {
  const developer_id = await addDeveloper(api);
  const soon = await makeActiveKey(api, { developer_id, expires_in_days: 5 });
  await makeActiveKey(api, { developer_id, expires_in_days: 30 });
  const list = async (days: number) => {
    const { body } = await api.call("GET", `/keys?developer_id=${developer_id}&expires_within_days=${days}`);
    return body.map((key: { id: string }) => key.id);
  };
  expect(await list(7)).toEqual([soon.keyId]);
  expect(await list(31)).toHaveLength(2);
  expect((await api.call("GET", "/keys?expires_within_days=0")).status).toBe(422);
});
