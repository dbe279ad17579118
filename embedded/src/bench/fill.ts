import type pg from "pg";

type Sql = Pick<pg.Pool, "connect">;

/** Runs it in one session without foreign-key checks, the table's plain indexes dropped before and built after. */
async function inBulk(
  sql: Sql,
  table: string,
  fill: (client: pg.PoolClient) => Promise<void>,
  say: (line: string) => void,
): Promise<void> {
  const client = await sql.connect();
  try {
    await client.query("set session_replication_role = replica");
    await client.query("set max_parallel_maintenance_workers = 2");
    const { rows } = await client.query<{ name: string; definition: string }>(
      `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as definition
        from pg_index left join pg_constraint on conindid = indexrelid
        where indrelid = $1::regclass and pg_constraint.oid is null`,
      [table],
    );
    for (const { name } of rows) await client.query(`drop index ${name}`);
    await fill(client);
    say(`building ${rows.length} indexes on ${table}`);
    for (const { definition } of rows) await client.query(definition);
    await client.query(`vacuum (analyze) ${table}`);
  } finally {
    await client.query("reset session_replication_role");
    client.release();
  }
}

export interface Filled {
  developerIds: string[];
  names: string[];
  workspaceIds: string[];
}

/** Names as unlike each other as people's are: of syllables that the row's number chooses. Some share a given name, few both. */
const syllables =
  "ad ba bel bo bri car chen da di dor el ess fan fer fo ga gar gre hol hu ib in jan jo ka kel kov la len li lund mar mei mi mor " +
  "na ni nov oku ost pa per pet qui ra ras ri ro sa sal sen su ta ti tur ul va ver wen wit xi yan yu zo";
const syllable = (place: number) =>
  `(string_to_array('${syllables}', ' '))[1 + abs(hashint8extended(n, ${place}) % ${syllables.split(" ").length})]`;
const given = [1, 2].map(syllable).join(" || ");
const family = [3, 4, 5].map(syllable).join(" || ");

const developersCount = 20_000;
const workspacesCount = 50;

