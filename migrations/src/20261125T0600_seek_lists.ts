import { type Kysely, sql } from "kysely";

/**
 * Lists that keep their pace when the newest rows are all of another kind, as after many expiries at once. An index that
 * rises in every column can be entered at both ends of a stretch of it; see how the audit list is read.
 */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  // Built before the old ones go: building lets others read meanwhile, dropping does not.
  for (const [name, columns] of Object.entries(audit)) {
    await run(`create index ${name}_rising on audit_events (${columns}, created_at, seq)`);
  }
  await run("create index jobs_kind_vendor_state on jobs (kind, vendor, state, id)");
  for (const name of Object.keys(audit)) {
    await run(`drop index ${name}`);
    await run(`alter index ${name}_rising rename to ${name}`);
  }
}

const audit = {
  audit_events_action: "action",
  audit_events_actor_action: "actor, action",
  audit_events_resource_id: "resource_id",
};

export async function down(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  await run("drop index jobs_kind_vendor_state");
  for (const [name, columns] of Object.entries(audit)) {
    await run(`drop index ${name}`);
    await run(`create index ${name} on audit_events (${columns}, created_at desc, seq desc)`);
  }
}
