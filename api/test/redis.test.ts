import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestRedis, type TestRedis } from "../../embedded/test-support/redis.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let redis: TestRedis;
let api: ApiHarness;
beforeAll(async () => {
  redis = await createTestRedis({ private: true });
  api = await createApiHarness({ env: { REDIS_URL: redis.url } });
});
afterAll(async () => {
  await api?.close();
  await redis?.drop();
});

const ready = () => api.call("GET", "~/ready", { token: null });

test("with BullMQ on Redis the API is ready and the board shows its queues", async () => {
  await expect
    .poll(async () => (await ready()).body.checks)
    .toEqual({ database: "ok", queue: "ok", credentials: "ok" });
  const authorization = `Basic ${Buffer.from(`${api.owner.email}:${api.owner.password}`).toString("base64")}`;
  const { body } = await api.call("GET", "~/queues/api/queues", { token: null, headers: { authorization } });
  expect(body.queues.map((queue: { name: string }) => queue.name)).toContain("vendor-openai");
});

test("without Redis it says so at /ready, and a deactivation is kept all the same", async () => {
  const { body: ada } = await api.call("POST", "/developers", { body: { name: "Ada", email: "ada@acme.test" } });
  await api.addKey({ developerId: ada.id });
  await redis.server?.stop();
  await expect.poll(async () => (await ready()).status).toBe(503);
  const startedAt = performance.now();
  const answer = await api.call("DELETE", `/developers/${ada.id}`, { headers: { prefer: "respond-async" } });
  expect(answer.status).toBe(202);
  expect(performance.now() - startedAt).toBeLessThan(5_000);
  expect((await api.call("GET", `/jobs?parent_id=${answer.body.job_id}`)).body).toMatchObject([
    { kind: "revoke", status: "queued" },
  ]);
});