/** So many keys of twenty thousand developers in every state, each with the job that made it. Nothing stands for them at a vendor. */
export async function fillKeys(sql: pg.Pool, keys: number, say: (line: string) => void): Promise<Filled> {
  say("writing developers and workspaces");
  const developers = await sql.query<{ id: string; name: string }>(
    `insert into developers (id, name, email, team, role)
      select 'dev-' || uuidv7(make_interval(secs => n - 40000)), initcap(given || ' ' || family),
        given || '.' || family || '.' || n || '@fill.test', 'team ' || n % 40, 'developer'
      from (select n, ${given} as given, ${family} as family from generate_series(1, $1) n) as named returning id, name`,
    [developersCount],
  );
  const workspaces = await sql.query<{ id: string }>(
    `insert into workspaces (id, name, description, color)
      select 'ws-' || uuidv7(), 'Filled ' || n, '', '#888888' from generate_series(1, $1) n returning id`,
    [workspacesCount],
  );
  await sql.query(
    "create table bench_developers as select id, lower(replace(name, ' ', '-')) as slug, row_number() over () as n from developers where email like '%@fill.test'",
  );
  await sql.query("create unique index on bench_developers (n)");
  await sql.query(
    "create table bench_workspaces as select id, row_number() over () as n from workspaces where name like 'Filled %'",
  );
  say(`writing ${keys} keys`);
  await inBulk(
    sql,
    "keys",
    async (client) => {
      await client.query(
        `insert into keys (id, developer_id, vendor, workspace_id, status, project_name, budget_micros, rate_limit_rpm,
            expires_at, hint, lineage_id, created_by, created_at, activated_at, claimed_at, revoked_at, limits, instructions)
          select made.id, bench_developers.id, (array['openai', 'anthropic', 'azure_openai', 'google_vertex'])[1 + made.n % 4],
            case when made.n % 5 = 0 then bench_workspaces.id end, status,
            'keygate-team-' || made.n % 40 || '-' || slug || '-' || substr(md5(made.n::text), 1, 6), 50000000, 60,
            now() + make_interval(days => 20 + (made.n % 60)), 'sk-svc...' || substr(md5(made.n::text), 7, 4), made.id, 'admin@bench.test',
            at, at, at, case when status <> 'active' then at end, sample.limits, sample.instructions
          from (select n, at, 'key-' || uuidv7(at - now()) as id,
              (array['active', 'active', 'active', 'active', 'active', 'active', 'active', 'revoked', 'revoked', 'expired'])[1 + (n / 7) % 10] as status
            from (select n, now() - make_interval(secs => ($1 - n) * 30 + 100) as at from generate_series(1, $1) n) as times) as made
          join bench_developers on bench_developers.n = 1 + made.n % $2
          join bench_workspaces on bench_workspaces.n = 1 + made.n % $3,
          lateral (select limits, instructions from keys where instructions is not null limit 1) as sample`,
        [keys, developersCount, workspacesCount],
      );
    },
    say,
  );
  say("writing their project names as the trigger would have done");
  const stem = "left(project_name, length(project_name) - 6)";
  await sql.query(`insert into project_stems (stem) select distinct ${stem} from keys on conflict do nothing`);
  // As autovacuum does it after a while: what was written last still waits to be sorted into the trigram indexes.
  await sql.query("vacuum (analyze) developers, workspaces, project_stems");
  await inBulk(
    sql,
    "key_project_names",
    async (client) => {
      await client.query(
        `insert into key_project_names
          select keys.id, project_stems.id, right(project_name, 6) from keys join project_stems on stem = ${stem}
          order by keys.id on conflict do nothing`,
      );
    },
    say,
  );
  say(`writing ${keys} jobs`);
  await inBulk(
    sql,
    "jobs",
    async (client) => {
      await client.query(
        `insert into jobs (id, kind, vendor, key_id, state, input, priority, run_at, requested_by, requested_by_id, claimed_at, created_at, started_at, finished_at)
          select 'job-' || substr(id, 5), 'provision', vendor, id, 'succeeded', jsonb_build_object('keyId', id), 3, created_at,
            created_by, 'usr-fill', claimed_at, created_at, created_at, created_at
          from keys where developer_id in (select id from bench_developers)`,
      );
    },
    say,
  );
  await sql.query("drop table bench_developers, bench_workspaces");
  return {
    developerIds: developers.rows.map(({ id }) => id),
    names: developers.rows.map(({ name }) => name),
    workspaceIds: workspaces.rows.map(({ id }) => id),
  };
}

/**
 * So many audit rows over two years. They count as sealed by a checkpoint that covers none of them, so that the sealer
 * does not begin to work them off meanwhile; `audit/verify` would say so.
 */
export async function fillAudit(sql: pg.Pool, rows: number, say: (line: string) => void): Promise<void> {
  say(`writing ${rows} audit rows`);
  await inBulk(
    sql,
    "audit_events",
    async (client) => {
      const part = 1_000_000;
      for (let from = 1; from <= rows; from += part) {
        const to = Math.min(rows, from + part - 1);
        await client.query(
          `insert into audit_events (id, action, actor, resource_type, resource_id, details, created_at)
            select 'evt-' || uuidv7(at - now()),
              (array['key.provision', 'key.claim', 'key.revoke', 'key.expire', 'auth.login', 'developer.create', 'key.rotate', 'key.provision'])[1 + n % 8],
              case when n % 3 = 0 then 'system:expiry' else 'admin-' || n % 200 || '@fill.test' end,
              'key', 'key-filled-' || n % 1000000,
              jsonb_build_object('outcome', 'succeeded', 'vendor', 'openai', 'job_id', 'job-' || n, 'project_name', 'keygate-filled-' || n), at
            from (select n, now() - make_interval(secs => ($3 - n) * 6 + 100) as at from generate_series($1::int, $2::int) n) as times`,
          [from, to, rows],
        );
        say(`${to} audit rows`);
      }
    },
    say,
  );
  await sql.query(
    `insert into audit_checkpoints (number, from_seq, to_seq, row_count, root, previous, sealed_at, key_id, hash, signature, leaves)
      select coalesce((select max(number) from audit_checkpoints), 0) + 1, 1, (select max(seq) from audit_events), 0,
        repeat('0', 64), repeat('0', 64), now(), id, repeat('0', 64), '', ''
      from audit_signing_keys where retired_at is null`,
  );
}
