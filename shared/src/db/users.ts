import { type Selectable, sql } from "kysely";
import type { UserRole } from "../contracts/auth.ts";
import type { UserId } from "../contracts/ids.ts";
import type { UserListQuery } from "../contracts/users.ts";
import { newId } from "../ids.ts";
import { type Db, nowPlus, type Tx } from "./client.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import { prepared } from "./prepared.ts";
import { rowsById } from "./rounds.ts";
import type { Database } from "./schema.ts";

export type UserRow = Selectable<Database["users"]>;

/** A user as the list of users shows them: without the password's hash, with when they last signed in. */
export type ListedUser = Omit<UserRow, "password_hash" | "token_version"> & {
  last_sign_in_at: Date | null;
  link_purpose: "join" | "reset_password" | null;
  link_expires_at: Date | null;
};

const columns = [
  "id",
  "email",
  "password_hash",
  "role",
  "is_active",
  "token_version",
  "created_at",
  "joined_at",
] as const;

const listed = (db: Db | Tx) =>
  db
    .selectFrom("users")
    .leftJoin("user_links", (join) =>
      join.onRef("user_links.user_id", "=", "users.id").on("user_links.expires_at", ">", sql<Date>`now()`),
    )
    .select([
      "users.id",
      "users.email",
      "users.role",
      "users.is_active",
      "users.created_at",
      "users.joined_at",
      "user_links.purpose as link_purpose",
      "user_links.expires_at as link_expires_at",
    ])
    .select((eb) =>
      eb
        .selectFrom("known_logins")
        .select((inner) => inner.fn.max("last_success_at").as("at"))
        .whereRef("known_logins.user_id", "=", "users.id")
        .as("last_sign_in_at"),
    );

/** The user as the row is after the question was asked: every request asks who it is from. */
export const findUser = rowsById((db, ids: UserId[]) =>
  db
    .selectFrom("users")
    .select(columns)
    .where("id", "=", sql<UserId>`any(${ids}::text[])`)
    .modifyEnd(prepared)
    .execute(),
);

