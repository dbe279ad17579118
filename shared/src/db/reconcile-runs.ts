import { type Selectable, sql } from "kysely";
import type { JobId } from "../contracts/ids.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import { KeyGateError } from "../errors.ts";
import { type Db, json, type Tx } from "./client.ts";
import type { Lease } from "./jobs.ts";
import type { Database, JobError, JobWaiting } from "./schema.ts";

export type RunRow = Selectable<Database["reconcile_runs"]>;

const columns = [
  "id",
  "vendor",
  "config_version",
  "cursor",
  "resources_seen",
  "keys_seen",
  "rows_checked",
  "skipped",
  "outcome",
  "error",
  "started_at",
  "moved_at",
  "ended_at",
] as const;

const now = sql<Date>`now()`;
/** What was seen so long ago says nothing about today: such a run begins anew. */
const staleAfter = sql<Date>`now() - interval '24 hours'`;

/** How far a run is: where it goes on, and what it has done. */
export interface RunProgress {
  cursor: unknown;
  resourcesSeen: number;
  keysSeen: number;
  rowsChecked: number;
  skipped: number;
}

/** Scans of the vendors: each goes on from its cursor, whichever job or process began it. */
export function reconcileRunRows(db: Db | Tx) {
  const heldBy = (lease: Lease) =>
    sql<boolean>`exists (select from jobs where id = ${lease.jobId} and lease_token = ${lease.token} and lease_until > now())`;

  return {
    /** The run that is under way, or a new one. One that was begun with other credentials is given up. */
    async open(vendor: VendorId, configVersion: number): Promise<RunRow> {
      await db
        .updateTable("reconcile_runs")
        .set({ ended_at: now, outcome: "abandoned" })
        .where("vendor", "=", vendor)
        .where("ended_at", "is", null)
        .where((where) => where.or([where("config_version", "<>", configVersion), where("moved_at", "<", staleAfter)]))
        .execute();
      await db
        .insertInto("reconcile_runs")
        .values({ vendor, config_version: configVersion })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return db
        .selectFrom("reconcile_runs")
        .select(columns)
        .where("vendor", "=", vendor)
        .where("ended_at", "is", null)
        .executeTakeFirstOrThrow();
    },

    /** Only whoever holds the job may move its run. @throws job.lease_lost */
    async save(lease: Lease, id: number, progress: RunProgress): Promise<void> {
      const row = await db
        .updateTable("reconcile_runs")
        .set({
          cursor: json(progress.cursor),
          resources_seen: progress.resourcesSeen,
          keys_seen: progress.keysSeen,
          rows_checked: progress.rowsChecked,
          skipped: progress.skipped,
          error: null,
          moved_at: now,
        })
        .where("id", "=", id)
        .where("ended_at", "is", null)
        .where(heldBy(lease))
        .returning("id")
        .executeTakeFirst();
      if (!row) throw new KeyGateError("job.lease_lost", { facts: { jobId: lease.jobId, runId: id } });
    },

    async noteError(vendor: VendorId, error: JobError): Promise<void> {
      await db
        .updateTable("reconcile_runs")
        .set({ error: json(error) })
        .where("vendor", "=", vendor)
        .where("ended_at", "is", null)
        .execute();
    },

    async complete(lease: Lease, id: number): Promise<void> {
      const row = await db
        .updateTable("reconcile_runs")
        .set({ ended_at: now, moved_at: now, outcome: "completed", cursor: null, error: null })
        .where("id", "=", id)
        .where("ended_at", "is", null)
        .where(heldBy(lease))
        .returning("id")
        .executeTakeFirst();
      if (!row) throw new KeyGateError("job.lease_lost", { facts: { jobId: lease.jobId, runId: id } });
    },

    /** The newest run of each vendor, with the job that works it. */
    async newest() {
      return db
        .selectFrom("reconcile_runs")
        .distinctOn("reconcile_runs.vendor")
        .leftJoin("jobs", (join) =>
          join
            .onRef("jobs.vendor", "=", "reconcile_runs.vendor")
            .on("jobs.kind", "=", "reconcile")
            .on("jobs.state", "not in", ["succeeded", "failed", "cancelled"]),
        )
        .select([
          ...columns.map((column) => `reconcile_runs.${column}` as const),
          "jobs.id as job_id",
          sql<JobWaiting | null>`jobs.waiting`.as("waiting"),
        ])
        .orderBy("reconcile_runs.vendor")
        .orderBy("reconcile_runs.id", "desc")
        .execute();
    },

    /** Configured vendors that nobody looked at for so long, and nobody is looking at. */
    async due(everySeconds: number): Promise<VendorId[]> {
      const { rows } = await sql<{ vendor: VendorId }>`
        select config.vendor from vendor_configs as config
        where not exists (select from jobs where kind = 'reconcile' and jobs.vendor = config.vendor
            and state not in ('succeeded', 'failed', 'cancelled'))
          and greatest(config.configured_at,
            (select max(started_at) from reconcile_runs as run where run.vendor = config.vendor and run.ended_at is not null),
            (select max(created_at) from jobs where kind = 'reconcile' and jobs.vendor = config.vendor)
          ) <= now() - make_interval(secs => ${everySeconds})`.execute(db);
      return rows.map(({ vendor }) => vendor);
    },

    /** The unfinished job that looks at a vendor. */
    async findJob(vendor: VendorId): Promise<JobId | null> {
      const row = await db
        .selectFrom("jobs")
        .select("id")
        .where("kind", "=", "reconcile")
        .where("vendor", "=", vendor)
        .where("state", "not in", ["succeeded", "failed", "cancelled"])
        .executeTakeFirst();
      return row?.id ?? null;
    },
  };
}
