import { reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Contract, contractOf } from "./contract.ts";
import { type FakeWorker, startFakeWorker } from "./fake-worker.ts";
import { type Answer, type ApiHarness, type Call, createApiHarness } from "./harness.ts";
import { makeClaimableKey } from "./keys-support.ts";

let api: ApiHarness;
let contract: Contract;
let worker: FakeWorker;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
  contract = contractOf((await api.call("GET", "~/openapi.json")).body);
  worker = startFakeWorker(api.deps, {
    check: (job) => api.finishJob(job.id, "succeeded", { result: { ok: true, findings: [], missing: [] } }),
  });
});
afterAll(async () => {
  await worker?.stop();
  await api?.close();
});

/** Calls, and holds the answer against the document. */
async function call(method: string, path: string, status: number, options: Call = {}): Promise<Answer> {
  const answer = await api.call(method, path, options);
  expect(answer.status, `${method} ${path}: ${answer.text.slice(0, 300)}`).toBe(status);
  expect(contract.faultsOf(method, path, answer)).toEqual([]);
  return answer;
}
const ok = async (method: string, path: string, body?: unknown) =>
  (await call(method, path, 200, body === undefined ? {} : { body })).body;

// Each needs a vendor's doing; their own tests hold their answers against the contracts.
const elsewhere = [
  "POST /jobs/{id}/input",
  "PUT /jobs/{id}/receiver",
  "POST /jobs/{id}/retry",
  "POST /jobs/{id}/cancel",
  "POST /debt/{job_id}/retry",
  "POST /debt/{job_id}/write-off",
  "POST /reconcile/{id}/adopt",
  "POST /reconcile/{id}/remove",
  "POST /claims/{job_id}/dispute",
];

test("what the API answers is what its document says: fields, types, statuses and media types", async () => {
  // People
  const password = "a long enough password";
  const { body: session } = await call("POST", "/auth/session", 200, {
    body: { email: api.admin.email, password: api.admin.password },
    token: null,
    headers: { "x-requested-by": "keygate-dashboard" },
  });
  expect(session.email).toBe(api.admin.email);
  await call("DELETE", "/auth/session", 200, { token: null, headers: { "x-requested-by": "keygate-dashboard" } });
  const invited = await ok("POST", "/users/invite", { email: "new@keygate.test", role: "admin" });
  const linkToken = invited.one_time_link.split("#")[1];
  await call("POST", "/auth/links/inspect", 200, { body: { link_token: linkToken }, token: null });
  await call("POST", "/auth/links/use", 200, { body: { link_token: linkToken, new_password: password }, token: null });
  await call("POST", "/auth/links/use", 410, { body: { link_token: linkToken, new_password: password }, token: null });
  const signedIn = await call("POST", "/auth/login", 200, {
    body: { email: "new@keygate.test", password },
    token: null,
  });
  const token = signedIn.body.access_token;
  await call("POST", "/auth/password", 200, {
    body: { current_password: password, new_password: `${password}!` },
    token,
  });
  await call("POST", "/auth/login", 401, { body: { email: "new@keygate.test", password }, token: null });
  await ok("POST", `/users/${invited.user.id}/link`, {});
  await ok("PUT", `/users/${invited.user.id}/role`, { role: "auditor" });
  await ok("GET", `/users/${invited.user.id}`);
  await ok("GET", "/users");
  await ok("DELETE", `/users/${invited.user.id}`);
  const made = await ok("POST", "/tokens", { name: "ci", scopes: ["read", "keys:provision"] });
  await call("GET", "/auth/me", 200, { token: made.token });
  await ok("GET", "/auth/me");
  await ok("GET", "/tokens?status=all");
  await ok("GET", `/tokens/${made.id}`);
  await ok("DELETE", `/tokens/${made.id}`);

  // Vendors
  await ok("POST", "/vendors/configure", { vendor: "openai", admin_api_key: "sk-admin-test-0123456789abcdef" });
  await ok("POST", "/vendors/openai/check", {});
  const [vendor] = await ok("GET", "/vendors");
  expect(vendor.admin_key_hint).toContain("...");

  // Developers, under both names
  const ada = await ok("POST", "/developers", { name: "Ada Lovelace", email: "ada@acme.test" });
  expect(ada).toMatchObject({ team: "default", role: "developer", is_active: true, active_key_count: 0 });
  await call("POST", "/developers", 400, { body: { name: "Ada again", email: "ADA@acme.test" } });
  const bob = await ok("POST", "/members/invite", { name: "Bob", email: "bob@acme.test" });
  await ok("PUT", `/members/${bob.id}/role`, { role: "developer" });
  await ok("GET", "/members");
  await ok("GET", "/developers?team=default&active_only=true&limit=1");
  await ok("GET", `/developers/${ada.id}`);
  await ok("PATCH", `/developers/${ada.id}`, { team: "research" });
  await ok("PUT", `/developers/${ada.id}/role`, { role: "developer" });

  // Workspaces
  const space = await ok("POST", "/workspaces", { name: "Research", spend_limit: 500, rate_limit_rpm: 100 });
  await call("POST", "/workspaces", 409, { body: { name: "research" } });
  await ok("POST", `/workspaces/${space.id}/members`, { developer_id: ada.id });
  await ok("PUT", `/workspaces/${space.id}/members/${ada.id}/role`, { role: "admin" });
  await ok("GET", `/workspaces/${space.id}/members`);
  await ok("GET", "/workspaces");
  await ok("GET", `/workspaces/${space.id}`);
  await ok("PUT", `/workspaces/${space.id}`, { description: "For trying out" });

  // Keys and jobs
  const order = { developer_id: ada.id, vendor: "openai", workspace_id: space.id };
  const issued = await call("POST", "/keys/provision", 200, { body: order, headers: { prefer: "wait=20" } });
  expect(issued.headers.get("preference-applied")).toBe("wait=20");
  expect(issued.body).toMatchObject({
    budget_limit_usd: 50,
    project_name: expect.stringMatching(/^keygate-research-ada/),
  });
  const later = await call("POST", "/keys/provision", 202, { body: order, headers: { prefer: "respond-async" } });
  expect(later.headers.get("location")).toBe(`/api/v1/jobs/${later.body.job_id}`);
  expect(later.headers.get("preference-applied")).toBe("respond-async");
  await call("POST", `/jobs/${later.body.job_id}/claim`, 200, {
    body: { claim_token: later.body.claim_token },
    token: null,
  });
  await call("POST", `/jobs/${later.body.job_id}/claim`, 410, {
    body: { claim_token: later.body.claim_token },
    token: null,
  });
  await ok("GET", `/keys/${issued.body.key_id}`);
  const list = await call("GET", "/keys?vendor=openai&status=all&limit=1", 200);
  expect(list.headers.get("link")).toMatch(/^<\/api\/v1\/keys\?.*cursor=.*>; rel="next"$/);
  const rotated = await ok("POST", `/keys/${issued.body.key_id}/rotate`, { grace_period_minutes: 5 });
  expect(rotated).toMatchObject({ old_key_id: issued.body.key_id, new_key_id: rotated.key_id });
  await ok("POST", `/keys/${rotated.key_id}/revoke`, {});
  await ok("POST", "/keys/find-by-secret", { text: issued.body.api_key });
  await ok("POST", "/keys/revoke", { key_ids: [later.body.key_id] });
  await ok("GET", "/jobs?vendor=openai&limit=2");
  await ok("GET", `/jobs/${later.body.job_id}`);
  await call("GET", `/jobs/${later.body.job_id}/events`, 200);
  const waiting = await makeClaimableKeyWithout(worker);
  await call("GET", `/claims/${waiting}`, 200, { token: null });
  await call("POST", `/claims/${waiting}/challenge`, 200, { body: {}, token: null });

  // Operations
  const run = await reconcileRunRows(api.deps.db).open("openai", 1);
  await reconcileFindingRows(api.deps.db).note("openai", run.id, {
    kind: "unmanaged",
    resourceType: "key",
    resourceId: "key_1",
    resource: { name: "Eve's key", ref: {}, removal: { refusal: "no" }, adoption: { refusal: "no" } },
    keyId: null,
    details: { detail: "A key that KeyGate does not manage." },
    suggestedAction: "adopt",
  });
  await ok("GET", "/reconcile");
  await call("POST", "/reconcile", 202, { body: {} });
  await ok("GET", "/debt");
  await ok("GET", "/audit?limit=5");
  await ok("GET", "/audit/verify");
  await call("GET", "/audit/export?format=rows", 200);
  await ok("GET", "/dashboard/stats");
  await ok("GET", "/search?q=ada");

  // The end of all of it
  const gone = await ok("DELETE", `/developers/${ada.id}`);
  expect(gone).toMatchObject({ status: "deactivated", keys_revoked: expect.any(Number), job_id: expect.any(String) });
  await ok("POST", `/members/${bob.id}/suspend`, {});
  await ok("DELETE", `/workspaces/${space.id}/members/${ada.id}`);
  await ok("POST", `/workspaces/${space.id}/archive`, {});
  await ok("DELETE", "/vendors/openai?force=true");

  const missed = contract.operations.filter((name) => !contract.succeeded.has(name)).sort();
  expect(missed).toEqual([...elsewhere].sort());
});

