import { type Selectable, sql } from "kysely";
import type { UserRole } from "../contracts/auth.ts";
import type { UserId } from "../contracts/ids.ts";
import { newId } from "../ids.ts";
import { type Db, nowPlus, type Tx } from "./client.ts";
import type { Database } from "./schema.ts";

export type UserRow = Selectable<Database["users"]>;

const columns = ["id", "email", "password_hash", "role", "is_active", "token_version", "created_at"] as const;

export function userRows(db: Db | Tx) {
  return {
    async find(id: UserId): Promise<UserRow | undefined> {
      return db.selectFrom("users").select(columns).where("id", "=", id).executeTakeFirst();
    },

    async findByEmail(email: string): Promise<UserRow | undefined> {
      return db.selectFrom("users").select(columns).where("email", "=", email.toLowerCase()).executeTakeFirst();
    },

    /** Undefined when the e-mail is taken. */
    async insert(user: { email: string; passwordHash: string; role: UserRole }): Promise<UserRow | undefined> {
      return db
        .insertInto("users")
        .values({
          id: newId("usr"),
          email: user.email.toLowerCase(),
          password_hash: user.passwordHash,
          role: user.role,
        })
        .onConflict((conflict) => conflict.column("email").doNothing())
        .returning(columns)
        .executeTakeFirst();
    },

    /** Ends every token of the user at once. */
    async setPassword(id: UserId, passwordHash: string): Promise<void> {
      await db
        .updateTable("users")
        .set({ password_hash: passwordHash, token_version: sql<number>`token_version + 1` })
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

    async dropOldFailures(): Promise<void> {
      await db.deleteFrom("login_throttles").where("window_ends_at", "<", sql<Date>`now()`).execute();
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
