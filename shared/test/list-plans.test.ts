import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { z } from "zod";
import { createTestDatabase, type TestDatabase } from "../../embedded/test-support/database.ts";
import { AuditListQuery } from "../src/contracts/audit.ts";
import { DeveloperListQuery } from "../src/contracts/developers.ts";
import { JobListQuery } from "../src/contracts/jobs.ts";
import { KeyListQuery } from "../src/contracts/keys.ts";
import { auditRows } from "../src/db/audit.ts";
import { type Db, openDatabase } from "../src/db/client.ts";
import { developerRows } from "../src/db/developers.ts";
import { jobRows } from "../src/db/jobs.ts";
import { keyRows } from "../src/db/keys.ts";
import { encodeCursor } from "../src/db/paging.ts";
import type { Database } from "../src/db/schema.ts";
import { searchRows } from "../src/db/search.ts";

/** A node of a plan, as PostgreSQL tells it. */
const Node = z.looseObject({
  "Node Type": z.string(),
  "Relation Name": z.string().optional(),
  "Index Name": z.string().optional(),
  get Plans() {
    return z.array(Node).optional();
  },
});
type Node = z.infer<typeof Node>;
const Explained = z.tuple([z.object({ "QUERY PLAN": z.tuple([z.object({ Plan: Node })]) })]);

const keys = 30_000;
const auditEvents = 60_000;
const large = ["keys", "key_project_names", "project_stems", "jobs", "audit_events", "developers"];
const vendors = ["openai", "anthropic", "azure_openai", "google_vertex"];

let database: TestDatabase;
let pool: pg.Pool;
let db: Db;
let plans: Node[] = [];

const id = (prefix: string, n: number | string) =>
  `${prefix}-${String(n).padStart(8, "0")}-0000-7000-8000-000000000000`;

/** Explains each statement before it runs. */
function explaining(inner: pg.Pool) {
  return {
    async connect() {
      const client = await inner.connect();
      return {
        async query(text: string, values: unknown[]) {
          if (/^\s*(select|with)/i.test(text)) {
            const { rows } = await client.query(`explain (format json) ${text}`, values);
            plans.push(Explained.parse(rows)[0]["QUERY PLAN"][0].Plan);
          }
          return client.query(text, values);
        },
        release: () => client.release(),
      };
    },
    end: () => inner.end(),
  };
}

const idIn = (prefix: string, expression: string) =>
  `'${prefix}-' || lpad((${expression})::text, 8, '0') || '-0000-7000-8000-000000000000'`;

beforeAll(async () => {
  database = await createTestDatabase();
  pool = new pg.Pool({ connectionString: database.url, max: 1 });
  await pool.query("set session_replication_role = replica");
  await pool.query(`insert into developers (id, name, email, team, role)
    select ${idIn("dev", "n")}, 'Person ' || n, 'person-' || n || '@plans.test', 'team ' || n % 40, 'developer'
    from generate_series(1, 20000) n`);
  await pool.query(`insert into workspaces (id, name, description, color)
    select ${idIn("ws", "n")}, 'Workspace ' || n, '', '#888888' from generate_series(1, 50) n`);
  await pool.query(
    `insert into keys (id, developer_id, vendor, workspace_id, status, project_name, budget_micros, rate_limit_rpm,
        expires_at, hint, lineage_id, created_by)
      select ${idIn("key", "n")}, ${idIn("dev", "1 + n % 20000")}, ($2::text[])[1 + n % 4],
        case when n % 3 = 0 then ${idIn("ws", "1 + n % 50")} end, (array['active', 'active', 'revoked'])[1 + (n / 4) % 3],
        'keygate-team-' || n % 40 || '-person-' || 1 + n % 20000 || '-' || substr(md5(n::text), 1, 6), 1, 60, now() + interval '60 days',
        'sk-...' || substr(md5(n::text), 9, 4), ${idIn("key", "n")}, 'plans'
      from generate_series(1, $1) n`,
    [keys, vendors],
  );
  // Triggers rest as well as foreign keys do.
  const stem = "left(project_name, length(project_name) - 6)";
  await pool.query(`insert into project_stems (stem) select distinct ${stem} from keys`);
  await pool.query(`insert into key_project_names
    select keys.id, project_stems.id, right(project_name, 6) from keys join project_stems on stem = ${stem}`);
  await pool.query(
    `insert into jobs (id, kind, vendor, key_id, parent_id, state, input, priority, requested_by, requested_by_id)
      select ${idIn("job", "n")}, (array['provision', 'revoke', 'rotate'])[1 + n % 3], ($2::text[])[1 + n % 4],
        ${idIn("key", "n")}, case when n % 3 = 1 then ${idIn("job", "n - n % 100")} end,
        (array['succeeded', 'succeeded', 'failed', 'waiting_for_input'])[1 + (n / 3) % 4], '{}', 3, 'plans', 'plans'
      from generate_series(1, $1) n`,
    [keys, vendors],
  );
  await pool.query(
    `insert into audit_events (id, action, actor, resource_type, resource_id, created_at)
      select ${idIn("evt", "n")}, (array['key.provision', 'key.claim', 'key.revoke', 'auth.login'])[1 + n % 4],
        'admin-' || n % 61 || '@plans.test', 'key', ${idIn("key", "n % 9000")}, now() - make_interval(secs => n * 60)
      from generate_series(1, $1) n`,
    [auditEvents],
  );
  // What was written last still waits to be sorted into the trigram indexes, as autovacuum does it.
  await pool.query("vacuum analyze developers, workspaces, keys, key_project_names, project_stems, jobs, audit_events");
  db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: explaining(pool) as unknown as pg.Pool }) });
});

