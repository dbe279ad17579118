import type { JobId } from "@keygate/shared/contracts/ids";
import type { KeyRow } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { putJobBack } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

describe("debt", () => {
  let api: ApiHarness;
  let key: KeyRow;
  let jobId: JobId;
  const words = { code: "vendor.refused", title: "Refused", detail: "OpenAI says: not today." };

  beforeAll(async () => {
    api = await createApiHarness();
    await api.storeVendor();
    const developer = await api.call("POST", "/developers", { body: { name: "Ada", email: "ada@acme.test" } });
    key = await api.addKey({ developerId: developer.body.id });
    const revoked = await api.call("POST", `/keys/${key.id}/revoke`, { headers: { prefer: "respond-async" } });
    jobId = revoked.body.job_id;
    expect((await api.call("GET", "/debt")).body).toEqual([]);
    await putJobBack(api.deps, jobId, "needs_attention", { error: words });
  });
  afterAll(() => api.close());

  const auditOf = async (action: string) => (await api.call("GET", `/audit?action=${action}`)).body;

  it("is listed with age, reason and owner", async () => {
    const { status, body } = await api.call("GET", "/debt?vendor=openai", { token: api.auditor.token });
    expect(status).toBe(200);
    expect(body).toMatchObject([
      {
        job_id: jobId,
        kind: "revoke",
        status: "needs_attention",
        key_id: key.id,
        key_status: "revoking",
        reason: words.detail,
        code: words.code,
        owner: { developer_id: key.developer_id, name: "Ada", team: "default" },
        requested_by: api.owner.email,
        written_off: null,
      },
    ]);
    expect(body[0].age_seconds).toBeGreaterThanOrEqual(0);
    expect((await api.call("GET", "/debt?vendor=anthropic")).body).toEqual([]);
  });

  it("is tried when an admin asks, with an audit row; a job that owes nothing is refused", async () => {
    const retried = await api.call("POST", `/debt/${jobId}/retry`);
    expect(retried.status).toBe(202);
    expect(retried.headers.get("location")).toBe(`/api/v1/jobs/${jobId}`);
    expect(await auditOf("debt.retry")).toMatchObject([{ resource_id: jobId, details: { outcome: "requested" } }]);
    expect((await api.call("POST", `/debt/${jobId}/retry`, { token: api.auditor.token })).status).toBe(403);
    const other = await api.addKey({ developerId: key.developer_id });
    const young = await api.call("POST", `/keys/${other.id}/revoke`, { headers: { prefer: "respond-async" } });
    const refused = await api.call("POST", `/debt/${young.body.job_id}/retry`);
    expect([refused.status, refused.body.code]).toEqual([409, "job.not_debt"]);
    const absent = jobId.replace(/.{12}$/, "000000000000");
    expect((await api.call("POST", `/debt/${absent}/retry`)).status).toBe(404);
  });

  it("is written off with a reason, stays on the list as that, and can be taken up again", async () => {
    expect((await api.call("POST", `/debt/${jobId}/write-off`, { body: {} })).status).toBe(422);
    const written = await api.call("POST", `/debt/${jobId}/write-off`, { body: { reason: "account closed" } });
    expect(written.status).toBe(200);
    expect(written.body.written_off).toMatchObject({ by: api.owner.email, reason: "account closed" });
    expect(await auditOf("debt.write_off")).toMatchObject([
      { resource_id: jobId, actor: api.owner.email, details: { outcome: "succeeded", reason: "account closed" } },
    ]);
    expect((await api.call("GET", "/debt")).body).toEqual([]);
    expect((await api.call("GET", "/debt?include_written_off=true")).body).toHaveLength(1);
    expect((await api.call("GET", `/keys/${key.id}`)).body.status).toBe("revoking");
    const twice = await api.call("POST", `/debt/${jobId}/write-off`, { body: { reason: "once more" } });
    expect([twice.status, twice.body.code]).toEqual([409, "job.not_debt"]);

    expect((await api.call("POST", `/debt/${jobId}/retry`)).body.written_off).toBeNull();
    const listed = await api.call("GET", "/debt");
    expect(must(listed.body[0], "the debt").written_off).toBeNull();
  });
});
