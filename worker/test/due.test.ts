import { priorities } from "@keygate/shared/contracts/jobs";
import { jobRows } from "@keygate/shared/db/jobs";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { endDueKeys } from "../src/processors/sweep.ts";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { createHarness, type Harness } from "./harness.ts";

// No worker runs here: what the sweep asks for, and in which order the queue is told, is all in the rows.

let fixture: RunningFixture;
let world: Harness;

beforeAll(async () => {
  fixture = await openaiFixture.start();
  world = await createHarness({ backend: "postgres", settings: fixture.settings });
});
afterAll(async () => {
  await world.close();
  await fixture.close();
});

const due = 1_500;

it("works a pile of due keys off oldest first, a bounded number at a time, behind a person's revoke", async () => {
  const { db } = world.deps;
  const { keyId } = await world.provision();
  // Copies of one key that all came to their end while nobody was there; the copy with the highest number longest ago.
  await sql`insert into keys (id, developer_id, vendor, status, project_name, description, budget_micros, rate_limit_rpm,
      lineage_id, simulated, created_by, activated_at, expires_at)
    select 'key-due-' || lpad(n::text, 5, '0'), developer_id, vendor, 'active', project_name || '-' || n, '', 0, 0,
      'key-due-' || lpad(n::text, 5, '0'), false, 'test', now(), now() - make_interval(secs => n)
    from keys, generate_series(1, ${due}) as n where keys.id = ${keyId}`.execute(db);

  const asked = async () => {
    const { rows } = await sql<{ key_id: string; priority: number }>`
      select key_id, priority from jobs where kind = 'revoke' order by key_id desc`.execute(db);
    return rows;
  };
  await endDueKeys(world.deps);
  const first = await asked();
  expect(first.length).toBeGreaterThan(0);
  expect(first.length).toBeLessThanOrEqual(500);
  const oldest = Array.from({ length: first.length }, (_, n) => `key-due-${String(due - n).padStart(5, "0")}`);
  expect(first.map((job) => job.key_id)).toEqual(oldest);
  expect(new Set(first.map((job) => job.priority))).toEqual(new Set([priorities.expire]));

  for (let rounds = 0; (await asked()).length < due && rounds < due; rounds++) await endDueKeys(world.deps);
  expect(await asked()).toHaveLength(due);

  // The queue is lost. Of all that has to be told to it again, the youngest job, a person's revoke, comes first.
  await sql`insert into keys (id, developer_id, vendor, status, project_name, description, budget_micros, rate_limit_rpm,
      lineage_id, simulated, created_by, activated_at)
    select 'key-person', developer_id, vendor, 'active', project_name || '-p', '', 0, 0, 'key-person', false, 'test', now()
    from keys where id = ${keyId}`.execute(db);
  const revoke = await world.revoke("key-person" as typeof keyId);
  await sql`update jobs set enqueued_at = null`.execute(db);
  const offered = await jobRows(db).takeForQueue(10, 5);
  expect(offered).toHaveLength(10);
  expect(offered.map(({ id }) => id)).toContain(revoke);
});
