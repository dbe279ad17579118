import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startOpenAi, type TestOpenAi } from "./openai-support.ts";

let openai: TestOpenAi;
beforeAll(async () => {
  openai = await startOpenAi();
});
beforeEach(() => openai.server.reset());
afterAll(() => openai.server.close());

describe("projects", () => {
  it("makes another project at each create, also of the same name", async () => {
    const [a, b] = [await openai.project("same"), await openai.project("same")];
    expect(a).not.toBe(b);
    expect((await openai.admin("GET", "/projects")).body.data).toHaveLength(3);
  });

  it("renames a project and reads it back", async () => {
    const id = await openai.project();
    expect((await openai.admin("POST", `/projects/${id}`, { name: "new" })).body.name).toBe("new");
    expect((await openai.admin("GET", `/projects/${id}`)).body).toMatchObject({ id, name: "new", status: "active" });
    expect((await openai.admin("GET", "/projects/proj_none")).status).toBe(404);
  });

  it("has a default project that refuses to be changed, archived or used", async () => {
    const id = openai.books().projects.find((project) => project.default)?.id;
    expect((await openai.admin("POST", `/projects/${id}`, { name: "x" })).status).toBe(400);
    expect((await openai.admin("POST", `/projects/${id}/archive`)).status).toBe(400);
    expect((await openai.admin("POST", `/projects/${id}/service_accounts`, { name: "x" })).status).toBe(400);
  });

  it("archives for good: hidden from the list, closed to changes, its accounts and keys dead", async () => {
    const id = await openai.project();
    const { accountId, keyId, secret } = await openai.key(id);
    expect((await openai.admin("POST", `/projects/${id}/archive`)).body).toMatchObject({ id, status: "archived" });
    const ids = async (query: string) =>
      (await openai.admin("GET", `/projects${query}`)).body.data.map((project: { id: string }) => project.id);
    expect(await ids("")).not.toContain(id);
    expect(await ids("?include_archived=true")).toContain(id);
    for (const [method, path, body] of [
      ["POST", "", { name: "x" }],
      ["POST", "/archive", undefined],
      ["POST", "/service_accounts", { name: "x" }],
      ["GET", "/service_accounts", undefined],
      ["DELETE", `/service_accounts/${accountId}`, undefined],
      ["POST", "/spend_limit", { threshold_amount: 1, currency: "USD", interval: "month" }],
    ] as const) {
      expect([path, (await openai.admin(method, `/projects/${id}${path}`, body)).status]).toEqual([path, 400]);
    }
    expect((await openai.admin("DELETE", `/projects/${id}/api_keys/${keyId}`)).status).toBe(404);
    expect((await openai.as(secret, "GET", "/models")).status).toBe(401);
  });

  it("stops at the organization's maximum of projects", async () => {
    openai.server.mergeSettings({ projects_max: 2 });
    await openai.project();
    expect((await openai.admin("POST", "/projects", { name: "x" })).status).toBe(400);
  });
});

describe("pages", () => {
  async function walk(path: string, limit: number): Promise<string[]> {
    const ids: string[] = [];
    let after = "";
    for (let guard = 0; guard < 50; guard += 1) {
      const { body } = await openai.admin("GET", `${path}${path.includes("?") ? "&" : "?"}limit=${limit}${after}`);
      ids.push(...body.data.map((item: { id: string }) => item.id));
      if (!body.has_more) return ids;
      after = `&after=${body.last_id}`;
    }
    throw new Error("no end");
  }

  it("leads through a list of any length without gaps or doubles", async () => {
    const made = [];
    for (let i = 0; i < 7; i += 1) made.push(await openai.project(`p${i}`));
    const all = await walk("/projects", 3);
    expect(new Set(all).size).toBe(8);
    expect(all.slice(0, 7)).toEqual(made.toReversed());
    expect(await walk("/projects", 100)).toEqual(all);
  });

  it("shows twenty at first", async () => {
    for (let i = 0; i < 25; i += 1) await openai.project();
    const { body } = await openai.admin("GET", "/projects");
    expect([body.data.length, body.has_more, body.first_id]).toEqual([20, true, body.data[0].id]);
  });

  it("goes on from a cursor whose thing is gone meanwhile", async () => {
    const ids = [await openai.project(), await openai.project(), await openai.project()];
    const { body } = await openai.admin("GET", "/projects?limit=1");
    await openai.admin("POST", `/projects/${body.last_id}/archive`);
    expect((await openai.admin("GET", `/projects?limit=1&after=${body.last_id}`)).body.data[0].id).toBe(ids[1]);
  });

  it("goes backwards where the vendor does", async () => {
    const path = `/projects/${await openai.project()}/rate_limits`;
    const rows = (await openai.admin("GET", path)).body.data.map((row: { id: string }) => row.id);
    const back = (await openai.admin("GET", `${path}?limit=2&before=${rows[4]}`)).body;
    expect([back.data.map((row: { id: string }) => row.id), back.has_more]).toEqual([rows.slice(2, 4), true]);
  });

  it("shows new things late when lists lag, while reading by id works at once", async () => {
    openai.server.mergeSettings({ list_lag_ms: 5_000 });
    const id = await openai.project();
    expect((await openai.admin("GET", `/projects/${id}`)).status).toBe(200);
    expect(await walk("/projects", 100)).not.toContain(id);
    openai.server.advanceClock(5_000);
    expect(await walk("/projects", 100)).toContain(id);
  });
});
