import { type Kysely, sql } from "kysely";

/**
 * Search over a million keys: trigrams find text anywhere in names, e-mails, hints and project names; two letters, which
 * have no trigram, are looked up as the beginning of a name or an e-mail.
 */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  // A trusted extension: the owner of the database may make it.
  await run("create extension if not exists pg_trgm");
  await run("create index developers_name_trgm on developers using gin (lower(name) gin_trgm_ops)");
  await run("create index developers_email_trgm on developers using gin (email gin_trgm_ops)");
  await run("create index developers_name_prefix on developers (lower(name) text_pattern_ops)");
  await run("create index developers_email_prefix on developers (email text_pattern_ops)");
  await run("create index keys_project_name_trgm on keys using gin (lower(project_name) gin_trgm_ops)");
  await run("create index keys_hint_trgm on keys using gin (lower(hint) gin_trgm_ops)");
}

/** Leaves the extension: others may use it by now. */
export async function down(db: Kysely<any>): Promise<void> {
  const names = ["name_trgm", "email_trgm", "name_prefix", "email_prefix"].map((name) => `developers_${name}`);
  for (const name of [...names, "keys_project_name_trgm", "keys_hint_trgm"]) await db.schema.dropIndex(name).execute();
}
