import type { JobId } from "@keygate/shared/contracts/ids";
import { developerRows } from "@keygate/shared/db/developers";
import { jobRows } from "@keygate/shared/db/jobs";
import { newId } from "@keygate/shared/ids";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { confirmEnd, type FakeWorker, issueKey, startFakeWorker, until } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import {
  addDeveloper,
  askForKey,
  async202,
  auditOf,
  claim,
  cloneKey,
  jobOf,
  keyOf,
  makeActiveKey,
  makeClaimableKey,
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
});
afterAll(() => api?.close());

const revoke = (keyId: string, headers: Record<string, string> = {}) =>
  api.call("POST", `/keys/${keyId}/revoke`, { headers });

describe("POST /keys/{id}/revoke", () => {
  test("answers 200 once the vendor confirmed, and again after that", async () => {
    const { keyId } = await makeActiveKey(api);
    worker = startFakeWorker(api.deps);
    const answer = await revoke(keyId);
    expect(answer).toMatchObject({ status: 200, body: { status: "revoked", key_id: keyId } });
    expect(answer.body.job_id).toMatch(/^job-/);
    expect((await keyOf(api, keyId)).status).toBe("revoked");
    expect(await auditOf(api, keyId)).toContain("key.revoke requested");
    expect(await revoke(keyId)).toMatchObject({
      status: 200,
      body: { status: "revoked", key_id: keyId, job_id: null },
    });
  });

  test("answers 202 before, never says revoked too early, and a second call joins the first", async () => {
    const { keyId } = await makeActiveKey(api);
    const [first, second] = [await revoke(keyId, async202), await revoke(keyId, async202)];
    expect(first).toMatchObject({ status: 202, body: { key_id: keyId, claim_token: null, status: "queued" } });
    expect(second.body.job_id).toBe(first.body.job_id);
    expect(await jobOf(api, first.body.job_id)).toMatchObject({ kind: "revoke", priority: 2 });
    expect((await keyOf(api, keyId)).status).toBe("revoking");
    await confirmEnd(api.deps, first.body.job_id);
    expect((await revoke(keyId)).status).toBe(200);
  });

  test("stops the making of a key that is not there yet", async () => {
    const { body } = await askForKey(api);
    const revoking = revoke(body.key_id);
    await until(async () => (await jobOf(api, body.job_id)).cancel_requested, "the request to stop");
    worker = startFakeWorker(api.deps);
    expect(await revoking).toMatchObject({ status: 200, body: { status: "revoked", job_id: body.job_id } });
    expect((await keyOf(api, body.key_id)).status).toBe("failed");
    expect((await claim(api, body.job_id, body.claim_token)).body.code).toBe("job.cancelled");
  });

  test("revokes a key whose making went through before it could be stopped", async () => {
    const { body } = await askForKey(api);
    const revoking = revoke(body.key_id);
    await until(async () => (await jobOf(api, body.job_id)).cancel_requested, "the request to stop");
    worker = startFakeWorker(api.deps, { provision: (job) => issueKey(api.deps, job.id, { deaf: true }) });
    const answer = await revoking;
    expect(answer).toMatchObject({ status: 200, body: { status: "revoked" } });
    expect(answer.body.job_id).not.toBe(body.job_id);
    expect((await keyOf(api, body.key_id)).status).toBe("revoked");
  });

  test("makes a key that nobody took impossible to take", async () => {
    const { keyId, jobId, token } = await makeClaimableKey(api);
    await revoke(keyId, async202);
    expect(await claim(api, jobId, token)).toMatchObject({ status: 410, body: { code: "claim.gone" } });
    expect((await jobOf(api, jobId)).claimed_at).toBeNull();
  });

  test("refuses strangers and unknown keys", async () => {
    expect(await revoke(newId("key"))).toMatchObject({ status: 404, body: { code: "key.not_found" } });
    expect((await revoke("key-1")).status).toBe(404);
    const { keyId } = await makeActiveKey(api);
    const call = (token: string | null) => api.call("POST", `/keys/${keyId}/revoke`, { token });
    expect((await call(null)).status).toBe(401);
    expect((await call(api.auditor.token)).status).toBe(403);
    expect((await keyOf(api, keyId)).status).toBe("active");
  });

  test("gives the same job for the same Idempotency-Key after the key has ended", async () => {
    const { keyId } = await makeActiveKey(api);
    worker = startFakeWorker(api.deps);
    const headers = { "idempotency-key": "revoke-1" };
    expect((await revoke(keyId, headers)).body).toEqual((await revoke(keyId, headers)).body);
  });
});

