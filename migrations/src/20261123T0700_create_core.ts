import { type Kysely, sql } from "kysely";

/** The tables of the main job: people, vendors, keys, jobs with their journal, the handoff, the audit log. */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);

  await run(`create table users (
    id text primary key,
    email text not null unique check (email = lower(email)),
    password_hash text not null,
    role text not null check (role in ('owner', 'admin', 'auditor')),
    is_active boolean not null default true,
    token_version integer not null default 1,
    created_at timestamptz not null default now())`);
  await run(`create table login_throttles (
    bucket text primary key,
    failures integer not null,
    window_ends_at timestamptz not null)`);
  await run("create index login_throttles_window on login_throttles (window_ends_at)");
  await run(`create table known_logins (
    user_id text not null references users (id),
    address text not null,
    last_success_at timestamptz not null,
    primary key (user_id, address))`);

  await run(`create table developers (
    id text primary key,
    name text not null,
    email text not null unique check (email = lower(email)),
    team text not null,
    role text not null,
    is_active boolean not null default true,
    created_at timestamptz not null default now())`);
  await run("create index developers_team on developers (team, id desc)");
  await run("create index developers_active on developers (is_active, id desc)");

  await run(`create table workspaces (
    id text primary key,
    name text not null,
    description text not null,
    color text not null,
    spend_limit_micros bigint,
    rate_limit_rpm integer,
    is_archived boolean not null default false,
    created_at timestamptz not null default now())`);
  await run("create unique index workspaces_name on workspaces (lower(name)) where not is_archived");
  await run(`create table workspace_members (
    workspace_id text not null references workspaces (id),
    developer_id text not null references developers (id),
    role text not null,
    joined_at timestamptz not null default now(),
    primary key (workspace_id, developer_id))`);
  await run("create index workspace_members_developer on workspace_members (developer_id)");

  await run(`create table vendor_configs (
    vendor text primary key,
    source text not null check (source in ('api', 'environment', 'simulator')),
    sealed jsonb not null,
    admin_key_hint text not null,
    org_id text,
    public_config jsonb not null default '{}',
    version integer not null default 1,
    health text not null default 'unknown' check (health in ('unknown', 'healthy', 'unhealthy')),
    health_detail text,
    health_since timestamptz,
    configured_at timestamptz not null default now())`);

  await run(`create table keys (
    id text primary key,
    developer_id text not null references developers (id),
    vendor text not null,
    workspace_id text references workspaces (id),
    status text not null check (status in
      ('pending', 'active', 'retiring', 'revoking', 'revoked', 'rotated', 'expired', 'failed')),
    status_reason text,
    credential_kind text not null default 'key',
    project_name text not null,
    description text not null default '',
    budget_micros bigint not null,
    rate_limit_rpm integer not null,
    models_allowed text[],
    expires_at timestamptz,
    hint text,
    fingerprints text[] not null default '{}',
    vendor_ref jsonb not null default '{}',
    limits jsonb not null default '[]',
    instructions jsonb,
    lineage_id text not null,
    replaces_id text references keys (id),
    replaced_by_id text references keys (id),
    grace_minutes integer,
    retire_at timestamptz,
    simulated boolean not null default false,
    created_by text not null,
    created_at timestamptz not null default now(),
    activated_at timestamptz,
    claimed_at timestamptz,
    revoke_requested_at timestamptz,
    revoked_at timestamptz)`);
  await run("create unique index keys_project_name on keys (vendor, project_name) where replaces_id is null");
  for (const column of ["vendor", "developer_id", "workspace_id"]) {
    await run(`create index keys_${column} on keys (${column}, id desc)`);
    await run(`create index keys_${column}_status on keys (${column}, status, id desc)`);
  }
  await run("create index keys_status on keys (status, id desc)");
  await run("create index keys_lineage on keys (lineage_id)");
  await run("create index keys_replaces on keys (replaces_id) where replaces_id is not null");
  await run("create index keys_replaced_by on keys (replaced_by_id) where replaced_by_id is not null");
  await run("create index keys_fingerprints on keys using gin (fingerprints)");
  await run("create index keys_vendor_key_id on keys (vendor, (vendor_ref ->> 'keyId'))");
  await run("create index keys_expiring on keys (expires_at) where status in ('active', 'retiring')");
  await run("create index keys_retiring on keys (retire_at) where status = 'retiring'");

  await run(`create table jobs (
    id text primary key,
    kind text not null,
    vendor text,
    key_id text references keys (id),
    parent_id text references jobs (id),
    state text not null check (state in ('queued', 'running', 'waiting_for_input', 'waiting_for_vendor',
      'compensating', 'needs_attention', 'succeeded', 'failed', 'cancelled')),
    input jsonb not null,
    priority integer not null,
    attempts integer not null default 0,
    undo_attempts integer not null default 0,
    run_at timestamptz not null default now(),
    enqueued_at timestamptz,
    lease_token text,
    lease_until timestamptz,
    cancel_requested boolean not null default false,
    step text,
    step_number integer not null default 0,
    step_total integer not null default 0,
    error jsonb,
    waiting jsonb,
    sealed_input jsonb,
    result jsonb,
    requested_by text not null,
    requested_by_id text not null,
    ip_address text,
    delivery_key jsonb,
    delivery_is_callers boolean not null default false,
    sealed_to text,
    claim_until timestamptz,
    claimed_at timestamptz,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz)`);
  await run(`create index jobs_due on jobs (run_at)
    where state in ('queued', 'running', 'waiting_for_vendor', 'compensating', 'needs_attention')`);
  await run("create index jobs_unclaimed on jobs (claim_until) where state = 'succeeded' and claimed_at is null");
  await run("create index jobs_state on jobs (state, id desc)");
  await run("create index jobs_vendor on jobs (vendor, id desc)");
  await run("create index jobs_kind on jobs (kind, id desc)");
  await run("create index jobs_key on jobs (key_id, id desc)");
  await run("create index jobs_parent on jobs (parent_id, state) where parent_id is not null");
  // One revocation per key at a time; a second request joins the first.
  await run(`create unique index jobs_one_revoke on jobs (key_id)
    where kind = 'revoke' and state not in ('succeeded', 'failed', 'cancelled')`);

  await run(`create table saga_steps (
    job_id text not null references jobs (id),
    name text not null,
    position integer not null,
    status text not null check (status in ('started', 'done', 'undone')),
    made jsonb not null default '{}',
    unsure_since timestamptz,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (job_id, name))`);

  await run(`create table handoffs (
    job_id text primary key references jobs (id),
    jwe text not null,
    expires_at timestamptz not null)`);
  await run("create index handoffs_expiry on handoffs (expires_at)");

  await run(`create table idempotency_keys (
    actor text not null,
    key text not null,
    request_hash text not null,
    job_id text references jobs (id),
    response jsonb,
    locked_until timestamptz not null,
    expires_at timestamptz not null,
    primary key (actor, key))`);
  await run("create index idempotency_keys_expiry on idempotency_keys (expires_at)");
  await run("create index idempotency_keys_job on idempotency_keys (job_id) where job_id is not null");

  // xact tells sealing which rows can still be joined by earlier, uncommitted ones.
  await run(`create table audit_events (
    seq bigint generated always as identity primary key,
    id text not null unique,
    action text not null,
    actor text not null,
    resource_type text not null,
    resource_id text not null,
    details jsonb not null default '{}',
    ip_address text,
    created_at timestamptz not null default clock_timestamp(),
    xact xid8 not null default pg_current_xact_id())`);
  await run("create index audit_events_time on audit_events (created_at desc, seq desc)");
  for (const column of ["action", "actor", "resource_id"]) {
    await run(`create index audit_events_${column} on audit_events (${column}, created_at desc, seq desc)`);
  }
  await run(`create function refuse_audit_change() returns trigger language plpgsql as $$
    begin
      raise exception 'audit_events is append-only: % is refused', tg_op using errcode = 'insufficient_privilege';
    end $$`);
  await run(`create trigger audit_events_rows_stay before update or delete on audit_events
    for each row execute function refuse_audit_change()`);
  await run(`create trigger audit_events_table_stays before truncate on audit_events
    for each statement execute function refuse_audit_change()`);
}

/** Removes everything that `up` made; for development only. */
export async function down(db: Kysely<any>): Promise<void> {
  const tables = ["audit_events", "idempotency_keys", "handoffs", "saga_steps", "jobs", "keys", "vendor_configs"];
  const people = ["workspace_members", "workspaces", "developers", "known_logins", "login_throttles", "users"];
  for (const table of [...tables, ...people]) await db.schema.dropTable(table).execute();
  await sql`drop function refuse_audit_change()`.execute(db);
}
