import type { JobId } from "@keygate/shared/contracts/ids";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { openVendorSettings } from "@keygate/shared/vendor-settings";
import { sql } from "kysely";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
});
afterAll(() => api?.close());
afterEach(async () => {
  await sql`delete from vendor_configs`.execute(api.deps.db);
  await sql`update jobs set state = 'cancelled' where kind = 'check' and finished_at is null`.execute(api.deps.db);
});

const adminKey = "sk-admin-0123RECOGNISABLE456789abcd";
const configure = (extra: Record<string, unknown> = {}) =>
  api.call("POST", "/vendors/configure", { body: { vendor: "openai", admin_api_key: adminKey, ...extra } });

/** Ends the next check with the report given, as a worker would. */
async function answerNextCheck(result: unknown): Promise<JobId> {
  const find = async () =>
    (await jobRows(api.deps.db).list({ kind: "check", status: "queued", limit: 1 })).items[0]?.id;
  await expect.poll(find).toBeDefined();
  const id = (await find()) as JobId;
  await api.finishJob(id, "succeeded", { result });
  return id;
}

test("configuring stores the credential encrypted, tries it, and answers with what was found", async () => {
  const report = { ok: true, findings: [{ name: "admin key", ok: true, detail: "It works." }], missing: [] };
  const [answer] = await Promise.all([configure({ org_id: "org-1" }), answerNextCheck(report)]);
  expect(answer.status).toBe(200);
  expect(answer.body).toEqual({
    status: "ok",
    vendor: "openai",
    check: { ...report, checked_at: expect.stringMatching(/Z$/) },
  });
  const row = await vendorConfigRows(api.deps.db).find("openai");
  expect(JSON.stringify(row)).not.toContain("RECOGNISABLE");
  const opened = row && openVendorSettings(api.deps.keyring, row, {});
  expect(opened?.adminKey.reveal()).toBe(adminKey);
});

test("the list shows a masked hint, the source, health and who enforces what", async () => {
  await api.storeVendor();
  const { body } = await api.call("GET", "/vendors");
  expect(body).toEqual([
    {
      vendor: "openai",
      title: "OpenAI",
      admin_key_hint: expect.stringContaining("..."),
      org_id: null,
      configured_at: expect.any(String),
      source: "api",
      health: { status: "unknown", detail: null, since: null },
      throttling: { jobs_waiting: 0, next_try_at: null },
      enforces: expect.objectContaining({
        budget: { enforced_by: "vendor", delay: expect.any(String), fine_print: expect.any(String) },
      }),
      active_keys: 0,
      simulated: false,
    },
  ]);
});

test("a credential that does not work is stored all the same, and the answer says why", async () => {
  const findings = [{ name: "admin key", ok: false, detail: "The vendor says 401." }];
  const [answer] = await Promise.all([
    configure(),
    answerNextCheck({ ok: false, findings, missing: ["api.management.write"] }),
  ]);
  expect(answer.status).toBe(200);
  expect(answer.body.check).toMatchObject({ ok: false, findings, missing: ["api.management.write"] });
  expect(await vendorConfigRows(api.deps.db).find("openai")).toBeDefined();
});