describe("POST /keys/revoke", () => {
  const revokeAll = (body: object, headers: Record<string, string> = {}) =>
    api.call("POST", "/keys/revoke", { body, headers });

  test("revokes what fits every condition, and only that, ahead of everything else", async () => {
    const developer_id = await addDeveloper(api);
    const mine = [await makeActiveKey(api, { developer_id }), await makeActiveKey(api, { developer_id })];
    const other = await makeActiveKey(api);
    const answer = await revokeAll({ developer_id, vendor: "openai" }, async202);
    expect(answer).toMatchObject({ status: 202, body: { keys_total: 2, keys_revoked: 0, status: "running" } });
    expect(answer.headers.get("location")).toBe(`/api/v1/jobs/${answer.body.job_id}`);

    const { body: children } = await api.call("GET", `/jobs?parent_id=${answer.body.job_id}`);
    expect(children).toHaveLength(2);
    const first = children[0].id as JobId;
    expect((await jobOf(api, first)).priority).toBe(1);
    await confirmEnd(api.deps, first);
    const { body: half } = await api.call("GET", `/jobs/${answer.body.job_id}`);
    expect(half).toMatchObject({ status: "running", progress: { total: 2, succeeded: 1, failed: 0 } });
    await confirmEnd(api.deps, children[1].id);
    const { body: done } = await api.call("GET", `/jobs/${answer.body.job_id}`);
    expect(done).toMatchObject({ status: "succeeded", progress: { total: 2, succeeded: 2, failed: 0 } });
    for (const { keyId } of mine) expect((await keyOf(api, keyId)).status).toBe("revoked");
    expect((await keyOf(api, other.keyId)).status).toBe("active");
    expect(await auditOf(api, answer.body.job_id)).toEqual(["key.revoke requested"]);
  });

  test("answers 200 when all are confirmed in time, keys that were still being made among them", async () => {
    const developer_id = await addDeveloper(api);
    await makeActiveKey(api, { developer_id });
    await askForKey(api, { developer_id });
    worker = startFakeWorker(api.deps);
    const answer = await revokeAll({ developer_id });
    expect(answer).toMatchObject({ status: 200, body: { status: "succeeded", keys_total: 2, keys_revoked: 2 } });
  });

  test("is done at once when nothing fits", async () => {
    const answer = await revokeAll({ key_ids: [newId("key")] });
    expect(answer).toMatchObject({ status: 200, body: { status: "succeeded", keys_total: 0, keys_revoked: 0 } });
  });

  test("ends only when the keys are dead that an earlier batch began to revoke", async () => {
    const developer_id = await addDeveloper(api);
    const { keyId } = await makeActiveKey(api, { developer_id });
    const first = await revokeAll({ developer_id }, async202);
    const again = await makeActiveKey(api, { developer_id });
    const second = await revokeAll({ developer_id }, async202);
    expect(second.body).toMatchObject({ status: "running", keys_total: 2, keys_revoked: 0 });
    const third = await revokeAll({ key_ids: [keyId] }, async202);
    expect(third.body).toMatchObject({ status: "running", keys_revoked: 0 });

    worker = startFakeWorker(api.deps);
    await until(async () => (await keyOf(api, again.keyId)).status === "revoked", "the second key's end");
    await until(async () => (await keyOf(api, keyId)).status === "revoked", "the first key's end");
    // The sweep ends batches of batches, one level at a time.
    for (let level = 0; level < 3; level++) await jobRows(api.deps.db).finishBatches();
    for (const { body } of [first, second, third]) {
      expect((await jobOf(api, body.job_id)).state).toBe("succeeded");
    }
    const { body: shown } = await api.call("GET", `/jobs/${second.body.job_id}`);
    expect(shown.progress).toEqual({ total: 2, succeeded: 2, failed: 0 });
  });

  test("revokes a team's keys", async () => {
    const team = `team-${Math.random()}`;
    const developer_id = await addDeveloper(api);
    await developerRows(api.deps.db).change(developer_id, { team });
    const { keyId } = await makeActiveKey(api, { developer_id });
    worker = startFakeWorker(api.deps);
    expect((await revokeAll({ team })).body).toMatchObject({ keys_total: 1, keys_revoked: 1 });
    expect((await keyOf(api, keyId)).status).toBe("revoked");
  });

  test("handles more keys than one statement can hold", { timeout: 120_000 }, async () => {
    const developer_id = await addDeveloper(api);
    const { keyId } = await makeActiveKey(api, { developer_id });
    await cloneKey(api, keyId, 4_999);
    const answer = await revokeAll({ developer_id }, async202);
    expect(answer).toMatchObject({ status: 202, body: { keys_total: 5_000 } });
  });

  test("asks for at least one condition and known ones", async () => {
    expect((await revokeAll({})).status).toBe(422);
    expect((await revokeAll({ everyone: true })).status).toBe(422);
    expect((await api.call("POST", "/keys/revoke", { body: { vendor: "openai" }, token: null })).status).toBe(401);
  });

  test("gives the same batch for the same Idempotency-Key", async () => {
    const developer_id = await addDeveloper(api);
    await makeActiveKey(api, { developer_id });
    const headers = { ...async202, "idempotency-key": "batch-1" };
    const [first, second] = [await revokeAll({ developer_id }, headers), await revokeAll({ developer_id }, headers)];
    expect(second.body.job_id).toBe(first.body.job_id);
  });
});
