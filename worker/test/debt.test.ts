import { debtRows } from "@keygate/shared/db/debt";
import { jobRows } from "@keygate/shared/db/jobs";
import { must } from "@keygate/shared/errors";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { createHarness, type Harness } from "./harness.ts";
import { reconcileHand, until } from "./reconcile-support.ts";

const everything = { limit: 100, include_written_off: "true" } as const;
const open = { limit: 100, include_written_off: "false" } as const;

describe("revocation debt", () => {
  let fixture: RunningFixture;
  let world: Harness;
  let worker: { close(): Promise<void> };

  beforeAll(async () => {
    fixture = await openaiFixture.start();
    world = await createHarness({ backend: "postgres", settings: fixture.settings, env: { WORKER_CONCURRENCY: "2" } });
    worker = world.start();
  });
  afterAll(async () => {
    await worker.close();
    await world.close();
    await fixture.close();
  });

  const server = () => must(fixture.servers[0], "server");
  const tries = (projectId: string) =>
    server()
      .calls()
      .filter(({ method, path }) => method === "DELETE" && path.includes(projectId)).length;

  async function owe() {
    const hand = reconcileHand(world, "openai");
    const key = await hand.key();
    const { projectId } = z.object({ projectId: z.string() }).parse(key.vendor_ref);
    const body = { error: { message: "The project is under legal hold.", type: "invalid_request_error" } };
    server().faults.add({
      match: { method: "DELETE", path: projectId },
      times: 0,
      when: "before",
      do: { type: "respond", status: 400, body },
    });
    const jobId = await world.revoke(key.id);
    await world.settle(jobId, "needs_attention");
    return { key, jobId, projectId };
  }

  it("is listed in the vendor's words, tried slowly, and stands in nobody's way", async () => {
    const owed = await Promise.all(Array.from({ length: 4 }, () => owe()));
    const { items } = await debtRows(world.deps.db).list(open);
    expect(items).toHaveLength(4);
    expect(items[0]).toMatchObject({
      kind: "revoke",
      status: "needs_attention",
      vendor: "openai",
      key_status: "revoking",
      reason: "OpenAI says: The project is under legal hold.",
      owner: { name: "Ada Lovelace", team: "engines" },
      requested_by: "system:test",
      attempts: 1,
      written_off: null,
    });
    const nextTry = Date.parse(must(items[0]?.next_try_at, "the next try")) - Date.now();
    expect(nextTry).toBeGreaterThan(3 * 60_000);
    expect(nextTry).toBeLessThan(7 * 60_000);
    expect(await debtRows(world.deps.db).counts()).toMatchObject([{ vendor: "openai", debts: 4 }]);

    const hand = reconcileHand(world, "openai");
    const other = await hand.key();
    const begun = Date.now();
    await hand.revoke(other.id);
    expect(Date.now() - begun).toBeLessThan(2_000);
    for (const { key } of owed) expect(await world.statusOf(key.id)).toBe("revoking");
    server().faults.clear();
    for (const { jobId } of owed) {
      await world.deps.enqueue([must(await debtRows(world.deps.db).tryNow(jobId), "the job")]);
      await world.settle(jobId, "succeeded");
    }
    expect((await debtRows(world.deps.db).list(everything)).items).toEqual([]);
  });

  it("is tried once when somebody asks, and stays slow", async () => {
    const { jobId, projectId } = await owe();
    const before = tries(projectId);
    await world.deps.enqueue([must(await debtRows(world.deps.db).tryNow(jobId), "the job")]);
    await until(async () => (await jobRows(world.deps.db).find(jobId))?.attempts === 2, "the second try");
    const job = must(await jobRows(world.deps.db).find(jobId), "the job");
    expect(job.run_at.getTime() - Date.now()).toBeGreaterThan(60_000);
    expect(tries(projectId)).toBe(before + 1);
  });

  it("is not tried any more once it is written off, and the key never says that it is revoked", async () => {
    const { key, jobId, projectId } = await owe();
    const debts = debtRows(world.deps.db);
    expect(await debts.writeOff(jobId, "ada@acme.test", "the organization is gone")).toBe(true);
    expect(await debts.writeOff(jobId, "ada@acme.test", "again")).toBe(false);
    expect((await debts.list(open)).items.map(({ job_id }) => job_id)).not.toContain(jobId);
    const listed = (await debts.list(everything)).items.find(({ job_id }) => job_id === jobId);
    expect(listed).toMatchObject({
      next_try_at: null,
      written_off: { by: "ada@acme.test", reason: "the organization is gone" },
    });

    const before = tries(projectId);
    await sql`update jobs set run_at = now(), enqueued_at = null where id = ${jobId}`.execute(world.deps.db);
    await world.deps.enqueue([must(await jobRows(world.deps.db).find(jobId), "the job")]);
    await reconcileHand(world, "openai").key();
    expect(tries(projectId)).toBe(before);
    expect(await world.statusOf(key.id)).toBe("revoking");

    server().faults.clear();
    expect(await world.revoke(key.id)).toBe(jobId);
    await world.settle(jobId, "succeeded");
    expect(await world.statusOf(key.id)).toBe("revoked");
    const actions = await world.deps.db
      .selectFrom("audit_events")
      .select(["action", "details"])
      .where("resource_id", "=", jobId)
      .execute();
    expect(actions).toMatchObject([{ action: "debt.retry", details: { was_written_off: true } }]);
  });

  it("lets a batch end that waits for nothing but what was written off", async () => {
    const { key, jobId } = await owe();
    const [batch] = await jobRows(world.deps.db).insert([
      {
        kind: "batch_revoke",
        input: { keysTotal: 1 },
        vendor: null,
        keyId: null,
        state: "running",
        actor: { name: "test", id: "test", ipAddress: null },
      },
    ]);
    const { id } = must(batch, "the batch");
    await jobRows(world.deps.db).joinBatch(jobId, id);
    await debtRows(world.deps.db).writeOff(jobId, "ada@acme.test", "enough");
    await until(async () => (await jobRows(world.deps.db).find(id))?.state === "succeeded", "the batch's end");
    expect((await jobRows(world.deps.db).batchProgress([id])).get(id)).toEqual({ total: 1, succeeded: 0, failed: 1 });
    expect(await world.statusOf(key.id)).toBe("revoking");
  });
});