afterAll(async () => {
  await db?.destroy();
  await database?.drop();
});

/** Every choice of these filters. */
function choices(filters: Record<string, string>): Record<string, string>[] {
  return Object.entries(filters).reduce<Record<string, string>[]>(
    (chosen, [name, value]) => chosen.flatMap((one) => [one, { ...one, [name]: value }]),
    [{}],
  );
}

const nodesOf = (node: Node): Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

async function plansOf(ask: () => Promise<unknown>): Promise<Node[]> {
  plans = [];
  await ask();
  expect(plans.length).toBeGreaterThan(0);
  return plans.flatMap(nodesOf);
}

const indexesUsed = async (ask: () => Promise<unknown>) =>
  (await plansOf(ask)).flatMap((node) => node["Index Name"] ?? []);

/** The tables that a statement read from end to end, although they are large. */
async function readWhole(ask: () => Promise<unknown>): Promise<string[]> {
  return (await plansOf(ask))
    .filter((node) => node["Node Type"] === "Seq Scan")
    .flatMap((node) => node["Relation Name"] ?? [])
    .filter((name) => large.includes(name));
}

async function expectIndexes(
  queries: readonly Record<string, string>[],
  list: (query: Record<string, string>) => Promise<unknown>,
) {
  const bad: unknown[] = [];
  for (const query of queries) {
    const whole = await readWhole(() => list(query));
    if (whole.length > 0) bad.push({ query, whole });
  }
  expect(bad).toEqual([]);
}

test("a table without the index is noticed", async () => {
  expect(await readWhole(() => db.selectFrom("keys").select("id").where("description", "=", "x").execute())).toEqual([
    "keys",
  ]);
});

test("every combination of filters of GET /keys is served by an index, on the first page and on later ones", async () => {
  const filters = { vendor: "openai", developer_id: id("dev", 77), workspace_id: id("ws", 7) };
  const pages = choices({ cursor: encodeCursor([id("key", keys / 2)]) });
  const statuses = [{}, { status: "all" }, { status: "revoked" }, { status: "revoking" }];
  const queries = choices(filters).flatMap((one) =>
    statuses.flatMap((status) => pages.map((page) => ({ ...one, ...status, ...page }))),
  );
  expect(queries).toHaveLength(64);
  await expectIndexes(queries, (query) => keyRows(db).list(KeyListQuery.parse(query)));
});

test("every combination of filters of GET /jobs is served by an index", async () => {
  const filters = { vendor: "openai", kind: "provision", key_id: id("key", 4), parent_id: id("job", 100) };
  const statuses = [{}, { status: "succeeded" }, { status: "waiting_for_input" }, { status: "running" }];
  const pages = choices({ cursor: encodeCursor([id("job", keys / 2)]) });
  const queries = choices(filters).flatMap((one) =>
    statuses.flatMap((status) => pages.map((page) => ({ ...one, ...status, ...page }))),
  );
  await expectIndexes(queries, (query) => jobRows(db).list(JobListQuery.parse(query)));
});

test("every combination of filters of GET /audit is served by an index", async () => {
  const [since, until] = [20, 10].map((days) => new Date(Date.now() - days * 86_400_000).toISOString());
  const filters = {
    action: "key.claim",
    actor: "admin-7@plans.test",
    resource_id: id("key", 4_000),
    since: String(since),
    until: String(until),
    cursor: encodeCursor([String(until), auditEvents / 2]),
  };
  await expectIndexes(choices(filters), (query) => auditRows(db).list(AuditListQuery.parse(query)));
});