/** The worker is stopped: it would be faster than the claim page. */
async function makeClaimableKeyWithout(running: FakeWorker): Promise<string> {
  await running.stop();
  const { jobId } = await makeClaimableKey(api);
  worker = startFakeWorker(api.deps, {
    check: (job) => api.finishJob(job.id, "succeeded", { result: { ok: true, findings: [], missing: [] } }),
  });
  return jobId;
}

test("a query parameter that an operation does not have is refused everywhere, and HEAD is like GET", async () => {
  const before = await api.countRows();
  for (const name of contract.operations) {
    const [method = "", template = ""] = name.split(" ");
    const path = template
      .replace("{vendor}", "openai")
      .replace("{job_id}", "job-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11")
      .replace("{dev}", "dev-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11")
      .replace(/\{id\}/, "key-0192f0a1-7c3e-7b6a-9d53-2f6c0a4e8b11");
    const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
    const answer = await api.call(method, `${path}?zz_unknown=1`, body);
    const fields = answer.body.errors?.map(({ field }: { field: string }) => field);
    expect([answer.status, fields], name).toEqual([422, ["zz_unknown"]]);
  }
  for (const path of ["/keys", "/developers", "/audit", "/vendors"]) {
    expect((await api.call("HEAD", `${path}?zz_unknown=1`)).status, path).toBe(422);
    const head = await api.call("HEAD", path);
    expect([head.status, head.text], path).toEqual([200, ""]);
    const slash = await api.call("GET", `${path}/`);
    expect(slash.body, path).toMatchObject({ status: 404, code: "request.not_found" });
    const options = await api.call("OPTIONS", path);
    expect([options.status, options.headers.get("allow")], path).toEqual([405, expect.stringContaining("GET")]);
  }
  expect(await api.countRows()).toEqual(before);
});
