import type { JobId, KeyId } from "@keygate/shared/contracts/ids";
import type { FindingKind } from "@keygate/shared/contracts/reconcile";
import { systemActor } from "@keygate/shared/db/audit";
import { jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { type FindingRow, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { must } from "@keygate/shared/errors";
import { sql } from "kysely";
import type { Harness } from "./harness.ts";

const actor = systemActor("test");
/** A scan that is not held back; pacing has tests of its own. */
export const fastPace = {
  RECONCILE_CALLS_PER_MINUTE: "openai=100000,anthropic=100000,azure_openai=100000,google_vertex=100000",
};

export async function until(isTrue: () => Promise<boolean> | boolean, what: string, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await isTrue())) {
    if (Date.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** What a test does to a world that is reconciled. */
export function reconcileHand(world: Harness, vendor: KeyRow["vendor"]) {
  const { db } = world.deps;
  const findings = reconcileFindingRows(db);
  const listed = async (status: "open" | "resolved") =>
    (await findings.list({ vendor, status, limit: 500 })).items.toReversed();

  const hand = {
    /** Until what jobs did is older than the settle time: nothing is judged before. */
    async quiet(): Promise<void> {
      await until(async () => {
        const { rows } = await sql<{ n: number }>`select count(*) as n from jobs where kind <> 'reconcile'
          and (state not in ('succeeded', 'failed', 'cancelled') or finished_at > now() - interval '500 ms')`.execute(
          db,
        );
        return rows[0]?.n === 0;
      }, "no job for half a second");
    },
    async ask(): Promise<JobId> {
      const [job] = await jobRows(db).insert([{ kind: "reconcile", input: { vendor }, vendor, keyId: null, actor }]);
      const row = must(job, "the reconcile job");
      await world.deps.enqueue([row]);
      return row.id;
    },
    /** One whole look; returns what is open afterwards. */
    async look(): Promise<FindingRow[]> {
      await hand.quiet();
      const job = await world.settle(await hand.ask());
      if (job.state !== "succeeded") throw new Error(`reconcile ${job.state}: ${JSON.stringify(job.error)}`);
      return listed("open");
    },
    /** Looks until the removal of something has been asked for and worked; returns what was found. */
    async lookUntilRemoved(findingId: string): Promise<FindingRow> {
      for (let looks = 0; looks < 10; looks++) {
        await hand.look();
        const row = [...(await listed("open")), ...(await listed("resolved"))].find(({ id }) => id === findingId);
        if (!row?.removal_job_id) continue;
        await world.settle(row.removal_job_id, "succeeded");
        return row;
      }
      throw new Error("its removal was never asked for");
    },
    open: () => listed("open"),
    resolved: () => listed("resolved"),
    of: (all: readonly FindingRow[], kind: FindingKind) => all.filter((finding) => finding.kind === kind),
    /** A key that works, taken by its developer. */
    async key(): Promise<KeyRow> {
      const asked = await world.provision();
      await world.settle(asked.jobId, "succeeded");
      await asked.take();
      return must(await keyRows(db).find(asked.keyId), "the key");
    },
    async revoke(keyId: KeyId): Promise<void> {
      await world.settle(await world.revoke(keyId), "succeeded");
    },
    /** The database forgets the key; what the audit log says of it stays. */
    async forget(keyId: KeyId): Promise<void> {
      await sql`delete from handoffs where job_id in (select id from jobs where key_id = ${keyId})`.execute(db);
      await sql`delete from saga_steps where job_id in (select id from jobs where key_id = ${keyId})`.execute(db);
      await sql`delete from jobs where key_id = ${keyId}`.execute(db);
      await sql`delete from keys where id = ${keyId}`.execute(db);
    },
    /** As if the job had failed and its undoing had missed something. */
    async pretendFailed(keyId: KeyId): Promise<void> {
      await sql`update jobs set state = 'failed', finished_at = now() where key_id = ${keyId}`.execute(db);
      await sql`update keys set status = 'failed' where id = ${keyId}`.execute(db);
    },
    /** As the API does it. */
    async remove(finding: FindingRow): Promise<void> {
      const [job] = await jobRows(db).insert([
        { kind: "remove_orphan", input: { findingId: finding.id }, vendor, keyId: null, actor },
      ]);
      const row = must(job, "the removal");
      await findings.setRemovalJob(finding.id, row.id);
      await world.deps.enqueue([row]);
      const ended = await world.settle(row.id);
      if (ended.state !== "succeeded") throw new Error(`removal ${ended.state}: ${JSON.stringify(ended.error)}`);
    },
    async auditOf(finding: FindingRow): Promise<string[]> {
      const rows = await db
        .selectFrom("audit_events")
        .select("action")
        .where("resource_id", "=", finding.id)
        .orderBy("seq")
        .execute();
      return rows.map(({ action }) => action);
    },
  };
  return hand;
}