test("an actor's audit rows come newest first and page by page, whatever was done in between", async () => {
  const actor = "admin-7@plans.test";
  const listed: string[] = [];
  const reader = openDatabase({ url: database.url, poolMax: 1, applicationName: "keygate-test" });
  onTestFinished(() => reader.destroy());
  for (let cursor: string | undefined; ; ) {
    const page = await auditRows(reader).list({ actor, limit: 300, cursor });
    listed.push(...page.items.map((event) => event.id));
    if (!page.next) break;
    cursor = page.next;
  }
  const { rows } = await pool.query("select id, action from audit_events where actor = $1 order by seq", [actor]);
  expect(new Set(rows.map(({ action }) => action)).size).toBe(4);
  // The rows were filled from the newest to the oldest.
  expect(listed).toEqual(rows.map((row) => row.id));
});

test("each stretch of the audit log holds the rows it should, its ends too, whatever it is asked by", async () => {
  const reader = openDatabase({ url: database.url, poolMax: 1, applicationName: "keygate-test" });
  onTestFinished(() => reader.destroy());
  const { rows: ends } = await pool.query<{ created_at: Date }>(
    "select date_trunc('milliseconds', created_at) as created_at from audit_events where seq in (900, 30000) order by seq desc",
  );
  // A time in a query has milliseconds: two rows are moved to such a moment, where one end includes and one excludes.
  const [since, until] = ends.map(({ created_at }) => created_at.toISOString());
  await pool.query(
    `insert into audit_events (id, action, actor, resource_type, resource_id, created_at)
      select ${idIn("evt", "1000000 + n")}, (array['key.provision', 'key.claim'])[1 + n % 2], 'admin-7@plans.test', 'key',
        ${idIn("key", "7 + n % 2")}, case when n <= 20 then $1::timestamptz else $2::timestamptz end
      from generate_series(1, 40) n`,
    [since, until],
  );
  const filters = {
    action: "key.claim",
    actor: "admin-7@plans.test",
    resource_id: id("key", 8),
    since: String(since),
    until: String(until),
  };
  for (const query of choices(filters)) {
    const conditions = Object.entries(query).map(([name, value], index) => {
      const column = name === "since" ? "created_at >=" : name === "until" ? "created_at <" : `${name} =`;
      return { sql: `${column} $${index + 1}`, value };
    });
    const where = conditions.map((condition) => condition.sql).join(" and ") || "true";
    const { rows } = await pool.query<{ id: string }>(
      `select id from audit_events where ${where} order by created_at desc, seq desc limit 900`,
      conditions.map(({ value }) => value),
    );
    const listed: string[] = [];
    for (let cursor: string | undefined; listed.length < rows.length; ) {
      const page = await auditRows(reader).list(AuditListQuery.parse({ ...query, cursor, limit: "150" }));
      listed.push(...page.items.map((event) => event.id));
      if (!page.next) break;
      cursor = page.next;
    }
    expect(listed.slice(0, rows.length), JSON.stringify(query)).toEqual(rows.map((row) => row.id));
    expect(rows.length, JSON.stringify(query)).toBeGreaterThan(9);
  }
});

test("what is asked for is found at once when all that is newer is of another kind", async () => {
  await pool.query(
    `insert into audit_events (id, action, actor, resource_type, resource_id)
      select ${idIn("evt", "2000000 + n")}, 'key.expire', 'system:expiry', 'key', ${idIn("key", "n")}
      from generate_series(1, 20000) n`,
  );
  await pool.query(
    `insert into jobs (id, kind, vendor, key_id, state, input, priority, requested_by, requested_by_id)
      select ${idIn("job", "1000000 + n")}, 'revoke', 'openai', ${idIn("key", "n")}, 'succeeded', '{}', 3, 'plans', 'plans'
      from generate_series(1, 20000) n`,
  );
  await pool.query("vacuum analyze jobs, audit_events");
  const log = (query: object) => indexesUsed(() => auditRows(db).list(AuditListQuery.parse(query)));
  expect(await log({ action: "auth.login" })).toEqual(["audit_events_action"]);
  expect(await log({ action: "auth.login", actor: "admin-7@plans.test" })).toEqual(["audit_events_actor_action"]);
  expect(await log({ resource_id: id("key", 8) })).toEqual(["audit_events_resource_id"]);
  const jobs = { status: "succeeded", vendor: "openai", kind: "provision" };
  const jobsBy = (query: object) => indexesUsed(() => jobRows(db).list(JobListQuery.parse(query)));
  expect(await jobsBy(jobs)).toEqual(["jobs_kind_vendor_state"]);
  expect(await jobsBy({ ...jobs, key_id: id("key", 12) })).toEqual(["jobs_key"]);
  expect(await jobsBy({ status: "succeeded" })).toEqual(["jobs_state"]);
  expect(await jobsBy({ vendor: "openai" })).toEqual(["jobs_vendor"]);
  expect(await jobsBy({ kind: "provision" })).toEqual(["jobs_kind"]);
});

