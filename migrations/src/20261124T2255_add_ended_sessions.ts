import { type Kysely, sql } from "kysely";

/** Dashboard sessions that were signed out of before their time was over, as hashes, until that time. */
export async function up(db: Kysely<any>): Promise<void> {
  await sql`create table ended_sessions (
    token_hash text primary key,
    expires_at timestamptz not null)`.execute(db);
  await sql`create index ended_sessions_expiry on ended_sessions (expires_at)`.execute(db);
}

/** Removes everything that `up` made; for development only. */
export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropTable("ended_sessions").execute();
}
