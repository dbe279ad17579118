import { type Selectable, sql } from "kysely";
import type { FindingId, JobId, KeyId } from "../contracts/ids.ts";
import type { FindingKind, FindingListQuery, SuggestedAction } from "../contracts/reconcile.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import { newId } from "../ids.ts";
import { type Db, json, type Tx } from "./client.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import type { Database, FoundResource } from "./schema.ts";

export type FindingRow = Selectable<Database["reconcile_findings"]>;

const columns = [
  "id",
  "vendor",
  "kind",
  "resource_type",
  "resource_id",
  "resource",
  "key_id",
  "details",
  "suggested_action",
  "removal_job_id",
  "first_run_id",
  "last_run_id",
  "sightings",
  "first_seen_at",
  "last_seen_at",
  "resolved_at",
  "resolution",
] as const;

const now = sql<Date>`now()`;

/** What a look at a vendor found. */
export interface NewFinding {
  kind: FindingKind;
  resourceType: "container" | "key";
  resourceId: string;
  resource: FoundResource;
  keyId: KeyId | null;
  details: { detail: string } & Record<string, unknown>;
  suggestedAction: SuggestedAction;
}

/** What reconcile found: open as long as each run sees it again. */
export function reconcileFindingRows(db: Db | Tx) {
  return {
    /** Notes a sighting; one run counts once. */
    async note(vendor: VendorId, runId: number, found: NewFinding): Promise<{ row: FindingRow; isNew: boolean }> {
      const { rows } = await sql<FindingRow & { is_new: boolean }>`
        insert into reconcile_findings as open (id, vendor, kind, resource_type, resource_id, resource, key_id, details,
          suggested_action, first_run_id, last_run_id)
        values (${newId("fnd")}, ${vendor}, ${found.kind}, ${found.resourceType}, ${found.resourceId},
          ${json(found.resource)}, ${found.keyId}, ${json(found.details)}, ${found.suggestedAction}, ${runId}, ${runId})
        on conflict (vendor, kind, resource_type, resource_id) where resolved_at is null do update set
          resource = excluded.resource, key_id = excluded.key_id, details = excluded.details,
          suggested_action = excluded.suggested_action, last_seen_at = now(), last_run_id = excluded.last_run_id,
          sightings = open.sightings + case when open.last_run_id = excluded.last_run_id then 0 else 1 end
        returning ${sql.join(columns.map((column) => sql.ref(`open.${column}`)))}, open.xmax = 0 as is_new`.execute(db);
      const [first] = rows;
      if (!first) throw new Error("a finding was not written");
      const { is_new: isNew, ...row } = first;
      return { row, isNew };
    },

    /** Nothing can be said about these in this run: what is open about them stays open, and is no more sure than before. */
    async keep(
      vendor: VendorId,
      runId: number,
      resourceIds: readonly string[],
      keyIds: readonly KeyId[],
    ): Promise<void> {
      if (resourceIds.length === 0 && keyIds.length === 0) return;
      await db
        .updateTable("reconcile_findings")
        .set({ last_run_id: runId })
        .where("vendor", "=", vendor)
        .where("resolved_at", "is", null)
        .where((where) =>
          where.or([
            ...(resourceIds.length > 0
              ? [where("resource_id", "in", resourceIds), where(sql`details ->> 'container'`, "in", resourceIds)]
              : []),
            ...(keyIds.length > 0 ? [where("key_id", "in", keyIds)] : []),
          ]),
        )
        .execute();
    },

    /** Resolves what a whole run did not see any more. */
    async resolveUnseen(vendor: VendorId, runId: number): Promise<FindingRow[]> {
      return db
        .updateTable("reconcile_findings")
        .set({ resolved_at: now, resolution: "not seen any more" })
        .where("vendor", "=", vendor)
        .where("resolved_at", "is", null)
        .where("last_run_id", "<", runId)
        .returning(columns)
        .execute();
    },

    async resolve(id: FindingId, resolution: string, keyId?: KeyId): Promise<FindingRow | undefined> {
      return db
        .updateTable("reconcile_findings")
        .set({ resolved_at: now, resolution, ...(keyId ? { key_id: keyId } : {}) })
        .where("id", "=", id)
        .where("resolved_at", "is", null)
        .returning(columns)
        .executeTakeFirst();
    },

    async setRemovalJob(id: FindingId, jobId: JobId): Promise<void> {
      await db.updateTable("reconcile_findings").set({ removal_job_id: jobId }).where("id", "=", id).execute();
    },

    async find(id: FindingId): Promise<FindingRow | undefined> {
      return db.selectFrom("reconcile_findings").select(columns).where("id", "=", id).executeTakeFirst();
    },

    async lock(id: FindingId): Promise<FindingRow | undefined> {
      return db.selectFrom("reconcile_findings").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    async list(query: FindingListQuery): Promise<Page<FindingRow>> {
      const after = idAfter(query.cursor);
      let select = db.selectFrom("reconcile_findings").select(columns);
      if (query.status === "open") select = select.where("resolved_at", "is", null);
      if (query.status === "resolved") select = select.where("resolved_at", "is not", null);
      if (query.vendor) select = select.where("vendor", "=", query.vendor);
      if (query.kind) select = select.where("kind", "=", query.kind);
      if (after) select = select.where("id", "<", after as FindingId);
      const rows = await select
        .orderBy("id", "desc")
        .limit(query.limit + 1)
        .execute();
      return pageById(rows, query.limit);
    },
  };
}
