import type { KeyId } from "@keygate/shared/contracts/ids";
import { RotateResult } from "@keygate/shared/contracts/keys";
import { developerRows } from "@keygate/shared/db/developers";
import { newId } from "@keygate/shared/ids";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type FakeWorker, failKey, issueKey, startFakeWorker } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { addDeveloper, askForKey, async202, auditOf, claim, jobOf, keyOf, makeActiveKey } from "./keys-support.ts";

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

const rotate = (keyId: string, body: object = {}, headers: Record<string, string> = {}) =>
  api.call("POST", `/keys/${keyId}/rotate`, { body, headers });

describe("POST /keys/{id}/rotate", () => {
  test("gives a successor with the same limits and length of life, and says that the old key is dead", async () => {
    const asked = { budget_limit_usd: 7, rate_limit_rpm: 9, expires_in_days: 30, models_allowed: ["gpt-4o"] };
    const old = await makeActiveKey(api, { ...asked, description: "mine" });
    worker = startFakeWorker(api.deps);
    const answer = await rotate(old.keyId);

    expect(answer.status).toBe(200);
    expect(RotateResult.parse(answer.body)).toEqual(answer.body);
    expect(worker.secretsOf(answer.body.job_id)).toEqual([answer.body.api_key]);
    expect(answer.body).toMatchObject({
      old_key_id: old.keyId,
      new_key_id: answer.body.key_id,
      old_key_status: "rotated",
      budget_limit_usd: 7,
    });
    const [before, after] = [await keyOf(api, old.keyId), await keyOf(api, answer.body.key_id)];
    for (const name of ["project_name", "lineage_id", "rate_limit_rpm", "models_allowed", "description"] as const) {
      expect(after[name]).toEqual(before[name]);
    }
    expect(after).toMatchObject({ replaces_id: before.id, vendor_ref: before.vendor_ref });
    expect(Number(after.expires_at) - Number(after.created_at)).toBe(30 * 86_400_000);
    expect(await auditOf(api, after.id)).toEqual(["key.rotate requested", "key.claim succeeded"]);
    expect(await auditOf(api, before.id)).toContain("key.rotate requested");
  });

  test("lets the old key live until the new one was taken, and through its grace after that", async () => {
    const old = await makeActiveKey(api);
    const accepted = await rotate(old.keyId, { grace_period_minutes: 60 }, async202);
    expect(accepted.status).toBe(202);
    const secret = await issueKey(api.deps, accepted.body.job_id);
    expect(await keyOf(api, old.keyId)).toMatchObject({ status: "retiring", retire_at: null });

    const claimed = await claim(api, accepted.body.job_id, accepted.body.claim_token);
    expect(claimed.body).toMatchObject({ api_key: secret, old_key_id: old.keyId, old_key_status: "retiring" });
    const minutesLeft = (Date.parse(claimed.body.old_key_valid_until) - Date.now()) / 60_000;
    expect(minutesLeft).toBeGreaterThan(59);
    expect(minutesLeft).toBeLessThan(61);
    expect((await keyOf(api, old.keyId)).status).toBe("retiring");
  });

  test("says that the old key is still being revoked when the vendor takes its time", async () => {
    const old = await makeActiveKey(api);
    worker = startFakeWorker(api.deps, { revoke: async () => {} });
    const startedAt = performance.now();
    const answer = await rotate(old.keyId);
    expect(answer).toMatchObject({ status: 200, body: { old_key_status: "revoking", old_key_valid_until: null } });
    expect(performance.now() - startedAt).toBeLessThan(6_000);
  });

  test("leaves the old key alone when the new one cannot be made", async () => {
    const old = await makeActiveKey(api);
    const error = { code: "vendor.refused", title: "", detail: "No." };
    worker = startFakeWorker(api.deps, { rotate: (job) => failKey(api.deps, job.id, error) });
    expect((await rotate(old.keyId)).status).toBe(502);
    expect((await keyOf(api, old.keyId)).status).toBe("active");
    await worker.stop();
    worker = startFakeWorker(api.deps);
    expect((await rotate(old.keyId)).status).toBe(200);
  });

  test("refuses what is not an active key, a second rotation, and an inactive developer", async () => {
    expect((await rotate(newId("key"))).status).toBe(404);
    const pending = await askForKey(api);
    expect(await rotate(pending.body.key_id)).toMatchObject({ status: 409, body: { code: "key.not_active" } });

    const developer_id = await addDeveloper(api);
    const { keyId } = await makeActiveKey(api, { developer_id });
    const answers = await Promise.all([rotate(keyId, {}, async202), rotate(keyId, {}, async202)]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([202, 409]);

    const other = await makeActiveKey(api, { developer_id });
    await developerRows(api.deps.db).setActive(developer_id, false);
    expect(await rotate(other.keyId)).toMatchObject({ status: 409, body: { code: "developer.inactive" } });
    expect((await rotate(other.keyId, { grace_period_minutes: -1 })).status).toBe(422);
  });

  test.each([
    ["openai", "retiring"],
    ["azure_openai", "revoking"],
  ] as const)("again within a grace period: at %s the key before the old one is then %s", async (vendor, expected) => {
    await api.storeVendor(vendor);
    const first = await makeActiveKey(api, { vendor });
    const again = async (keyId: KeyId) => {
      const { status, body } = await rotate(keyId, { grace_period_minutes: 60 }, async202);
      expect(status).toBe(202);
      await issueKey(api.deps, body.job_id);
      return body;
    };
    const second = await again(first.keyId);
    expect((await claim(api, second.job_id, second.claim_token)).status).toBe(200);
    expect(await keyOf(api, first.keyId)).toMatchObject({ status: "retiring", retire_at: expect.any(Date) });

    const third = await again(second.key_id);
    expect((await keyOf(api, first.keyId)).status).toBe(expected);
    // The key that is being replaced keeps working, and gets its own grace.
    expect((await keyOf(api, second.key_id)).status).toBe("retiring");
    expect((await keyOf(api, third.key_id)).status).toBe("active");
    const isEnded = expected === "revoking";
    expect(await auditOf(api, first.keyId)).toEqual([
      "key.provision requested",
      "key.claim succeeded",
      ...(isEnded ? ["key.rotate requested"] : []),
    ]);
    expect((await keyOf(api, first.keyId)).status_reason).toBe(
      isEnded ? "rotated again within the grace period: the vendor has room for two keys" : null,
    );
  });

  test("again is refused while nobody has taken the new key, where the vendor has room for two only", async () => {
    await api.storeVendor("azure_openai");
    const first = await makeActiveKey(api, { vendor: "azure_openai" });
    const { body } = await rotate(first.keyId, {}, async202);
    await issueKey(api.deps, body.job_id);
    const refused = await rotate(body.key_id, {}, async202);
    expect(refused).toMatchObject({ status: 409, body: { code: "key.not_active" } });
    expect(refused.body.detail).toContain(`${first.keyId}, which it replaces, is still in use`);
    expect((await keyOf(api, first.keyId)).status).toBe("retiring");
  });

  test("gives the same job for the same Idempotency-Key, and the key once", async () => {
    const { keyId } = await makeActiveKey(api);
    worker = startFakeWorker(api.deps);
    const headers = { "idempotency-key": "rotate-1" };
    const first = await rotate(keyId, {}, headers);
    const second = await rotate(keyId, {}, headers);
    expect(second).toMatchObject({ status: 200, body: { job_id: first.body.job_id, api_key: null } });
    expect(second.body.new_key_id).toBe(first.body.new_key_id);
    expect((await jobOf(api, first.body.job_id)).kind).toBe("rotate");
  });
});
