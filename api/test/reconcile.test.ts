import type { DeveloperId } from "@keygate/shared/contracts/ids";
import { type NewFinding, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

const unmanaged = (id: string, over: Partial<NewFinding["resource"]> = {}): NewFinding => ({
  kind: "unmanaged",
  resourceType: "key",
  resourceId: id,
  resource: {
    name: "Eve's key",
    ref: { projectId: "proj_1", keyId: id },
    removal: { refusal: "It stands in a project that KeyGate did not make." },
    adoption: {
      vendorRef: { projectId: "proj_1", keyId: id, sharesContainer: true },
      hint: "sk-pro...eve",
      expiresAt: null,
      lineageId: null,
    },
    ...over,
  },
  keyId: null,
  details: { detail: "A key that KeyGate does not manage.", container: "proj_1" },
  suggestedAction: "adopt",
});

describe("reconcile", () => {
  let api: ApiHarness;
  let developerId: DeveloperId;
  let runId: number;

  beforeAll(async () => {
    api = await createApiHarness();
    await api.storeVendor();
    const developer = await api.call("POST", "/developers", { body: { name: "Ada", email: "ada@acme.test" } });
    developerId = developer.body.id;
    runId = (await reconcileRunRows(api.deps.db).open("openai", 1)).id;
  });
  afterAll(() => api.close());

  const find = async (found: NewFinding) =>
    (await reconcileFindingRows(api.deps.db).note("openai", runId, found)).row.id;

  it("looks when an admin asks, at configured vendors, and joins a look that is under way", async () => {
    const first = await api.call("POST", "/reconcile", { body: {} });
    expect(first.status).toBe(202);
    expect(first.body.jobs).toMatchObject([{ vendor: "openai", status: "queued" }]);
    const second = await api.call("POST", "/reconcile", { body: { vendor: "openai" } });
    expect(second.body.jobs[0].job_id).toBe(first.body.jobs[0].job_id);
    expect((await api.call("POST", "/reconcile", { body: {}, token: api.auditor.token })).status).toBe(403);
    const none = await api.call("POST", "/reconcile", { body: { vendor: "anthropic" } });
    expect([none.status, none.body.code]).toEqual([409, "vendor.not_configured"]);
    const report = await api.call("GET", "/reconcile", { token: api.auditor.token });
    expect(report.body.runs).toMatchObject([
      { vendor: "openai", state: "running", job_id: first.body.jobs[0].job_id, resources_seen: 0 },
    ]);
  });

  it("shows findings with their age and what to do, never the references that a removal starts from", async () => {
    await find(unmanaged("key_shown"));
    const { body, text } = await api.call("GET", "/reconcile?kind=unmanaged&vendor=openai");
    expect(body.findings).toMatchObject([
      {
        kind: "unmanaged",
        resource: { type: "key", id: "key_shown", name: "Eve's key" },
        suggested_action: "adopt",
        can_adopt: true,
        can_remove: false,
        sightings: 1,
        resolved_at: null,
      },
    ]);
    expect(body.findings[0].age_seconds).toBeGreaterThanOrEqual(0);
    expect(text).not.toContain("sharesContainer");
    expect((await api.call("GET", "/reconcile?kind=ghost")).body.findings).toEqual([]);
  });

  it("adopts an unmanaged key for a developer, once, so that it can be revoked", async () => {
    const id = await find(unmanaged("key_adopted"));
    const adopted = await api.call("POST", `/reconcile/${id}/adopt`, { body: { developer_id: developerId } });
    expect(adopted.status).toBe(200);
    expect(adopted.body).toMatchObject({
      developer_id: developerId,
      vendor: "openai",
      status: "active",
      key_hint: "sk-pro...eve",
      description: "Adopted: Eve's key",
    });
    const detail = await api.call("GET", `/keys/${adopted.body.id}`);
    expect(detail.body).toMatchObject({ limits: [], instructions: null });
    const again = await api.call("POST", `/reconcile/${id}/adopt`, { body: { developer_id: developerId } });
    expect([again.status, again.body.code]).toEqual([409, "finding.resolved"]);
    const audit = (await api.call("GET", `/audit?resource_id=${adopted.body.id}`)).body;
    expect(audit).toMatchObject([{ action: "key.adopt", details: { vendor_key: "key_adopted" } }]);
    const revoked = await api.call("POST", `/keys/${adopted.body.id}/revoke`, { headers: { prefer: "respond-async" } });
    expect(revoked.status).toBe(202);
  });

  it("says why it does not adopt or remove", async () => {
    const id = await find(unmanaged("key_refused", { adoption: { refusal: "Two keys of equal power." } }));
    const adopt = await api.call("POST", `/reconcile/${id}/adopt`, { body: { developer_id: developerId } });
    expect([adopt.status, adopt.body.code, adopt.body.detail]).toEqual([
      409,
      "finding.not_adoptable",
      "Two keys of equal power.",
    ]);
    const remove = await api.call("POST", `/reconcile/${id}/remove`);
    expect([remove.status, remove.body.code]).toEqual([409, "finding.not_removable"]);
    const absent = id.replace(/.{12}$/, "000000000000");
    expect((await api.call("POST", `/reconcile/${absent}/remove`)).status).toBe(404);
  });

  it("removes an orphan by a job, and asks once", async () => {
    const id = await find({
      ...unmanaged("proj_orphan", { removal: { how: "dismantle" } }),
      kind: "orphan",
      resourceType: "container",
    });
    const first = await api.call("POST", `/reconcile/${id}/remove`);
    expect(first.status).toBe(202);
    expect(first.body).toMatchObject({ kind: "remove_orphan", status: "queued", vendor: "openai" });
    expect((await api.call("POST", `/reconcile/${id}/remove`)).body.id).toBe(first.body.id);
    expect((await api.call("GET", `/audit?action=reconcile.remove`)).body).toHaveLength(1);
  });
});
