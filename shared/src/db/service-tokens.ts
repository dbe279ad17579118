import { type Selectable, sql } from "kysely";
import type { ServiceTokenId, UserId } from "../contracts/ids.ts";
import type { Scope, ServiceTokenListQuery } from "../contracts/tokens.ts";
import { newId } from "../ids.ts";
import { type Db, nowPlus, type Tx } from "./client.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import type { Database } from "./schema.ts";

export type ServiceTokenRow = Omit<Selectable<Database["service_tokens"]>, "token_hash"> & {
  /** By Postgres' clock. */
  has_expired: boolean;
};

const columns = [
  "id",
  "name",
  "hint",
  "scopes",
  "created_by",
  "created_by_id",
  "created_at",
  "expires_at",
  "last_used_at",
  "last_used_address",
  "revoked_at",
  "revoked_by",
] as const;
const hasExpired = sql<boolean>`expires_at <= now()`.as("has_expired");

// A write per request would cost more than the request; a minute is precise enough to see what is in use.
const useNotedSeconds = 60;

export function serviceTokenRows(db: Db | Tx) {
  return {
    /** @throws a unique violation when a token that works has the name. */
    async insert(token: {
      name: string;
      tokenHash: string;
      hint: string;
      scopes: readonly Scope[];
      createdBy: { id: UserId; name: string };
      days: number;
    }): Promise<ServiceTokenRow> {
      return db
        .insertInto("service_tokens")
        .values({
          id: newId("tok"),
          name: token.name,
          token_hash: token.tokenHash,
          hint: token.hint,
          scopes: [...token.scopes],
          created_by: token.createdBy.name,
          created_by_id: token.createdBy.id,
          expires_at: nowPlus(token.days * 86_400),
        })
        .returning([...columns, hasExpired])
        .executeTakeFirstOrThrow();
    },

    /** One whose time is over no longer keeps its name from others. */
    async freeExpiredName(name: string): Promise<void> {
      await db
        .updateTable("service_tokens")
        .set({ revoked_at: sql<Date>`expires_at`, revoked_by: "system:expiry" })
        .where(sql<string>`lower(name)`, "=", name.toLowerCase())
        .where("revoked_at", "is", null)
        .where("expires_at", "<=", sql<Date>`now()`)
        .execute();
    },

    async find(id: ServiceTokenId): Promise<ServiceTokenRow | undefined> {
      return db
        .selectFrom("service_tokens")
        .select([...columns, hasExpired])
        .where("id", "=", id)
        .executeTakeFirst();
    },

    /** The token that works and has this hash. */
    async findWorking(tokenHash: string): Promise<ServiceTokenRow | undefined> {
      return db
        .selectFrom("service_tokens")
        .select([...columns, hasExpired])
        .where("token_hash", "=", tokenHash)
        .where("revoked_at", "is", null)
        .where("expires_at", ">", sql<Date>`now()`)
        .executeTakeFirst();
    },

    /** Notes that it was used; writes at most once a minute, whoever asks. */
    async noteUse(id: ServiceTokenId, address: string | null): Promise<void> {
      await db
        .updateTable("service_tokens")
        .set({ last_used_at: sql<Date>`now()`, last_used_address: address })
        .where("id", "=", id)
        .where((eb) => eb.or([eb("last_used_at", "is", null), eb("last_used_at", "<", nowPlus(-useNotedSeconds))]))
        .execute();
    },

    /** Newest first; without those that were revoked or have expired unless asked for. */
    async list(query: ServiceTokenListQuery): Promise<Page<ServiceTokenRow>> {
      const after = idAfter(query.cursor);
      let select = db.selectFrom("service_tokens").select([...columns, hasExpired]);
      if (query.status === "active") {
        select = select.where("revoked_at", "is", null).where("expires_at", ">", sql<Date>`now()`);
      }
      if (after) select = select.where(sql<string>`id`, "<", after);
      const rows = await select
        .orderBy("id", "desc")
        .limit(query.limit + 1)
        .execute();
      return pageById(rows, query.limit);
    },

    /** Undefined when it was revoked before. */
    async revoke(id: ServiceTokenId, by: string): Promise<ServiceTokenRow | undefined> {
      return db
        .updateTable("service_tokens")
        .set({ revoked_at: sql<Date>`now()`, revoked_by: by })
        .where("id", "=", id)
        .where("revoked_at", "is", null)
        .returning([...columns, hasExpired])
        .executeTakeFirst();
    },

    /** What somebody made, when they go or may no longer do it themselves; `read` alone is left where they still read. */
    async revokeOf(creator: UserId, by: string, { butReaders }: { butReaders: boolean }): Promise<ServiceTokenRow[]> {
      let update = db
        .updateTable("service_tokens")
        .set({ revoked_at: sql<Date>`now()`, revoked_by: by })
        .where("created_by_id", "=", creator)
        .where("revoked_at", "is", null);
      if (butReaders) update = update.where(sql<boolean>`scopes <> array['read']`);
      return update.returning([...columns, hasExpired]).execute();
    },
  };
}
