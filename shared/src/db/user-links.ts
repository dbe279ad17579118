import { type Selectable, sql } from "kysely";
import type { UserId } from "../contracts/ids.ts";
import type { LinkPurpose } from "../contracts/users.ts";
import { type Db, nowPlus, type Tx } from "./client.ts";
import type { Database } from "./schema.ts";

export type UserLinkRow = Omit<Selectable<Database["user_links"]>, "token_hash">;

const columns = ["user_id", "purpose", "created_by", "created_at", "expires_at"] as const;

/** One-time links to set a password: one per user, kept as a hash. */
export function userLinkRows(db: Db | Tx) {
  return {
    /** Takes the place of an earlier link of the user, which ends. */
    async replace(link: {
      userId: UserId;
      tokenHash: string;
      purpose: LinkPurpose;
      createdBy: string;
      hours: number;
    }): Promise<UserLinkRow> {
      const values = {
        token_hash: link.tokenHash,
        purpose: link.purpose,
        created_by: link.createdBy,
        created_at: sql<Date>`now()`,
        expires_at: nowPlus(link.hours * 3600),
      };
      return db
        .insertInto("user_links")
        .values({ user_id: link.userId, ...values })
        .onConflict((conflict) => conflict.column("user_id").doUpdateSet(values))
        .returning(columns)
        .executeTakeFirstOrThrow();
    },

    /** Undefined for a link that was used, replaced, or whose time is over. */
    async find(tokenHash: string): Promise<UserLinkRow | undefined> {
      return db
        .selectFrom("user_links")
        .select(columns)
        .where("token_hash", "=", tokenHash)
        .where("expires_at", ">", sql<Date>`now()`)
        .executeTakeFirst();
    },

    /** Uses it up: of any number of callers one gets it. */
    async take(tokenHash: string): Promise<UserLinkRow | undefined> {
      return db
        .deleteFrom("user_links")
        .where("token_hash", "=", tokenHash)
        .where("expires_at", ">", sql<Date>`now()`)
        .returning(columns)
        .executeTakeFirst();
    },

    async drop(userId: UserId): Promise<void> {
      await db.deleteFrom("user_links").where("user_id", "=", userId).execute();
    },
  };
}
