import { type Selectable, sql } from "kysely";
import type { KeyId } from "../contracts/ids.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import type { Db, Tx } from "./client.ts";
import type { Database } from "./schema.ts";

const columns = [
  "id",
  "lineage_id",
  "status",
  "project_name",
  "developer_id",
  "hint",
  "vendor_ref",
  "expires_at",
  "activated_at",
] as const;

/** As much of a key's row as is held against the vendor. */
export type KnownKey = Pick<Selectable<Database["keys"]>, (typeof columns)[number]>;

const live = ["active", "retiring"] as const;

/** What KeyGate knows, asked the way reconcile needs it. */
export function knownRows(db: Db | Tx) {
  const lineages = (ids: readonly KeyId[]) =>
    ids.length === 0
      ? Promise.resolve([] as KnownKey[])
      : db.selectFrom("keys").select(columns).where("lineage_id", "in", ids).orderBy("id").execute();

  return {
    /** Postgres' time: what was looked at is dated by the clock that the rows are dated by. */
    async now(): Promise<Date> {
      const { rows } = await sql<{ now: Date }>`select clock_timestamp() as now`.execute(db);
      return rows[0]?.now ?? new Date();
    },

    /** The keys that were made in what was made for this key. */
    async lineageOf(keyId: string): Promise<KnownKey[]> {
      const row = await db
        .selectFrom("keys")
        .select("lineage_id")
        .where("id", "=", keyId as KeyId)
        .executeTakeFirst();
      return row ? lineages([row.lineage_id]) : [];
    },

    /** The same by the name that was reserved. */
    async lineageNamed(vendor: VendorId, projectName: string): Promise<KnownKey[]> {
      const row = await db
        .selectFrom("keys")
        .select("lineage_id")
        .where("vendor", "=", vendor)
        .where("project_name", "=", projectName)
        .where("replaces_id", "is", null)
        .executeTakeFirst();
      return row ? lineages([row.lineage_id]) : [];
    },

    /** Keys with their companions, by the vendor's ids of the keys. */
    async byVendorKeys(vendor: VendorId, ids: readonly string[]): Promise<KnownKey[]> {
      if (ids.length === 0) return [];
      const rows = await db
        .selectFrom("keys")
        .select("lineage_id")
        .distinct()
        .where("vendor", "=", vendor)
        .where(sql<string>`vendor_ref ->> 'keyId'`, "in", ids)
        .execute();
      return lineages(rows.map((row) => row.lineage_id));
    },

    /**
     * Whether a job works on any of these keys, or has ended so late that what was seen at `since` may be from before its
     * end. A debt that was written off is nobody's work.
     */
    async isBusy(lineageIds: readonly KeyId[], since: Date, settleMs: number): Promise<boolean> {
      if (lineageIds.length === 0) return false;
      const row = await db
        .selectFrom("jobs")
        .innerJoin("keys", "keys.id", "jobs.key_id")
        .select("jobs.id")
        .where("keys.lineage_id", "in", lineageIds)
        .where((where) =>
          where.or([
            where.and([
              where("jobs.state", "not in", ["succeeded", "failed", "cancelled"]),
              where("jobs.written_off_at", "is", null),
            ]),
            where("jobs.finished_at", ">=", new Date(since.getTime() - settleMs)),
          ]),
        )
        .limit(1)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Whether this KeyGate ever asked for it: the log keeps what a lost row does not. */
    async wasAskedFor(mark: { keyId: string | null; name: string }): Promise<boolean> {
      const { rows } = await sql<{ is: boolean }>`
        select exists (select from audit_events where resource_id = ${mark.keyId} and action in ('key.provision', 'key.rotate'))
          or exists (select from audit_events where details ->> 'project_name' = ${mark.name}
            and action in ('key.provision', 'key.rotate')) as is`.execute(db);
      return rows[0]?.is ?? false;
    },

    async noteSeen(ids: readonly KeyId[]): Promise<void> {
      if (ids.length === 0) return;
      await db
        .insertInto("reconcile_sightings")
        .values([...new Set(ids)].map((id) => ({ key_id: id, seen_at: sql<Date>`clock_timestamp()` })))
        .onConflict((conflict) =>
          conflict.column("key_id").doUpdateSet({ seen_at: (values) => values.ref("excluded.seen_at") }),
        )
        .execute();
    },

    /** The next working key, by id, that no list has shown since the run began. */
    async nextUnseen(vendor: VendorId, since: Date, after: KeyId | null): Promise<KnownKey | undefined> {
      let select = db
        .selectFrom("keys")
        .select(columns)
        .where("vendor", "=", vendor)
        .where("status", "in", live)
        .where("activated_at", "<", since)
        .where((where) =>
          where.not(
            where.exists(
              where
                .selectFrom("reconcile_sightings as seen")
                .select("seen.key_id")
                .whereRef("seen.key_id", "=", "keys.id")
                .where("seen.seen_at", ">=", since),
            ),
          ),
        );
      if (after) select = select.where("id", ">", after);
      return select.orderBy("id").limit(1).executeTakeFirst();
    },

    async find(id: KeyId): Promise<KnownKey | undefined> {
      return db.selectFrom("keys").select(columns).where("id", "=", id).executeTakeFirst();
    },
  };
}
