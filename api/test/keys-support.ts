import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { DeveloperId, JobId, KeyId } from "@keygate/shared/contracts/ids";
import { developerRows } from "@keygate/shared/db/developers";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { Redis } from "ioredis";
import { sql } from "kysely";
import { vi } from "vitest";
import { issueKey, until } from "./fake-worker.ts";
import type { Answer, ApiHarness, Call } from "./harness.ts";

export const async202 = { prefer: "respond-async" };

export async function addDeveloper(api: ApiHarness, name = "Ada Lovelace"): Promise<DeveloperId> {
  const email = `${randomBytes(6).toString("hex")}@team.test`;
  const id = await developerRows(api.deps.db).insert({ name, email, team: "core", role: "developer" });
  return must(id, "the developer");
}

/** Asks for a key without waiting for it. */
export async function askForKey(api: ApiHarness, body: Record<string, unknown> = {}, call: Call = {}): Promise<Answer> {
  const developer_id = body.developer_id ?? (await addDeveloper(api));
  return api.call("POST", "/keys/provision", {
    ...call,
    body: { vendor: "openai", ...body, developer_id },
    headers: { ...async202, ...call.headers },
  });
}

export interface IssuedForTest {
  jobId: JobId;
  keyId: KeyId;
  token: string;
  secret: string;
}

/** A key that is made and waits to be claimed. */
export async function makeClaimableKey(api: ApiHarness, body: Record<string, unknown> = {}): Promise<IssuedForTest> {
  const { body: accepted } = await askForKey(api, body);
  const secret = await issueKey(api.deps, accepted.job_id);
  return { jobId: accepted.job_id, keyId: accepted.key_id, token: accepted.claim_token, secret };
}

export const claim = (api: ApiHarness, jobId: string, token?: string, call: Call = {}): Promise<Answer> =>
  api.call("POST", `/jobs/${jobId}/claim`, {
    ...call,
    body: token === undefined ? {} : { claim_token: token },
    headers: { prefer: "wait=0", ...call.headers },
  });

/** A key in somebody's hands. */
export async function makeActiveKey(api: ApiHarness, body: Record<string, unknown> = {}): Promise<IssuedForTest> {
  const issued = await makeClaimableKey(api, body);
  const { status } = await claim(api, issued.jobId, issued.token);
  if (status !== 200) throw new Error(`The claim was answered with ${status}`);
  return issued;
}

export const keyOf = async (api: ApiHarness, id: KeyId): Promise<KeyRow> =>
  must(await keyRows(api.deps.db).find(id), "the key");
export const jobOf = async (api: ApiHarness, id: JobId): Promise<JobRow> =>
  must(await jobRows(api.deps.db).find(id), "the job");

/** The audit log's rows about something, oldest first, as `action outcome`. */
export async function auditOf(api: ApiHarness, resourceId: string): Promise<string[]> {
  const { rows } = await sql<{ line: string }>`
    select action || ' ' || (details ->> 'outcome') as line from audit_events
    where resource_id = ${resourceId} order by seq`.execute(api.deps.db);
  return rows.map((row) => row.line);
}

/** Everything that Redis holds, one text for each key. */
async function dumpRedis(url: string | null): Promise<string[]> {
  if (!url) return [];
  const redis = new Redis(url);
  try {
    const dump = async (key: string): Promise<string> => {
      const reads: Record<string, () => Promise<unknown>> = {
        string: () => redis.get(key),
        hash: () => redis.hgetall(key),
        list: () => redis.lrange(key, 0, -1),
        set: () => redis.smembers(key),
        zset: () => redis.zrange(key, "0", "-1"),
        stream: () => redis.xrange(key, "-", "+"),
      };
      return JSON.stringify([key, await reads[await redis.type(key)]?.()]);
    };
    return await Promise.all((await redis.keys("*")).map(dump));
  } finally {
    redis.disconnect();
  }
}

/** Where a text stands, as it is, in base64 or escaped for JSON: tables (the queue's too), Redis and log lines. */
export async function placesOf(api: ApiHarness, secret: string): Promise<string[]> {
  const forms = [secret, Buffer.from(secret).toString("base64"), Buffer.from(secret).toString("base64url")];
  const { rows: tables } = await sql<{ schema: string; name: string }>`
    select table_schema as schema, table_name as name from information_schema.tables
    where table_schema in ('public', 'bullmq') and table_type = 'BASE TABLE'`.execute(api.deps.db);
  const holds = (text: string) => forms.some((form) => text.includes(form));
  const places: string[] = [];
  for (const { schema, name } of tables) {
    const { rows } = await sql<{ text: string }>`
      select t::text as text from ${sql.table(`${schema}.${name}`)} as t`.execute(api.deps.db);
    if (rows.some(({ text }) => holds(text))) places.push(`${schema}.${name}`);
  }
  if ((await dumpRedis(api.config.redisUrl)).some(holds)) places.push("redis");
  return api.logLines.some(holds) ? [...places, "log"] : places;
}

/** Many keys like this one, without asking for each. */
export async function cloneKey(api: ApiHarness, id: KeyId, copies: number): Promise<void> {
  await sql`
    insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, lineage_id, created_by)
    select left(${newId("key")}::text, -12) || lpad(n::text, 12, '0'), developer_id, vendor, status, project_name || n, budget_micros,
      rate_limit_rpm, lineage_id, created_by
    from keys, generate_series(1, ${copies}) as n where id = ${id}`.execute(api.deps.db);
}

/**
 * Makes the key of the next request that waits for one, and has its client go away at the same moment. Send the request
 * with this signal and Idempotency-Key; `ended` resolves when the API is through with it.
 */
export function leaveWhenMade(api: ApiHarness): {
  signal: AbortSignal;
  headers: { "idempotency-key": string };
  ended: () => Promise<unknown>;
} {
  const gone = new AbortController();
  const key = randomBytes(8).toString("hex");
  vi.spyOn(api.deps.jobWatcher, "waitFor").mockImplementationOnce(async (jobId, _until, _timeoutMs, signal) => {
    await issueKey(api.deps, jobId);
    const noticed = once(must(signal, "the request's signal"), "abort");
    gone.abort();
    await noticed;
    return null;
  });
  // The API keeps its answer under the key, or lets go of the key where a repeat should see anew.
  const ended = async () => {
    const { rows } = await sql`select 1 from idempotency_keys where key = ${key} and response is null`.execute(
      api.deps.db,
    );
    return rows.length === 0;
  };
  return { signal: gone.signal, headers: { "idempotency-key": key }, ended: () => until(ended, "the API's answer") };
}
