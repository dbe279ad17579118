import { jobRows } from "@keygate/shared/db/jobs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createBacklog } from "../src/keys/backlog.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { addDeveloper } from "./keys-support.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

describe("more requests for keys than a vendor keeps up with", () => {
  test("are turned away with 429 and Retry-After, rotations too, while revocations are taken", async () => {
    let at = 0;
    api.deps.backlog = createBacklog(jobRows(api.deps.db).countMaking, 2, () => at);
    const developerId = await addDeveloper(api);
    const ask = () => {
      at += 1_000;
      const body = { vendor: "openai", developer_id: developerId };
      return api.call("POST", "/keys/provision", { body, headers: { prefer: "respond-async" } });
    };
    const taken = [await ask(), await ask()];
    expect(taken.map(({ status }) => status)).toEqual([202, 202]);
    const before = await api.countRows();
    const refused = await ask();
    expect(refused).toMatchObject({ status: 429, body: { code: "request.throttled" } });
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    const active = await api.addKey({ developerId });
    expect(await api.call("POST", `/keys/${active.id}/rotate`, { body: {} })).toMatchObject({ status: 429 });
    expect((await api.countRows()).jobs).toBe(before.jobs);

    const revoked = await api.call("POST", `/keys/${active.id}/revoke`, { headers: { prefer: "respond-async" } });
    expect(revoked.status).toBe(202);
    await api.finishJob(taken[0]?.body.job_id, "failed");
    expect((await ask()).status).toBe(202);
  });
});
