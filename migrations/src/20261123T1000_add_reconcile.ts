import { type Kysely, sql } from "kysely";

/** Debt that was written off, and what reconcile finds: its runs, its findings, and when each key was last seen. */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);

  await run(`alter table jobs
    add column written_off_at timestamptz,
    add column written_off_by text,
    add column written_off_reason text`);
  await run(`create index jobs_debt on jobs (id desc)
    where kind in ('revoke', 'dismantle', 'remove_orphan', 'provision', 'rotate')
      and state not in ('succeeded', 'failed', 'cancelled')`);
  // One scan of a vendor at a time; asking again joins it.
  await run(`create unique index jobs_one_reconcile on jobs (vendor)
    where kind = 'reconcile' and state not in ('succeeded', 'failed', 'cancelled')`);

  await run(`create table reconcile_runs (
    id bigint generated always as identity primary key,
    vendor text not null,
    config_version integer not null,
    cursor jsonb,
    resources_seen integer not null default 0,
    keys_seen integer not null default 0,
    rows_checked integer not null default 0,
    skipped integer not null default 0,
    outcome text check (outcome in ('completed', 'abandoned')),
    error jsonb,
    started_at timestamptz not null default now(),
    moved_at timestamptz not null default now(),
    ended_at timestamptz)`);
  await run("create unique index reconcile_runs_open on reconcile_runs (vendor) where ended_at is null");
  await run("create index reconcile_runs_vendor on reconcile_runs (vendor, id desc)");

  await run(`create table reconcile_findings (
    id text primary key,
    vendor text not null,
    kind text not null check (kind in ('orphan', 'ghost', 'drift', 'unmanaged', 'disabled_by_vendor')),
    resource_type text not null,
    resource_id text not null,
    resource jsonb not null,
    key_id text references keys (id) on delete set null,
    details jsonb not null default '{}',
    suggested_action text not null,
    removal_job_id text references jobs (id),
    first_run_id bigint not null,
    last_run_id bigint not null,
    sightings integer not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    resolved_at timestamptz,
    resolution text)`);
  await run(`create unique index reconcile_findings_open
    on reconcile_findings (vendor, kind, resource_type, resource_id) where resolved_at is null`);
  await run(
    "create index reconcile_findings_unseen on reconcile_findings (vendor, last_run_id) where resolved_at is null",
  );
  await run("create index reconcile_findings_list on reconcile_findings (id desc) where resolved_at is null");
  await run("create index reconcile_findings_key on reconcile_findings (key_id) where key_id is not null");
  await run(
    "create index reconcile_findings_job on reconcile_findings (removal_job_id) where removal_job_id is not null",
  );

  // Apart from the keys, so that noting a sighting never waits for, or delays, a change of the key itself.
  await run(`create table reconcile_sightings (
    key_id text primary key references keys (id) on delete cascade,
    seen_at timestamptz not null)`);

  // Whether a name at a vendor is one that this KeyGate gave out, even when its row is lost: the log never is.
  await run(`create index audit_events_project_name on audit_events ((details ->> 'project_name'))
    where action in ('key.provision', 'key.rotate')`);
}

export async function down(db: Kysely<any>): Promise<void> {
  await db.schema.dropIndex("audit_events_project_name").execute();
  for (const table of ["reconcile_sightings", "reconcile_findings", "reconcile_runs"]) {
    await db.schema.dropTable(table).execute();
  }
  for (const index of ["jobs_one_reconcile", "jobs_debt"]) await db.schema.dropIndex(index).execute();
  await sql`alter table jobs
    drop column written_off_at, drop column written_off_by, drop column written_off_reason`.execute(db);
}
