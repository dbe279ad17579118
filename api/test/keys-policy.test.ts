import { developerRows } from "@keygate/shared/db/developers";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { type WorkspaceValues, workspaceRows } from "@keygate/shared/db/workspaces";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { addDeveloper, askForKey, makeActiveKey, makeClaimableKey } from "./keys-support.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

describe("what is asked before the vendor hears of a provision", () => {
  const newWorkspace = async (values: Partial<WorkspaceValues> = {}) => {
    const name = `W ${Math.random()}`;
    const base = { name, description: "", color: "#000000", spend_limit_micros: null, rate_limit_rpm: null };
    return must(await workspaceRows(api.deps.db).insert({ ...base, ...values }), "the workspace");
  };

  test("no developer, an unknown one, a deactivated one", async () => {
    expect(await askForKey(api, { developer_id: "dev-1" })).toMatchObject({ status: 404 });
    const unknown = await askForKey(api, { developer_id: newId("dev") });
    expect(unknown).toMatchObject({ status: 404, body: { code: "developer.not_found" } });
    const developer_id = await addDeveloper(api);
    await developerRows(api.deps.db).setActive(developer_id, false);
    expect(await askForKey(api, { developer_id })).toMatchObject({ status: 409, body: { code: "developer.inactive" } });
  });

  test("a vendor that is not configured", async () => {
    await vendorConfigRows(api.deps.db).remove("openai");
    const answer = await askForKey(api);
    await api.storeVendor();
    expect(answer).toMatchObject({ status: 409, body: { code: "vendor.not_configured" } });
  });

  test("a workspace that is unknown, archived or not the developer's", async () => {
    const rows = workspaceRows(api.deps.db);
    expect(await askForKey(api, { workspace_id: newId("ws") })).toMatchObject({ status: 404 });
    const workspace_id = await newWorkspace();
    const stranger = await askForKey(api, { workspace_id });
    expect(stranger).toMatchObject({ status: 409, body: { code: "workspace.not_a_member" } });
    await rows.archive(workspace_id);
    expect(await askForKey(api, { workspace_id })).toMatchObject({ status: 409, body: { code: "workspace.archived" } });
  });

  test("a workspace's rate and budget, with the figures, also when two ask at once", async () => {
    const workspace_id = await newWorkspace({ spend_limit_micros: 100_000_000, rate_limit_rpm: 100 });
    const developer_id = await addDeveloper(api);
    await workspaceRows(api.deps.db).addMember(workspace_id, developer_id, "member");
    const ask = (more: object) => askForKey(api, { developer_id, workspace_id, budget_limit_usd: 60, ...more });

    const fast = await ask({ rate_limit_rpm: 101 });
    expect(fast).toMatchObject({ status: 409, body: { code: "workspace.limit_exceeded" } });
    expect(fast.body.detail).toMatch(/100 requests per minute; 101/);

    const answers = await Promise.all([ask({}), ask({})]);
    expect(answers.map((answer) => answer.status).sort()).toEqual([202, 409]);
    const refused = must(
      answers.find((answer) => answer.status === 409),
      "the refused one",
    );
    expect(refused.body.detail).toMatch(/\$100\.00 a month.*\$60\.00.*leaves \$40\.00; \$60\.00/);
    expect((await ask({ budget_limit_usd: 40 })).status).toBe(202);
  });

  test("a role, a token, known fields", async () => {
    const developer_id = await addDeveloper(api);
    expect((await askForKey(api, { developer_id }, { token: null })).status).toBe(401);
    expect((await askForKey(api, { developer_id }, { token: api.auditor.token })).status).toBe(403);
    expect((await askForKey(api, { developer_id }, { token: api.admin.token })).status).toBe(202);
    expect((await askForKey(api, { developer_id, budget: 5 })).status).toBe(422);
    expect((await askForKey(api, { developer_id, vendor: "acme" })).status).toBe(422);
  });
});

describe("reading keys", () => {
  test("lists by page, newest first, active ones unless asked otherwise, and never the secret", async () => {
    const developer_id = await addDeveloper(api);
    const made = [];
    for (let i = 0; i < 3; i++) made.push(await makeActiveKey(api, { developer_id }));
    const pending = (await askForKey(api, { developer_id })).body.key_id;
    const first = await api.call("GET", `/keys?developer_id=${developer_id}&limit=2`);
    const next = must(/<\/api\/v1(.*)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1], "the next page");
    const second = await api.call("GET", next);
    expect(second.headers.get("link")).toBeNull();
    const keys = [...first.body, ...second.body];
    expect(keys.map((key) => key.key_id)).toEqual(made.map((key) => key.keyId).reverse());
    expect(keys[0]).toMatchObject({
      id: keys[0].key_id,
      developer_name: "Ada Lovelace",
      team: "core",
      status: "active",
    });
    for (const { secret } of made) expect(first.text + second.text).not.toContain(secret);
    const all = await api.call("GET", `/keys?developer_id=${developer_id}&status=all`);
    expect(all.body.map((key: { id: string }) => key.id)).toContain(pending);
  });

  test("shows one with its limits, its resources at the vendor and its newest job", async () => {
    const { keyId, jobId } = await makeClaimableKey(api);
    const { body } = await api.call("GET", `/keys/${keyId}`, { token: api.auditor.token });
    expect(body).toMatchObject({ id: keyId, job_id: jobId, limits: [], vendor_resources: { projectId: "proj_1" } });
    expect(await api.call("GET", `/keys/${newId("key")}`)).toMatchObject({
      status: 404,
      body: { code: "key.not_found" },
    });
    expect((await api.call("GET", "/keys/key-1")).status).toBe(404);
  });
});