test("without a worker the credential is stored and the check says that nobody answered", async () => {
  const impatient = { ...api.deps, jobWatcher: { ...api.deps.jobWatcher, waitFor: async () => null } };
  const response = await createApp(impatient).request("/api/v1/vendors/configure", {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${api.owner.token}` },
    body: JSON.stringify({ vendor: "openai", admin_api_key: adminKey }),
  });
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    status: "ok",
    check: { ok: false, findings: [{ ok: false, detail: expect.stringContaining("no worker answered within 20 s") }] },
  });
  expect(await vendorConfigRows(api.deps.db).find("openai")).toBeDefined();
});

test("a wrong extra_config is 422 with the path of each field, and nothing is stored", async () => {
  const before = await api.countRows();
  const answer = await configure({ extra_config: { base_url: "not a url", unknown: 1 } });
  expect(answer.status).toBe(422);
  expect(answer.body.errors.map((one: { field: string }) => one.field).sort()).toEqual([
    "extra_config.base_url",
    "extra_config.unknown",
  ]);
  expect((await configure({ admin_api_key: "   " })).status).toBe(422);
  expect(await api.countRows()).toEqual(before);
});

test("a new credential puts the jobs to work that waited for one", async () => {
  await api.storeVendor();
  const actor = { name: "test", id: "test", ipAddress: null };
  const [waiting] = await jobRows(api.deps.db).insert([
    { kind: "check", input: {}, vendor: "openai", keyId: null, actor, state: "waiting_for_vendor", delaySeconds: 900 },
  ]);
  const [answer] = await Promise.all([configure(), answerNextCheck({ ok: true, findings: [], missing: [] })]);
  expect(answer.status).toBe(200);
  const woken = waiting && (await jobRows(api.deps.db).find(waiting.id));
  expect(woken?.run_at.getTime()).toBeLessThanOrEqual(Date.now() + 1000);
});

test("a check on demand answers with the report; an unconfigured vendor is 404", async () => {
  expect((await api.call("POST", "/vendors/openai/check")).body).toMatchObject({
    status: 404,
    code: "vendor.not_found",
  });
  await api.storeVendor();
  const checkedAt = "2026-01-02T03:04:05.000Z";
  const report = { ok: true, checked_at: checkedAt, findings: [], missing: [] };
  const [answer] = await Promise.all([api.call("POST", "/vendors/openai/check"), answerNextCheck(report)]);
  expect(answer.body).toEqual(report);
  const log = (await api.call("GET", "/audit?action=vendor.check")).body;
  expect(log).toMatchObject([{ resource_id: "openai", details: { outcome: "requested" } }]);
});

test("a vendor with live keys is removed only by force, which names what it leaves behind", async () => {
  await api.storeVendor();
  const { body: developer } = await api.call("POST", "/developers", { body: { name: "Ada", email: "ada@acme.test" } });
  const key = await api.addKey({ developerId: developer.id });
  const refused = await api.call("DELETE", "/vendors/openai");
  expect(refused.body).toMatchObject({ status: 409, code: "vendor.has_live_keys" });
  expect((await api.call("DELETE", "/vendors/openai?force=false")).status).toBe(409);
  const removed = await api.call("DELETE", "/vendors/openai?force");
  expect(removed.body).toEqual({ status: "removed", vendor: "openai", keys_left: 1 });
  expect((await keyRows(api.deps.db).find(key.id))?.status).toBe("active");
  const log = (await api.call("GET", "/audit?action=vendor.remove")).body;
  expect(log[0].details).toMatchObject({ forced: true, keys_left: 1, keys: [key.id] });
  expect((await api.call("DELETE", "/vendors/openai")).status).toBe(404);
  await keyRows(api.deps.db).markRevoking([key.id], "test");
  await keyRows(api.deps.db).markEnded(key.id, "revoked");
});

test("a vendor of the environment would come back, so removing it takes force too", async () => {
  await api.storeVendor();
  await sql`update vendor_configs set source = 'environment'`.execute(api.deps.db);
  const refused = await api.call("DELETE", "/vendors/openai");
  expect(refused.body).toMatchObject({ status: 409, code: "vendor.from_environment" });
  expect((await api.call("DELETE", "/vendors/openai?force=1")).status).toBe(200);
});

test("the credential stands in no log line, audit row or job", async () => {
  await Promise.all([configure(), answerNextCheck({ ok: true, findings: [], missing: [] })]);
  const tables = await Promise.all(
    ["audit_events", "jobs", "idempotency_keys"].map((name) =>
      sql`select * from ${sql.table(name)}`.execute(api.deps.db),
    ),
  );
  const everything = JSON.stringify(tables.map(({ rows }) => rows)) + api.logLines.join("");
  expect(everything.includes("RECOGNISABLE")).toBe(false);
});
