import { type Kysely, sql } from "kysely";

/**
 * Lists at a million keys and ten million audit rows, and fewer index entries for each key that is made. New indexes are
 * built before old ones go: building lets others read meanwhile, dropping does not.
 */
export async function up(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);

  // One index for an actor's rows with and without an action; see how the list reads it.
  await run("create index audit_events_actor_action on audit_events (actor, action, created_at desc, seq desc)");

  // A developer's live keys, counted by vendor without looking at the keys themselves.
  await run(`create index keys_developer_live on keys (developer_id, id desc) include (vendor)
    where status in ('active', 'retiring')`);

  // Most keys have no workspace, and no key has fingerprints before it is made. A workspace's budgets are added up from its index.
  for (const [name, definition] of Object.entries(narrowed))
    await run(`create index ${name}_some on keys ${definition}`);

  // A project name is a stem, which a developer's keys share, and a mark of its own: `keygate-team-name-` and `x7k2pq`. A
  // search looks through the stems, a few for each developer, and through marks that are short; and both are written once,
  // while the rows of keys are wide and change. Nothing but the trigger writes here.
  await run(`create table project_stems (
    id bigint generated always as identity primary key,
    stem text not null unique)`);
  await run(`create table key_project_names (
    key_id text primary key,
    stem_id bigint not null,
    mark text not null)`);
  await run(`insert into project_stems (stem) select distinct ${stemOf("lower(project_name)")} from keys`);
  await run(`insert into key_project_names
    select keys.id, project_stems.id, ${markOf("lower(project_name)")}
    from keys join project_stems on stem = ${stemOf("lower(project_name)")} order by keys.id`);
  await run(`create function note_project_name() returns trigger language plpgsql as $$
    declare
      full_name text := lower(new.project_name);
      known bigint;
    begin
      select id into known from project_stems where stem = ${stemOf("full_name")};
      if known is null then
        insert into project_stems (stem) values (${stemOf("full_name")})
          on conflict (stem) do update set stem = excluded.stem returning id into known;
      end if;
      insert into key_project_names (key_id, stem_id, mark) values (new.id, known, ${markOf("full_name")})
        on conflict (key_id) do update set stem_id = excluded.stem_id, mark = excluded.mark;
      return null;
    end $$`);
  await run(`create trigger keys_note_project_name after insert or update of project_name on keys
    for each row execute function note_project_name()`);
  await run("create index project_stems_trgm on project_stems using gin (stem gin_trgm_ops)");
  await run("create index key_project_names_stem on key_project_names (stem_id, key_id desc) include (mark)");
  await run("create index key_project_names_mark on key_project_names using gin (mark gin_trgm_ops)");
  // How often a part of a name occurs decides how it is looked for.
  await run("alter table project_stems alter column stem set statistics 1000");
  await run("analyze project_stems, key_project_names");

  // Room on each page for what changes next: such changes touch no index when they stay on their page.
  await run("alter table keys set (fillfactor = 75)");
  await run("alter table jobs set (fillfactor = 70)");

  for (const name of ["audit_events_actor", "keys_developer_id_status", "keys_project_name_trgm"]) {
    await run(`drop index ${name}`);
  }
  for (const name of Object.keys(narrowed)) {
    await run(`drop index ${name}`);
    await run(`alter index ${name}_some rename to ${name}`);
  }
}

/** What follows the last dash, and all up to it. */
const markOf = (name: string) => `split_part(${name}, '-', -1)`;
const stemOf = (name: string) => `left(${name}, length(${name}) - length(${markOf(name)}))`;

const narrowed = {
  keys_workspace_id: "(workspace_id, id desc) where workspace_id is not null",
  keys_workspace_id_status:
    "(workspace_id, status, id desc) include (budget_micros, rate_limit_rpm) where workspace_id is not null",
  keys_fingerprints: "using gin (fingerprints) where fingerprints <> '{}'",
};

export async function down(db: Kysely<any>): Promise<void> {
  const run = (statement: string) => sql.raw(statement).execute(db);
  for (const [name, definition] of Object.entries(narrowed)) {
    await run(`drop index ${name}`);
    await run(`create index ${name} on keys ${definition.replace(/ (include|where) .*/, "")}`);
  }
  await run("alter table keys reset (fillfactor)");
  await run("alter table jobs reset (fillfactor)");
  await run("drop trigger keys_note_project_name on keys");
  await run("drop function note_project_name()");
  await run("drop table key_project_names, project_stems");
  await run("create index keys_project_name_trgm on keys using gin (lower(project_name) gin_trgm_ops)");
  await run("create index keys_developer_id_status on keys (developer_id, status, id desc)");
  await run("create index audit_events_actor on audit_events (actor, created_at desc, seq desc)");
  for (const name of ["keys_developer_live", "audit_events_actor_action"]) await run(`drop index ${name}`);
}
