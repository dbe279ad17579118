import { type Selectable, sql } from "kysely";
import type { DeveloperId, KeyId, WorkspaceId } from "../contracts/ids.ts";
import type { KeyEnding } from "../contracts/jobs.ts";
import { type BatchRevokeRequest, type Instructions, type KeyListQuery, liveKeyStatuses } from "../contracts/keys.ts";
import type { LimitReport } from "../contracts/limits.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import { KeyGateError } from "../errors.ts";
import { type Db, json, nowPlus, type Tx } from "./client.ts";
import { givenOf, idAfter, newestWith, type Page, pageById } from "./paging.ts";
import { prepared } from "./prepared.ts";
import { rowsById } from "./rounds.ts";
import type { Database } from "./schema.ts";
import { keyIdsMatching } from "./search.ts";

export type KeyRow = Selectable<Database["keys"]>;
/** A key with what lists show of its owner. */
export type OwnedKeyRow = KeyRow & { developer_name: string; developer_email: string; team: string };

/** Every column, with its table's name. */
export const keyColumns = [
  "keys.id",
  "keys.developer_id",
  "keys.vendor",
  "keys.workspace_id",
  "keys.status",
  "keys.status_reason",
  "keys.credential_kind",
  "keys.project_name",
  "keys.description",
  "keys.budget_micros",
  "keys.rate_limit_rpm",
  "keys.models_allowed",
  "keys.expires_at",
  "keys.hint",
  "keys.fingerprints",
  "keys.vendor_ref",
  "keys.limits",
  "keys.instructions",
  "keys.lineage_id",
  "keys.replaces_id",
  "keys.replaced_by_id",
  "keys.grace_minutes",
  "keys.retire_at",
  "keys.simulated",
  "keys.created_by",
  "keys.created_at",
  "keys.activated_at",
  "keys.claimed_at",
  "keys.revoke_requested_at",
  "keys.revoked_at",
] as const;

const columns = keyColumns;

/** What a list leaves in the database: a hundred rows of it cost more to send and read than to find. */
const unlisted = ["fingerprints", "vendor_ref", "limits", "instructions"] as const;
type Unlisted = (typeof unlisted)[number];
export type ListedKeyRow = Omit<OwnedKeyRow, Unlisted>;
const listed = keyColumns.filter(
  (column): column is Exclude<(typeof keyColumns)[number], `keys.${Unlisted}`> =>
    !unlisted.some((name) => column === `keys.${name}`),
);

export interface NewKey {
  id: KeyId;
  developerId: DeveloperId;
  vendor: VendorId;
  workspaceId: WorkspaceId | null;
  projectName: string;
  description: string;
  budgetMicros: number;
  rateLimitRpm: number;
  modelsAllowed: readonly string[] | null;
  /** Either a moment or days from now by Postgres' clock. */
  expires: { inDays: number } | { at: Date | null };
  lineageId: KeyId;
  replacesId: KeyId | null;
  graceMinutes: number | null;
  simulated: boolean;
  createdBy: string;
  /** A successor starts from what its predecessor has at the vendor. */
  vendorRef?: Record<string, unknown>;
}

/** As much of a vendor's configuration as says whether a connection is still the right one. */
export interface SeenConfig {
  version: number;
  health: string;
}

export interface IssuedKey {
  hint: string;
  fingerprints: readonly string[];
  vendorRef: Record<string, unknown>;
  limits: readonly LimitReport[];
  /** Null for a key that KeyGate did not make. */
  instructions: Instructions | null;
}

const now = sql<Date>`now()`;

const owned = (db: Db | Tx) =>
  db
    .selectFrom("keys")
    .innerJoin("developers", "developers.id", "keys.developer_id")
    .select([
      ...columns,
      "developers.name as developer_name",
      "developers.email as developer_email",
      "developers.team",
    ]);

/** The key for whoever works its job, and which configuration its vendor has right now. */
export const keyForJob = rowsById(async (db, ids: KeyId[]): Promise<(OwnedKeyRow & { seen: SeenConfig | null })[]> => {
  const rows = await owned(db)
    .leftJoin("vendor_configs", "vendor_configs.vendor", "keys.vendor")
    .select(["vendor_configs.version as config_version", "vendor_configs.health as config_health"])
    .where("keys.id", "=", sql<KeyId>`any(${ids}::text[])`)
    .modifyEnd(prepared)
    .execute();
  return rows.map(({ config_version: version, config_health: health, ...key }) => ({
    ...key,
    seen: version === null || health === null ? null : { version, health },
  }));
});

