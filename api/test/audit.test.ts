import { writeAudit } from "@keygate/shared/db/audit";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
const total = 1203;

beforeAll(async () => {
  api = await createApiHarness();
  const entries = Array.from({ length: total }, (_one, i) => ({
    action: i % 2 ? "key.provision" : "key.revoke",
    actor: { name: i % 3 ? "ada@acme.test" : "system:expiry", id: "test", ipAddress: "192.0.2.7" },
    resourceType: "key",
    resourceId: `key-${i % 10}`,
    details: { outcome: "succeeded" as const, number: i },
  }));
  await writeAudit(api.deps.db, entries);
});
afterAll(() => api?.close());

const numbers = (events: { details: { number: number } }[]) => events.map((event) => event.details.number);

test("the log is newest first, 50 at a time, with the published fields", async () => {
  const { body, headers } = await api.call("GET", "/audit");
  expect(body).toHaveLength(50);
  expect(body[0]).toEqual({
    id: expect.stringMatching(/^evt-/),
    action: "key.revoke",
    actor: "ada@acme.test",
    resource_type: "key",
    resource_id: "key-2",
    details: { outcome: "succeeded", number: total - 1 },
    ip_address: "192.0.2.7",
    created_at: expect.stringMatching(/Z$/),
  });
  expect(headers.get("link")).toMatch(/^<\/api\/v1\/audit\?cursor=[\w-]+>; rel="next"$/);
});

test("following the pages shows every row once, in order", async () => {
  const seen: number[] = [];
  let path: string | undefined = "/audit?limit=500";
  while (path) {
    const answer = await api.call("GET", path);
    seen.push(...numbers(answer.body));
    path = /^<\/api\/v1(.+)>;/.exec(answer.headers.get("link") ?? "")?.[1];
  }
  expect(seen).toEqual(Array.from({ length: total }, (_one, i) => total - 1 - i));
});

test("filters combine: action, actor, resource and time", async () => {
  const { body } = await api.call("GET", "/audit?action=key.provision&actor=system:expiry&resource_id=key-3&limit=500");
  const expected = Array.from({ length: total }, (_one, i) => i).filter((i) => i % 2 && i % 3 === 0 && i % 10 === 3);
  expect(numbers(body)).toEqual(expected.toReversed());
  expect((await api.call("GET", "/audit?until=2020-01-01T00:00:00Z")).body).toEqual([]);
  expect((await api.call("GET", "/audit?since=2100-01-01T00:00:00%2B02:00")).body).toEqual([]);
  expect(
    (await api.call("GET", "/audit?since=2020-01-01T00:00:00Z&until=2100-01-01T00:00:00Z&limit=500")).body,
  ).toHaveLength(500);
});

test("the export holds every row of every page, one JSON object per line", async () => {
  const answer = await api.call("GET", "/audit/export?format=rows");
  expect(answer.headers.get("content-type")).toBe("application/x-ndjson");
  expect(answer.headers.get("content-disposition")).toMatch(
    /attachment; filename="keygate-audit-\d{4}-\d\d-\d\d\.ndjson"/,
  );
  const events = answer.text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(numbers(events)).toEqual(Array.from({ length: total }, (_one, i) => total - 1 - i));
  const filtered = await api.call("GET", "/audit/export?format=rows&resource_id=key-3&action=key.provision");
  expect(filtered.text.trimEnd().split("\n")).toHaveLength(Math.floor((total - 4) / 10) + 1);
  expect((await api.call("GET", "/audit/export?format=rows&actor=nobody")).text).toBe("");
});

test("an auditor reads all of it", async () => {
  for (const path of ["/audit", "/audit/export", "/dashboard/stats", "/vendors", "/developers", "/keys", "/jobs"]) {
    expect((await api.call("GET", path, { token: api.auditor.token })).status, path).toBe(200);
  }
});

test("the overview counts people, keys and vendors, and shows the latest events", async () => {
  const { body: developer } = await api.call("POST", "/developers", {
    body: { name: "Ada", email: "ada@acme.test", team: "engines" },
  });
  await api.storeVendor();
  await api.addKey({ developerId: developer.id });
  const { body } = await api.call("GET", "/dashboard/stats");
  expect(body).toMatchObject({
    total_developers: 1,
    active_developers: 1,
    active_keys: 1,
    vendors_configured: 1,
    keys_by_vendor: { openai: 1 },
    keys_by_team: { engines: 1 },
    jobs_waiting_for_a_person: 0,
    keys_expiring_within_7_days: 0,
    revocations_overdue: 0,
  });
  const today = new Date().toISOString().slice(0, 10);
  expect(body.keys_by_day).toHaveLength(30);
  expect(body.keys_by_day.at(-1)).toEqual({ day: today, made: 0, ended: 0 });
  expect(body.recent_events).toHaveLength(10);
  expect(body.recent_events[0].action).toBe("developer.create");
});

test("the overview's history counts by day what jobs made and ended, of the last thirty days and nothing older", async () => {
  const midnight = Date.parse(`${new Date().toISOString().slice(0, 10)}T00:00:01Z`);
  const dayMs = 86_400_000;
  let n = 0;
  const addJob = (daysAgo: number, kind: string, state: string) => {
    const at = midnight - daysAgo * dayMs;
    const time = at.toString(16).padStart(12, "0");
    const id = `job-${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${String(++n).padStart(12, "0")}`;
    return sql`insert into jobs (id, kind, state, input, priority, requested_by, requested_by_id, created_at, finished_at)
      values (${id}, ${kind}, ${state}, '{}', 5, 'test', 'test', ${new Date(at)}, ${new Date(at)})`.execute(
      api.deps.db,
    );
  };
  for (const kind of ["provision", "rotate", "revoke", "check"]) await addJob(2, kind, "succeeded");
  await addJob(2, "provision", "failed");
  await addJob(29, "revoke", "succeeded");
  await addJob(30, "revoke", "succeeded");
  await addJob(200, "provision", "succeeded");
  const { body } = await api.call("GET", "/dashboard/stats");
  const dayOf = (daysAgo: number) => new Date(midnight - daysAgo * dayMs).toISOString().slice(0, 10);
  expect(body.keys_by_day.filter(({ made, ended }: { made: number; ended: number }) => made + ended > 0)).toEqual([
    { day: dayOf(29), made: 0, ended: 1 },
    { day: dayOf(2), made: 2, ended: 1 },
  ]);
  expect(body.keys_by_day).toHaveLength(30);
});