test("active keys are found at once when nearly all keys are active and the newest thousands are not", async () => {
  onTestFinished(async () => {
    await pool.query("delete from keys where created_by = 'plans, ended'");
    await pool.query("update keys set status = 'revoked' where (substr(id, 5, 8)::integer / 4) % 3 = 2");
    await pool.query("vacuum analyze keys");
  });
  await pool.query("update keys set status = 'active'");
  await pool.query(
    `insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, hint, lineage_id, created_by)
      select ${idIn("key", "1000000 + n")}, ${idIn("dev", "n")}, 'openai', 'failed', 'keygate-ended-' || n, 1, 60, 'sk-...none',
        ${idIn("key", "1000000 + n")}, 'plans, ended'
      from generate_series(1, 3000) n`,
  );
  await pool.query("vacuum analyze keys");
  const keysBy = (query: object) => indexesUsed(() => keyRows(db).list(KeyListQuery.parse({ limit: "10", ...query })));
  expect(await keysBy({})).toContain("keys_status");
  expect(await keysBy({ vendor: "openai" })).toContain("keys_vendor_status");
  expect(await keysBy({ vendor: "anthropic", status: "all" })).toContain("keys_vendor");
  expect(await keysBy({ status: "all" })).toContain("keys_pkey");
});

test("lists by kind hold the same rows as a plain query, page by page", async () => {
  type Page = { items: { id: string }[]; next: string | null };
  const expectRows = async (table: string, query: object, pageOf: (query: object) => Promise<Page>) => {
    const conditions = Object.entries(query).filter(([, value]) => value !== "all");
    const columnOf = (name: string) => (table === "jobs" && name === "status" ? "state" : name);
    const where = conditions.map(([name], index) => `${columnOf(name)} = $${index + 1}`).join(" and ") || "true";
    const { rows } = await pool.query<{ id: string }>(
      `select id from ${table} where ${where} order by id desc limit 700`,
      conditions.map(([, value]) => value),
    );
    const listed: string[] = [];
    for (let cursor: string | undefined; listed.length < rows.length; ) {
      const page = await pageOf({ ...query, cursor, limit: "300" });
      listed.push(...page.items.map((item) => item.id));
      if (!page.next) break;
      cursor = page.next;
    }
    expect(listed.slice(0, 700), JSON.stringify(query)).toEqual(rows.map((row) => row.id));
    expect(rows.length, JSON.stringify(query)).toBeGreaterThan(300);
  };
  for (const query of choices({ kind: "provision", vendor: "openai", status: "succeeded" })) {
    await expectRows("jobs", query, (asked) => jobRows(db).list(JobListQuery.parse(asked)));
  }
  for (const query of choices({ vendor: "anthropic" })) {
    for (const status of ["active", "revoked", "all"]) {
      await expectRows("keys", { ...query, status }, (asked) => keyRows(db).list(KeyListQuery.parse(asked)));
    }
  }
});

test("what one index was made for is read from it alone", async () => {
  const audit = { actor: "admin-7@plans.test", until: new Date().toISOString() };
  for (const query of [audit, { ...audit, action: "key.claim" }]) {
    expect(await indexesUsed(() => auditRows(db).list(AuditListQuery.parse(query)))).toContain(
      "audit_events_actor_action",
    );
  }
  const counts = await plansOf(() => developerRows(db).list(DeveloperListQuery.parse({ team: "team 7" })));
  expect(counts).toContainEqual(
    expect.objectContaining({ "Node Type": "Index Only Scan", "Index Name": "keys_developer_live" }),
  );
  const fingerprint = () => keyRows(db).findByFingerprint(["none"]);
  expect(await indexesUsed(fingerprint)).toContain("keys_fingerprints");
  for (const q of ["son-77", "0bad0"]) {
    const used = await indexesUsed(() => keyRows(db).list(KeyListQuery.parse({ q })));
    expect(used, q).toEqual(expect.arrayContaining(["project_stems_trgm", "key_project_names_stem"]));
  }
  const inWorkspace = KeyListQuery.parse({ workspace_id: id("ws", 7), status: "revoked" });
  expect(await indexesUsed(() => keyRows(db).list(inWorkspace))).toContain("keys_workspace_id_status");
});

test("GET /developers and the search are served by indexes", async () => {
  const filters = { team: "team 7", active_only: "true", cursor: encodeCursor([id("dev", 1_500)]) };
  await expectIndexes(choices(filters), (query) => developerRows(db).list(DeveloperListQuery.parse(query)));
  for (const q of ["person-77@", "son 2917", "zz", id("dev", 5), "zz-nobody", "team-7-person-2847-0", "0bad0"]) {
    expect(await readWhole(() => searchRows(db).developers(q, 10)), q).toEqual([]);
    expect(await readWhole(() => searchRows(db).keys(q, 10)), q).toEqual([]);
    expect(await readWhole(() => keyRows(db).list(KeyListQuery.parse({ q }))), q).toEqual([]);
  }
});
