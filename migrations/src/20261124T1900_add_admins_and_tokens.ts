import { type Kysely, sql } from "kysely";

/** Who was invited and has not joined yet, one-time links to set a password, and service tokens. */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);

  // The default serves the previous version, which makes users that are there at once.
  await run("alter table users add column joined_at timestamptz default now()");
  await run("update users set joined_at = created_at");

  await run(`create table user_links (
    user_id text primary key references users (id),
    token_hash text not null unique,
    purpose text not null check (purpose in ('join', 'reset_password')),
    created_by text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null)`);

  await run(`create table service_tokens (
    id text primary key,
    name text not null,
    token_hash text not null unique,
    hint text not null,
    scopes text[] not null check (cardinality(scopes) > 0),
    created_by text not null,
    created_by_id text not null references users (id),
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    last_used_at timestamptz,
    last_used_address text,
    revoked_at timestamptz,
    revoked_by text)`);
  await run("create unique index service_tokens_name on service_tokens (lower(name)) where revoked_at is null");
  await run("create index service_tokens_creator on service_tokens (created_by_id) where revoked_at is null");
  await run("create index service_tokens_live on service_tokens (id desc) where revoked_at is null");
}

/** Removes everything that `up` made; for development only. */
export async function down(db: Kysely<any>): Promise<void> {
  for (const table of ["service_tokens", "user_links"]) await db.schema.dropTable(table).execute();
  await sql`alter table users drop column joined_at`.execute(db);
}
