import { type Kysely, sql } from "kysely";

/**
 * Lists of keys and jobs by one kind that keep their pace when the newest rows are all of another one: as in the migration
 * before, the index rises in every column.
 */
export async function up(db: Kysely<any>): Promise<void> {
  await rebuild(db, "id");
}

export async function down(db: Kysely<any>): Promise<void> {
  await rebuild(db, "id desc");
}

const indexes = {
  keys_status: "keys (status",
  keys_vendor: "keys (vendor",
  keys_vendor_status: "keys (vendor, status",
  jobs_state: "jobs (state",
  jobs_vendor: "jobs (vendor",
  jobs_kind: "jobs (kind",
};

async function rebuild(db: Kysely<any>, id: string): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  // All are built before the first goes: building lets others read meanwhile, dropping does not.
  for (const [name, columns] of Object.entries(indexes)) await run(`create index ${name}_new on ${columns}, ${id})`);
  for (const name of Object.keys(indexes)) {
    await run(`drop index ${name}`);
    await run(`alter index ${name}_new rename to ${name}`);
  }
}
