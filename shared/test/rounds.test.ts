import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../embedded/test-support/database.ts";
import type { JobId } from "../src/contracts/ids.ts";
import { type Db, openDatabase } from "../src/db/client.ts";
import { jobRows, type Lease, leaseJob } from "../src/db/jobs.ts";
import { sagaStepRows } from "../src/db/saga-steps.ts";

let database: TestDatabase;
let db: Db;
beforeAll(async () => {
  database = await createTestDatabase();
  db = openDatabase({ url: database.url, poolMax: 4, applicationName: "rounds" });
});
afterAll(async () => {
  await db.destroy();
  await database.drop();
});

const actor = { name: "rounds@test.example", id: "usr-rounds", ipAddress: null };
async function insertJobs(count: number): Promise<JobId[]> {
  const jobs = Array.from({ length: count }, () => ({
    kind: "check" as const,
    input: {},
    vendor: "openai" as const,
    keyId: null,
    actor,
  }));
  return (await jobRows(db).insert(jobs)).map(({ id }) => id);
}
const leaseOf = (jobId: JobId): Lease => ({ jobId, token: randomUUID() });
const take = (lease: Lease) => leaseJob(db)({ ...lease, seconds: 30 });
async function leased(count: number): Promise<Lease[]> {
  const leases = (await insertJobs(count)).map(leaseOf);
  await Promise.all(leases.map(take));
  return leases;
}
const start = { name: "first-step", position: 1, of: 2 };
const next = { name: "second-step", position: 2, of: 2 };
const journalOf = async ({ jobId }: Lease) =>
  (await sagaStepRows(db).list(jobId)).map(({ name, status }) => `${name} ${status}`);

/** Holds a job's row locked until the answer is called. */
async function lockJob(jobId: JobId): Promise<() => Promise<void>> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: isLocked, resolve: locked } = Promise.withResolvers<void>();
  const transaction = db.transaction().execute(async (tx) => {
    await jobRows(tx).lock(jobId);
    locked();
    await released;
  });
  await isLocked;
  return async () => {
    release();
    await transaction;
  };
}

/** How many transactions wrote the journals' rows of that step. */
async function transactionsOf(leases: readonly Lease[], step: string): Promise<number | undefined> {
  const ids = leases.map(({ jobId }) => jobId);
  const { rows } = await sql<{ n: number }>`
    select count(distinct xmin::text) as n from saga_steps where name = ${step} and job_id = any(${ids}::text[])`.execute(
    db,
  );
  return rows[0]?.n;
}

describe("leases that are asked for together", () => {
  test("are given each to one, with whether it is the first", async () => {
    const [a, b] = (await insertJobs(2)) as [JobId, JobId];
    const [first, second] = [leaseOf(a), leaseOf(b)];
    const rows = await Promise.all([take(first), take(second), take(leaseOf(a)), take(leaseOf(b))]);
    const given = rows.filter((row) => row !== null);
    expect(given.map(({ id }) => id).sort()).toEqual([a, b].sort());
    expect(given.map(({ is_first_try }) => is_first_try)).toEqual([true, true]);
    expect(given.map(({ state }) => state)).toEqual(["running", "running"]);
  });

  test("leave out what somebody has locked, and wait for nobody", async () => {
    const [locked, free] = (await insertJobs(2)) as [JobId, JobId];
    const unlock = await lockJob(locked);
    const [left, given] = await Promise.all([take(leaseOf(locked)), take(leaseOf(free))]);
    expect([left, given?.id]).toEqual([null, free]);
    expect(await jobRows(db).dueInMs(locked)).toBe(0);
    await unlock();
    expect((await take(leaseOf(locked)))?.id).toBe(locked);
  });
});

describe("entries that are written into the journal together", () => {
  test("are one transaction, each fenced by its own lease", async () => {
    const leases = await leased(20);
    const stale = { ...(leases[7] as Lease), token: randomUUID() };
    const steps = sagaStepRows(db);
    await Promise.all(leases.map((lease) => steps.start(lease, start)));
    const all = [...leases.filter((_, index) => index !== 7), stale];
    const results = await Promise.allSettled(
      all.map((lease) => steps.finish(lease, { name: "first-step", made: { projectId: "p" } }, next)),
    );
    expect(results.filter(({ status }) => status === "rejected").length).toBe(1);
    expect(results.at(-1)).toMatchObject({ status: "rejected", reason: { code: "job.lease_lost" } });
    expect(await transactionsOf(leases, "second-step")).toBe(1);
    expect(await journalOf(leases[0] as Lease)).toEqual(["first-step done", "second-step started"]);
    expect(await journalOf(leases[7] as Lease)).toEqual(["first-step started"]);
  });

  test("fail alone when PostgreSQL cannot keep what one of them made", async () => {
    const [good, bad, other] = (await leased(3)) as [Lease, Lease, Lease];
    const steps = sagaStepRows(db);
    await Promise.all([good, bad, other].map((lease) => steps.start(lease, start)));
    const finish = (lease: Lease, name: string) =>
      steps.finish(lease, { name: "first-step", made: { projectName: name } }, next);
    const results = await Promise.allSettled([finish(good, "a"), finish(bad, "\0"), finish(other, "b")]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(await journalOf(bad)).toEqual(["first-step started"]);
    expect(await journalOf(other)).toEqual(["first-step done", "second-step started"]);
  });

  test("do not wait for one whose row is locked, which is written once it is free", async () => {
    const [locked, free] = (await leased(2)) as [Lease, Lease];
    const steps = sagaStepRows(db);
    const unlock = await lockJob(locked.jobId);
    let isWritten = false;
    const late = steps.start(locked, start).then(() => {
      isWritten = true;
    });
    await steps.start(free, start);
    await steps.finish(free, { name: "first-step", made: {} }, next);
    expect([isWritten, await journalOf(locked)]).toEqual([false, []]);
    await unlock();
    await late;
    expect(await journalOf(locked)).toEqual(["first-step started"]);
  });

  test("end a step only that was started", async () => {
    const [lease] = (await leased(1)) as [Lease];
    const finish = sagaStepRows(db).finish(lease, { name: "never-started", made: {} }, next);
    await expect(finish).rejects.toMatchObject({ code: "job.lease_lost" });
    expect(await journalOf(lease)).toEqual([]);
  });
});
