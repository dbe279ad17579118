import type { DeveloperId } from "@keygate/shared/contracts/ids";
import { isFinal } from "@keygate/shared/contracts/jobs";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
});
afterAll(() => api?.close());

let count = 0;
async function register(values: Record<string, unknown> = {}) {
  count += 1;
  const body = { name: "Ada Lovelace", email: `ada${count}@acme.test`, ...values };
  return (await api.call("POST", "/developers", { body })).body;
}
const auditOf = async (id: string) => (await api.call("GET", `/audit?resource_id=${id}`)).body;

/** Confirms every revocation of a developer's keys, as a worker and its sweep would. */
async function confirmRevocations(developerId: DeveloperId) {
  const keys = await keyRows(api.deps.db).lockLive({ developer_id: developerId });
  for (const job of await jobRows(api.deps.db).findRevocations(keys.map((key) => key.id))) {
    if (job.key_id) await keyRows(api.deps.db).markEnded(job.key_id, "revoked");
    await api.finishJob(job.id, "succeeded");
  }
  await jobRows(api.deps.db).finishBatches();
}

describe("developers", () => {
  test("registering answers with the published fields and defaults", async () => {
    const body = { name: "  Grace Hopper ", email: " Grace@ACME.test ", team: "" };
    const answer = await api.call("POST", "/developers", { body });
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({
      id: expect.stringMatching(/^dev-/),
      name: "Grace Hopper",
      email: "grace@acme.test",
      team: "default",
      role: "developer",
      is_active: true,
      active_key_count: 0,
      vendors: [],
      workspace_ids: [],
      created_at: expect.stringMatching(/Z$/),
    });
    expect(await auditOf(answer.body.id)).toMatchObject([
      {
        action: "developer.create",
        actor: api.owner.email,
        ip_address: "127.0.0.1",
        details: { outcome: "succeeded" },
      },
    ]);
  });

  test("a taken e-mail is 400 and changes nothing, however it is written", async () => {
    const { email } = await register();
    const before = await api.countRows();
    const answer = await api.call("POST", "/developers", { body: { name: "Other", email: email.toUpperCase() } });
    expect(answer.status).toBe(400);
    expect(answer.body).toMatchObject({ code: "developer.email_taken", errors: [{ field: "email" }] });
    expect(await api.countRows()).toEqual(before);
  });

  test("one of two registrations at once with the same e-mail wins", async () => {
    const body = { name: "Twin", email: "twin@acme.test" };
    const answers = await Promise.all(Array.from({ length: 5 }, () => api.call("POST", "/developers", { body })));
    expect(answers.map((answer) => answer.status).sort()).toEqual([200, 400, 400, 400, 400]);
  });

  test("editing keeps what is not named; a taken e-mail is 400", async () => {
    const one = await register({ team: "engines" });
    const other = await register();
    const edited = await api.call("PATCH", `/developers/${one.id}`, { body: { name: "Ada King" } });
    expect(edited.body).toEqual({ ...one, name: "Ada King" });
    const taken = await api.call("PATCH", `/developers/${one.id}`, { body: { email: other.email } });
    expect(taken.status).toBe(400);
    const role = await api.call("PUT", `/developers/${one.id}/role`, { body: { role: "billing" } });
    expect(role.body.role).toBe("billing");
    expect((await api.call("GET", `/developers/${one.id}`)).body).toEqual({
      ...one,
      name: "Ada King",
      role: "billing",
    });
    expect((await auditOf(one.id)).map((event: { action: string }) => event.action)).toEqual([
      "developer.set_role",
      "developer.update",
      "developer.create",
    ]);
  });

  test("the list pages by keyset, names the next page, and filters by team and activity", async () => {
    const ids = [];
    for (let i = 0; i < 5; i += 1) ids.push((await register({ team: "paging" })).id);
    await api.call("DELETE", `/developers/${ids[0]}`);
    const seen: string[] = [];
    let path = "/developers?team=paging&active_only=false&limit=2";
    for (let page = 0; page < 3; page += 1) {
      const answer = await api.call("GET", path);
      seen.push(...answer.body.map((one: { id: string }) => one.id));
      const link = /^<\/api\/v1(.+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
      if (page < 2) expect(link).toContain("team=paging&active_only=false&limit=2&cursor=");
      else expect(link).toBeUndefined();
      path = link ?? path;
    }
    expect(seen).toEqual(ids.toReversed());
    const active = await api.call("GET", "/developers?team=paging");
    expect(active.body).toHaveLength(4);
  });
});

describe("deactivation", () => {
  test("a developer without keys is deactivated at once, and twice is fine", async () => {
    const { id } = await register();
    for (let i = 0; i < 2; i += 1) {
      const answer = await api.call("DELETE", `/developers/${id}`);
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({ status: "deactivated", keys_revoked: 0, job_id: null });
    }
    const actions = (await auditOf(id)).map((event: { action: string }) => event.action);
    expect(actions).toEqual(["developer.deactivate", "developer.create"]);
  });

  test("every live key is asked to die; the call answers 202 when the vendor takes longer than its patience", async () => {
    const { id } = await register();
    const keys = [await api.addKey({ developerId: id }), await api.addKey({ developerId: id })];
    const { id: otherId } = await register();
    const foreign = await api.addKey({ developerId: otherId });
    const headers = { prefer: "respond-async" };
    const answer = await api.call("DELETE", `/developers/${id}`, { headers });
    expect(answer.status).toBe(202);
    expect(answer.body).toEqual({ status: "deactivated", keys_revoked: 0, job_id: expect.stringMatching(/^job-/) });
    expect(answer.headers.get("location")).toBe(`/api/v1/jobs/${answer.body.job_id}`);
    for (const key of keys) expect((await keyRows(api.deps.db).find(key.id))?.status).toBe("revoking");
    expect((await keyRows(api.deps.db).find(foreign.id))?.status).toBe("active");

    const again = await api.call("DELETE", `/developers/${id}`, { headers });
    expect(again.status).toBe(202);
    expect(again.body.job_id).toBe(answer.body.job_id);

    await confirmRevocations(id);
    const batch = await jobRows(api.deps.db).find(answer.body.job_id);
    expect(batch && isFinal(batch.state)).toBe(true);
    expect((await api.call("DELETE", `/developers/${id}`)).body).toMatchObject({ keys_revoked: 0, job_id: null });
  });

  test("the call waits for the vendor and then counts the keys that are confirmed dead", async () => {
    const { id } = await register();
    await api.addKey({ developerId: id });
    await api.addKey({ developerId: id });
    const waiting = api.call("DELETE", `/developers/${id}`, { headers: { prefer: "wait=20" } });
    await expect
      .poll(
        async () => (await keyRows(api.deps.db).list({ developer_id: id, status: "revoking", limit: 9 })).items.length,
      )
      .toBe(2);
    await confirmRevocations(id);
    const answer = await waiting;
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ status: "deactivated", keys_revoked: 2, job_id: expect.any(String) });
  });
});

describe("members", () => {
  test("are the developers, with a status, suspended ones included", async () => {
    const invited = await api.call("POST", "/members/invite", { body: { name: "Mary", email: "mary@acme.test" } });
    expect(invited.status).toBe(200);
    expect(invited.body).toMatchObject({ id: expect.stringMatching(/^dev-/), status: "active", team: "default" });
    const role = await api.call("PUT", `/members/${invited.body.id}/role`, { body: { role: "viewer" } });
    expect(role.body).toMatchObject({ role: "viewer", status: "active" });
    const suspended = await api.call("POST", `/members/${invited.body.id}/suspend`);
    expect(suspended.status).toBe(200);
    expect(suspended.body).toEqual({
      ...role.body,
      is_active: false,
      status: "suspended",
      keys_revoked: 0,
      job_id: null,
    });
    const list = await api.call("GET", "/members?limit=500");
    expect(list.body.find((one: { id: string }) => one.id === invited.body.id)).toMatchObject({ status: "suspended" });
  });
});
