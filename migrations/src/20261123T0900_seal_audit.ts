import { type Kysely, sql } from "kysely";

/** What makes the audit log checkable: signing keys, and checkpoints that seal its rows in batches. */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  const hash = (column: string) => `${column} text not null check (${column} ~ '^[0-9a-f]{64}$')`;

  // The private half of the current key is in `sealed`; a retired key's is destroyed, and its public half sealed instead.
  await run(`create table audit_signing_keys (
    id text primary key,
    public_key jsonb not null,
    sealed jsonb not null,
    created_at timestamptz not null default now(),
    retired_at timestamptz)`);
  await run("create unique index audit_signing_keys_current on audit_signing_keys ((true)) where retired_at is null");

  await run(`create table audit_checkpoints (
    number bigint primary key check (number > 0),
    from_seq bigint not null,
    to_seq bigint not null check (to_seq >= from_seq),
    row_count integer not null,
    ${hash("root")},
    ${hash("previous")},
    sealed_at timestamptz not null,
    key_id text not null references audit_signing_keys (id),
    next_key jsonb,
    lost_head jsonb,
    ${hash("hash")},
    signature text not null,
    leaves bytea not null check (octet_length(leaves) = 32 * row_count))`);
  await run("create index audit_checkpoints_key on audit_checkpoints (key_id)");
  // Hashes do not compress.
  await run("alter table audit_checkpoints alter column leaves set storage external");

  // Sealed inputs are few among very many jobs; readiness and re-wrapping look at them only.
  await run("create index jobs_sealed_input on jobs (id) where sealed_input is not null");

  await run(`create function refuse_seal_change() returns trigger language plpgsql as $$
    begin
      raise exception '% keeps what is in it: % is refused', tg_table_name, tg_op
        using errcode = 'insufficient_privilege';
    end $$`);
  for (const table of ["audit_checkpoints", "audit_signing_keys"]) {
    await run(`create trigger ${table}_table_stays before truncate on ${table}
      for each statement execute function refuse_seal_change()`);
  }
  await run(`create trigger audit_checkpoints_rows_stay before update or delete on audit_checkpoints
    for each row execute function refuse_seal_change()`);
  await run(`create trigger audit_signing_keys_rows_stay before delete on audit_signing_keys
    for each row execute function refuse_seal_change()`);
  // A key can be retired once and sealed anew; what it is stays.
  await run(`create trigger audit_signing_keys_stay_themselves before update on audit_signing_keys
    for each row when (new.id <> old.id or new.public_key <> old.public_key or new.created_at <> old.created_at
      or (old.retired_at is not null and new.retired_at is distinct from old.retired_at))
    execute function refuse_seal_change()`);
}

/** Removes everything that `up` made; for development only. */
export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex("jobs_sealed_input").execute();
  for (const table of ["audit_checkpoints", "audit_signing_keys"]) await db.schema.dropTable(table).execute();
  await sql`drop function refuse_seal_change()`.execute(db);
}