export function keyRows(db: Db | Tx) {
  const movedOn = (id: KeyId) => new KeyGateError("key.moved_on", { facts: { keyId: id } });

  return {
    /** Undefined when the project name is taken: choose another. */
    async insert(key: NewKey): Promise<KeyRow | undefined> {
      const row = await db
        .insertInto("keys")
        .values({
          id: key.id,
          developer_id: key.developerId,
          vendor: key.vendor,
          workspace_id: key.workspaceId,
          status: "pending",
          project_name: key.projectName,
          description: key.description,
          budget_micros: key.budgetMicros,
          rate_limit_rpm: key.rateLimitRpm,
          models_allowed: key.modelsAllowed ? [...key.modelsAllowed] : null,
          expires_at: "inDays" in key.expires ? nowPlus(key.expires.inDays * 86_400) : key.expires.at,
          lineage_id: key.lineageId,
          replaces_id: key.replacesId,
          grace_minutes: key.graceMinutes,
          simulated: key.simulated,
          created_by: key.createdBy,
          vendor_ref: json(key.vendorRef ?? {}),
        })
        .onConflict((conflict) => conflict.doNothing())
        .returning(columns)
        .executeTakeFirst();
      return row;
    },

    async find(id: KeyId): Promise<OwnedKeyRow | undefined> {
      return owned(db).where("keys.id", "=", id).executeTakeFirst();
    },

    async lock(id: KeyId): Promise<KeyRow | undefined> {
      return db.selectFrom("keys").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    async list(query: KeyListQuery): Promise<Page<ListedKeyRow>> {
      const after = idAfter(query.cursor);
      let select = db.selectFrom("keys").select(listed);
      const { vendor, developer_id: developerId, workspace_id: workspaceId, expires_within_days: days, q } = query;
      const status = query.status === "all" ? null : query.status;
      const given = givenOf({ vendor, status });
      const isOfFew = developerId || workspaceId || days || q;
      if (!isOfFew && given.length > 0) {
        const { within, newestFirst } = newestWith("keys", given, after);
        select = select.where(within).orderBy(newestFirst);
      } else {
        for (const [column, value] of given) select = select.where(sql.ref(`keys.${column}`), "=", value);
        if (developerId) select = select.where("keys.developer_id", "=", developerId);
        if (workspaceId) select = select.where("keys.workspace_id", "=", workspaceId);
        if (after) select = select.where("keys.id", "<", after as KeyId);
        if (!q) select = select.orderBy("keys.id", "desc");
      }
      if (days) {
        // By id among the few that end soon: the index on the end of live keys finds them.
        select = select
          .where("keys.status", "in", ["active", "retiring"])
          .where("keys.expires_at", "<", sql<Date>`now() + make_interval(days => ${days})`);
      }
      // Of what a search finds, the newest are looked at one by one until the page is full.
      const chosen = q
        ? db
            .selectFrom(keyIdsMatching(q).as("found"))
            .innerJoinLateral(select.where(sql<boolean>`keys.id = found.id`).offset(0).as("keys"), (join) =>
              join.onTrue(),
            )
            .select(listed)
            .orderBy("found.id", "desc")
        : select;
      // The page first, and then its owners one by one: `offset 0` keeps the planner from reading all developers instead.
      const rows = await db
        .selectFrom(chosen.limit(query.limit + 1).as("keys"))
        .innerJoinLateral(
          (from) =>
            from
              .selectFrom("developers")
              .select(["name", "email", "team"])
              .whereRef("developers.id", "=", "keys.developer_id")
              .offset(0)
              .as("owner"),
          (join) => join.onTrue(),
        )
        .select([...listed, "owner.name as developer_name", "owner.email as developer_email", "owner.team as team"])
        .orderBy("keys.id", "desc")
        .execute();
      return pageById(rows, query.limit);
    },

    /** Live keys that fit every condition given, locked against changes. */
    async lockLive(filter: BatchRevokeRequest): Promise<KeyRow[]> {
      let select = db.selectFrom("keys").select(columns).where("keys.status", "in", liveKeyStatuses);
      if (filter.developer_id) select = select.where("keys.developer_id", "=", filter.developer_id);
      if (filter.vendor) select = select.where("keys.vendor", "=", filter.vendor);
      if (filter.workspace_id) select = select.where("keys.workspace_id", "=", filter.workspace_id);
      if (filter.key_ids) select = select.where("keys.id", "in", filter.key_ids);
      const { team } = filter;
      if (team) {
        select = select.where((where) =>
          where(
            "keys.developer_id",
            "in",
            where.selectFrom("developers").select("developers.id").where("developers.team", "=", team),
          ),
        );
      }
      return select.orderBy("keys.id").forUpdate().execute();
    },

    async countLive(vendor: VendorId): Promise<number> {
      const row = await db
        .selectFrom("keys")
        .select(sql<number>`count(*)`.as("n"))
        .where("vendor", "=", vendor)
        .where("status", "in", liveKeyStatuses)
        .executeTakeFirstOrThrow();
      return row.n;
    },

    /** How many keys work at each vendor. */
    async countActiveByVendor(): Promise<Map<VendorId, number>> {
      const rows = await db
        .selectFrom("keys")
        .select(["vendor", sql<number>`count(*)`.as("n")])
        .where("status", "in", ["active", "retiring"])
        .groupBy("vendor")
        .execute();
      return new Map(rows.map(({ vendor, n }) => [vendor, n]));
    },

    /** The key works at the vendor and its limits are in force. Repeating it for a key that was made anew is fine. */
    async markActive(id: KeyId, issued: IssuedKey): Promise<KeyRow> {
      const row = await db
        .updateTable("keys")
        .set({
          status: "active",
          hint: issued.hint,
          fingerprints: [...issued.fingerprints],
          vendor_ref: json(issued.vendorRef),
          limits: json(issued.limits),
          instructions: issued.instructions && json(issued.instructions),
          activated_at: now,
        })
        .where("id", "=", id)
        .where("status", "in", ["pending", "active"])
        .returning(columns)
        .executeTakeFirst();
      if (!row) throw movedOn(id);
      return row;
    },

    /** What exists at the vendor so far: for revocations that overtake a provision. */
    async recordVendorRef(id: KeyId, vendorRef: Record<string, unknown>): Promise<void> {
      await db
        .updateTable("keys")
        .set({ vendor_ref: json(vendorRef) })
        .where("id", "=", id)
        .execute();
    },

    /** In the transaction that makes the successor active. */
    async markRetiring(id: KeyId, successor: KeyId): Promise<KeyRow | undefined> {
      return db
        .updateTable("keys")
        .set({ status: "retiring", replaced_by_id: successor })
        .where("id", "=", id)
        .where("status", "=", "active")
        .returning(columns)
        .executeTakeFirst();
    },

    /** The successor was taken: the old key's time runs. */
    async setRetireAt(id: KeyId, graceMinutes: number): Promise<KeyRow | undefined> {
      return db
        .updateTable("keys")
        .set({ retire_at: nowPlus(graceMinutes * 60) })
        .where("id", "=", id)
        .where("status", "=", "retiring")
        .returning(columns)
        .executeTakeFirst();
    },

    /** A successor that is still being made: one rotation of a key at a time. */
    async findPendingSuccessor(id: KeyId): Promise<KeyRow | undefined> {
      return db
        .selectFrom("keys")
        .select(columns)
        .where("replaces_id", "=", id)
        .where("status", "=", "pending")
        .executeTakeFirst();
    },

    /** Nobody took the successor: the old key stays in service. */
    async markActiveAgain(id: KeyId): Promise<KeyRow | undefined> {
      return db
        .updateTable("keys")
        .set({ status: "active", replaced_by_id: null, retire_at: null })
        .where("id", "=", id)
        .where("status", "=", "retiring")
        .returning(columns)
        .executeTakeFirst();
    },

    /** From here on the keys count as dying; they are dead when a look at the vendor says so. */
    async markRevoking(ids: readonly KeyId[], reason: string): Promise<KeyRow[]> {
      if (ids.length === 0) return [];
      return db
        .updateTable("keys")
        .set({ status: "revoking", status_reason: reason, revoke_requested_at: now })
        .where("id", "in", ids)
        .where("status", "in", ["active", "retiring"])
        .returning(columns)
        .execute();
    },

    /** Why the making of these keys is being stopped; the job that makes them tells it when it ends. */
    async noteWhyStopped(ids: readonly KeyId[], reason: string): Promise<void> {
      if (ids.length === 0) return;
      await db
        .updateTable("keys")
        .set({ status_reason: reason })
        .where("id", "in", ids)
        .where("status", "=", "pending")
        .execute();
    },

    /** Only after a look at the vendor no longer found the key. */
    async markEnded(id: KeyId, ending: KeyEnding): Promise<KeyRow> {
      const row = await db
        .updateTable("keys")
        .set({ status: ending, revoked_at: now })
        .where("id", "=", id)
        .where("status", "=", "revoking")
        .returning(columns)
        .executeTakeFirst();
      if (!row) throw movedOn(id);
      return row;
    },

    /** Everything that its job made has been undone. */
    async markFailed(id: KeyId, reason: string): Promise<KeyRow> {
      const row = await db
        .updateTable("keys")
        .set({ status: "failed", status_reason: reason })
        .where("id", "=", id)
        .where("status", "in", ["pending", "active"])
        .returning(columns)
        .executeTakeFirst();
      if (!row) throw movedOn(id);
      return row;
    },

    async markClaimed(id: KeyId): Promise<void> {
      await db.updateTable("keys").set({ claimed_at: now }).where("id", "=", id).execute();
    },

    /** The keys that share what this one has at the vendor (its project), locked. */
    async lockLineage(lineageId: KeyId): Promise<KeyRow[]> {
      return db
        .selectFrom("keys")
        .select(columns)
        .where("lineage_id", "=", lineageId)
        .orderBy("id")
        .forUpdate()
        .execute();
    },

    async lineage(lineageId: KeyId): Promise<KeyRow[]> {
      return db.selectFrom("keys").select(columns).where("lineage_id", "=", lineageId).orderBy("id").execute();
    },

    /** Keys whose time is over, by Postgres' clock; locked and skipped by others. */
    async takeExpired(limit: number): Promise<KeyRow[]> {
      return db
        .selectFrom("keys")
        .select(columns)
        .where("status", "in", ["active", "retiring"])
        .where("expires_at", "<=", now)
        .orderBy("expires_at")
        .limit(limit)
        .forUpdate()
        .skipLocked()
        .execute();
    },

    async takeRetired(limit: number): Promise<KeyRow[]> {
      return db
        .selectFrom("keys")
        .select(columns)
        .where("status", "=", "retiring")
        .where("retire_at", "<=", now)
        .orderBy("retire_at")
        .limit(limit)
        .forUpdate()
        .skipLocked()
        .execute();
    },

    /** The key that has this id at its vendor. */
    async findByVendorKeyId(vendor: VendorId, vendorKeyId: string): Promise<KeyRow | undefined> {
      return (
        db
          .selectFrom("keys")
          .select(columns)
          .where("vendor", "=", vendor)
          .where(sql<string>`vendor_ref ->> 'keyId'`, "=", vendorKeyId)
          // A successor that is being made starts with a copy of its predecessor's references.
          .orderBy("id")
          .executeTakeFirst()
      );
    },

    /** Whose key is it: by fingerprints of a pasted text. */
    async findByFingerprint(fingerprints: readonly string[]): Promise<OwnedKeyRow[]> {
      return owned(db)
        .where(sql<boolean>`keys.fingerprints && ${[...fingerprints]}::text[] and keys.fingerprints <> '{}'`)
        .limit(20)
        .execute();
    },

    /** Keys that begin and end like this: a lead, where the fingerprint of the whole is not known. */
    async findByHint(hint: string): Promise<OwnedKeyRow[]> {
      return owned(db)
        .where(sql`lower(keys.hint)`, "=", hint.toLowerCase())
        .where("keys.hint", "=", hint)
        .orderBy("keys.id", "desc")
        .limit(20)
        .execute();
    },

    /** Live keys whose fingerprints were made under other entries of `ENCRYPTION_KEY` than this one. */
    async countFingerprintedElsewhere(keyringId: string): Promise<number> {
      const row = await db
        .selectFrom("keys")
        .select(sql<number>`count(*)`.as("n"))
        .where("status", "in", liveKeyStatuses)
        .where(sql<boolean>`cardinality(fingerprints) > 0 and not exists (
          select from unnest(fingerprints) as each where starts_with(each, ${`${keyringId}:`}))`)
        .executeTakeFirstOrThrow();
      return row.n;
    },

    /** The sum of budgets of a workspace's live keys, in micro-dollars. */
    async budgetOfWorkspace(workspaceId: WorkspaceId): Promise<number> {
      const row = await db
        .selectFrom("keys")
        // A key and its successor share one project and one budget while both live.
        .select(sql<number>`coalesce(sum(budget_micros), 0)::bigint`.as("total"))
        .where("workspace_id", "=", workspaceId)
        .where("status", "in", liveKeyStatuses)
        .where((where) =>
          where.not(
            where.exists(
              where
                .selectFrom("keys as successor")
                .select("successor.id")
                .whereRef("successor.replaces_id", "=", "keys.id")
                .where("successor.status", "in", liveKeyStatuses),
            ),
          ),
        )
        .executeTakeFirstOrThrow();
      return row.total;
    },
  };
}
