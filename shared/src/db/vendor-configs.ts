import { type Selectable, sql } from "kysely";
import type { VendorId } from "../contracts/vendors/registry.ts";
import type { Sealed } from "../crypto/envelope.ts";
import { type Db, json, type Tx } from "./client.ts";
import type { Database } from "./schema.ts";

export type VendorConfigRow = Selectable<Database["vendor_configs"]>;

const columns = [
  "vendor",
  "source",
  "sealed",
  "admin_key_hint",
  "org_id",
  "public_config",
  "version",
  "health",
  "health_detail",
  "health_since",
  "configured_at",
] as const;

/** What a sealed vendor configuration is bound to. */
export const vendorConfigContext = (vendor: VendorId) => `vendor_configs/${vendor}`;

export function vendorConfigRows(db: Db | Tx) {
  return {
    async find(vendor: VendorId): Promise<VendorConfigRow | undefined> {
      return db.selectFrom("vendor_configs").select(columns).where("vendor", "=", vendor).executeTakeFirst();
    },

    /** The row, kept from being removed until the transaction ends; other transactions may hold it the same way. */
    async hold(vendor: VendorId): Promise<VendorConfigRow | undefined> {
      return db.selectFrom("vendor_configs").select(columns).where("vendor", "=", vendor).forShare().executeTakeFirst();
    },

    async lock(vendor: VendorId): Promise<VendorConfigRow | undefined> {
      return db
        .selectFrom("vendor_configs")
        .select(columns)
        .where("vendor", "=", vendor)
        .forUpdate()
        .executeTakeFirst();
    },

    async list(): Promise<VendorConfigRow[]> {
      return db.selectFrom("vendor_configs").select(columns).orderBy("vendor").execute();
    },

    /** Stores credentials; health starts anew, and caches that hold an older version notice. */
    async upsert(values: {
      vendor: VendorId;
      source: VendorConfigRow["source"];
      sealed: Sealed;
      adminKeyHint: string;
      orgId: string | null;
      publicConfig: Record<string, unknown>;
    }): Promise<VendorConfigRow> {
      const set = {
        source: values.source,
        sealed: json(values.sealed),
        admin_key_hint: values.adminKeyHint,
        org_id: values.orgId,
        public_config: json(values.publicConfig),
      };
      return db
        .insertInto("vendor_configs")
        .values({ vendor: values.vendor, ...set })
        .onConflict((conflict) =>
          conflict.column("vendor").doUpdateSet({
            ...set,
            version: sql<number>`vendor_configs.version + 1`,
            health: "unknown",
            health_detail: null,
            health_since: null,
            configured_at: sql<Date>`now()`,
          }),
        )
        .returning(columns)
        .executeTakeFirstOrThrow();
    },

    /** Records what the last contact showed; true when the word changed. */
    async setHealth(vendor: VendorId, health: "healthy" | "unhealthy", detail: string | null): Promise<boolean> {
      const row = await db
        .updateTable("vendor_configs")
        .set({ health, health_detail: detail, health_since: sql<Date>`now()` })
        .where("vendor", "=", vendor)
        .where((where) => where.or([where("health", "!=", health), where("health_detail", "is distinct from", detail)]))
        .returning("vendor")
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Replaces the sealed value, for a change of the encryption key; false when it has become another one meanwhile. */
    async rewrap(vendor: VendorId, from: Sealed, to: Sealed): Promise<boolean> {
      const row = await db
        .updateTable("vendor_configs")
        .set({ sealed: json(to) })
        .where("vendor", "=", vendor)
        .where(sql<boolean>`sealed = ${json(from)}`)
        .returning("vendor")
        .executeTakeFirst();
      return row !== undefined;
    },

    async remove(vendor: VendorId): Promise<boolean> {
      const row = await db
        .deleteFrom("vendor_configs")
        .where("vendor", "=", vendor)
        .returning("vendor")
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