export function userRows(db: Db | Tx) {
  return {
    async find(id: UserId): Promise<UserRow | undefined> {
      return db.selectFrom("users").select(columns).where("id", "=", id).modifyEnd(prepared).executeTakeFirst();
    },

    async findByEmail(email: string): Promise<UserRow | undefined> {
      return db.selectFrom("users").select(columns).where("email", "=", email.toLowerCase()).executeTakeFirst();
    },

    /** The user, whom nobody else changes until the transaction ends. */
    async lock(id: UserId): Promise<UserRow | undefined> {
      return db.selectFrom("users").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    /** The ids of everybody who can act as owner, none of whom stops being one until the transaction ends. */
    async lockOwners(): Promise<UserId[]> {
      const rows = await db
        .selectFrom("users")
        .select("id")
        .where("role", "=", "owner")
        .where("is_active", "=", true)
        .where("joined_at", "is not", null)
        .orderBy("id")
        .forUpdate()
        .execute();
      return rows.map(({ id }) => id);
    },

    async findListed(id: UserId): Promise<ListedUser | undefined> {
      return listed(db).where("users.id", "=", id).executeTakeFirst();
    },

    /** Newest first; without those who were removed unless asked for. */
    async list(query: UserListQuery): Promise<Page<ListedUser>> {
      const after = idAfter(query.cursor);
      let select = listed(db);
      if (!query.include_removed) select = select.where("users.is_active", "=", true);
      if (after) select = select.where(sql<string>`users.id`, "<", after);
      const rows = await select
        .orderBy("users.id", "desc")
        .limit(query.limit + 1)
        .execute();
      return pageById(rows, query.limit);
    },

    /** Undefined when the e-mail is taken. */
    async insert(user: {
      email: string;
      passwordHash: string;
      role: UserRole;
      /** Whether they have yet to set a password of their own. */
      isInvited?: boolean;
    }): Promise<UserRow | undefined> {
      return db
        .insertInto("users")
        .values({
          id: newId("usr"),
          email: user.email.toLowerCase(),
          password_hash: user.passwordHash,
          role: user.role,
          joined_at: user.isInvited ? null : sql<Date>`now()`,
        })
        .onConflict((conflict) => conflict.column("email").doNothing())
        .returning(columns)
        .executeTakeFirst();
    },

    /** Whoever was removed is invited anew, under the id that the audit log knows; nothing they had works again. */
    async reinvite(id: UserId, { passwordHash, role }: { passwordHash: string; role: UserRole }): Promise<void> {
      await db
        .updateTable("users")
        .set({
          password_hash: passwordHash,
          role,
          is_active: true,
          joined_at: null,
          token_version: sql<number>`token_version + 1`,
        })
        .where("id", "=", id)
        .where("is_active", "=", false)
        .execute();
    },

    /** Ends every token of the user at once. */
    async setPassword(id: UserId, passwordHash: string): Promise<void> {
      await db
        .updateTable("users")
        .set({
          password_hash: passwordHash,
          joined_at: sql<Date>`coalesce(joined_at, now())`,
          token_version: sql<number>`token_version + 1`,
        })
        .where("id", "=", id)
        .execute();
    },

    async setRole(id: UserId, role: UserRole): Promise<void> {
      await db.updateTable("users").set({ role }).where("id", "=", id).where("is_active", "=", true).execute();
    },

    /** Ends every token of the user at once, and their way in. */
    async remove(id: UserId): Promise<void> {
      await db
        .updateTable("users")
        .set({ is_active: false, token_version: sql<number>`token_version + 1` })
        .where("id", "=", id)
        .execute();
    },

    /** Failures in the bucket's current window. */
    async failures(buckets: readonly string[]): Promise<Map<string, { failures: number; secondsLeft: number }>> {
      const rows = await db
        .selectFrom("login_throttles")
        .select([
          "bucket",
          "failures",
          sql<number>`ceil(extract(epoch from window_ends_at - now()))::float8`.as("seconds_left"),
        ])
        .where("bucket", "in", buckets)
        .where("window_ends_at", ">", sql<Date>`now()`)
        .execute();
      return new Map(rows.map((row) => [row.bucket, { failures: row.failures, secondsLeft: row.seconds_left }]));
    },

    async countFailure(bucket: string, windowSeconds: number): Promise<void> {
      await sql`
        insert into login_throttles (bucket, failures, window_ends_at)
        values (${bucket}, 1, ${nowPlus(windowSeconds)})
        on conflict (bucket) do update set
          failures = case when login_throttles.window_ends_at <= now() then 1 else login_throttles.failures + 1 end,
          window_ends_at = case when login_throttles.window_ends_at <= now()
            then excluded.window_ends_at else login_throttles.window_ends_at end`.execute(db);
    },

    async forgetFailures(buckets: readonly string[]): Promise<void> {
      await db.deleteFrom("login_throttles").where("bucket", "in", buckets).execute();
    },

    /** Also the memory of sessions that would be over by themselves now. */
    async dropOldFailures(): Promise<void> {
      await db.deleteFrom("login_throttles").where("window_ends_at", "<", sql<Date>`now()`).execute();
      await db.deleteFrom("ended_sessions").where("expires_at", "<", sql<Date>`now()`).execute();
    },

    /** Remembered for as long as the session's token could live; false when it had ended before. */
    async endSession(tokenHash: string, minutes: number): Promise<boolean> {
      const row = await db
        .insertInto("ended_sessions")
        .values({ token_hash: tokenHash, expires_at: nowPlus(minutes * 60) })
        .onConflict((conflict) => conflict.doNothing())
        .returning("token_hash")
        .executeTakeFirst();
      return row !== undefined;
    },

    async isSessionEnded(tokenHash: string): Promise<boolean> {
      const row = await db
        .selectFrom("ended_sessions")
        .select("token_hash")
        .where("token_hash", "=", tokenHash)
        .executeTakeFirst();
      return row !== undefined;
    },

    async rememberAddress(userId: UserId, address: string): Promise<void> {
      await db
        .insertInto("known_logins")
        .values({ user_id: userId, address, last_success_at: sql<Date>`now()` })
        .onConflict((conflict) =>
          conflict.columns(["user_id", "address"]).doUpdateSet({ last_success_at: sql<Date>`now()` }),
        )
        .execute();
    },

    /** Whether the user signed in from this address within the last 30 days. */
    async knowsAddress(userId: UserId, address: string): Promise<boolean> {
      const row = await db
        .selectFrom("known_logins")
        .select("address")
        .where("user_id", "=", userId)
        .where("address", "=", address)
        .where("last_success_at", ">", nowPlus(-30 * 86_400))
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
