import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { createSealer } from "@keygate/shared/audit/seal";
import { createKeyring } from "@keygate/shared/crypto/envelope";
import { systemActor, writeAudit } from "@keygate/shared/db/audit";
import { Secret } from "@keygate/shared/secret";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { asSuperuser } from "../../shared/test/superuser.ts";
import { createApp } from "../src/app.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
let dir: string;
let seal: () => Promise<number>;
let startOfRows: number;

const write = (count: number) =>
  writeAudit(
    api.deps.db,
    Array.from({ length: count }, (_row, i) => ({
      action: "key.provision",
      actor: systemActor("test"),
      resourceType: "key",
      resourceId: `key-${i}`,
      details: { outcome: "succeeded" as const, number: i },
    })),
  );

const tamper = (...statements: string[]) => asSuperuser(api.config.databaseUrl, statements);

beforeEach(async () => {
  api = await createApiHarness();
  dir = mkdtempSync(join(tmpdir(), "keygate-api-audit-"));
  seal = createSealer(api.deps);
  await write(10);
  const { rows } = await sql<{ first: number }>`select max(seq) - 9 as first from audit_events`.execute(api.deps.db);
  startOfRows = rows[0]?.first ?? 0;
  await seal();
  await write(10);
  await seal();
});
afterEach(async () => {
  await api?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** A stranger's check: the export and the public key, kept since before, and a program that knows nothing else. */
async function strangersCheck(key: unknown, ...args: string[]): Promise<{ code: number; output: string }> {
  const { text } = await api.call("GET", "/audit/export", { token: api.auditor.token });
  writeFileSync(join(dir, "export.ndjson"), text);
  writeFileSync(join(dir, "public.jwk"), JSON.stringify(key));
  const tool = join(import.meta.dirname, "../../shared/src/tools/audit-verify.ts");
  const given = [tool, join(dir, "export.ndjson"), "--key", join(dir, "public.jwk"), ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, given, { env: {} }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
}

const verify = async (query = "") => (await api.call("GET", `/audit/verify${query}`)).body;

describe("the five manipulations, by a superuser with the triggers off", () => {
  const row = (n: number) => startOfRows + n;
  test.each<[string, () => string[], string]>([
    ["changed", () => [`update audit_events set actor = 'nobody' where seq = ${row(3)}`], "row_changed"],
    ["removed", () => [`delete from audit_events where seq = ${row(3)}`], "row_missing"],
    [
      "added",
      () => [
        `insert into audit_events (seq, id, action, actor, resource_type, resource_id) overriding system value
         values (0, 'evt-x', 'key.revoke', 'ada@acme.test', 'key', 'key-1')`,
      ],
      "row_added",
    ],
    [
      "reordered",
      () => [
        `update audit_events set seq = -1 where seq = ${row(3)}`,
        `update audit_events set seq = ${row(3)} where seq = ${row(4)}`,
        `update audit_events set seq = ${row(4)} where seq = -1`,
      ],
      "rows_reordered",
    ],
    [
      "truncated, then appended again",
      () => [
        `create table copy as select * from audit_events where seq > ${row(5)}`,
        `delete from audit_events where seq > ${row(5)}`,
        `insert into audit_events overriding system value
         select seq, id, action, 'nobody', resource_type, resource_id, details, ip_address, created_at, xact from copy`,
      ],
      "row_changed",
    ],
  ])("%s: found by the API and by a stranger", async (_what, statements, kind) => {
    const before = await verify();
    expect(before).toMatchObject({ ok: true, problems: [], unsealed_rows: 0 });
    const [key] = before.public_keys;
    expect(await strangersCheck(key, "--head", before.head.hash)).toMatchObject({ code: 0 });
    await tamper(...statements());
    const after = await verify();
    expect(after.ok).toBe(false);
    expect(after.problems.map((problem: { kind: string }) => problem.kind)).toContain(kind);
    const { code, output } = await strangersCheck(key);
    expect(code).toBe(1);
    for (const { checkpoint, kind, detail } of after.problems)
      expect(output).toContain(`checkpoint ${checkpoint}: ${kind}: ${detail}`);
  });

  test("truncated with the checkpoints, appended again and sealed again: found by the head that a stranger kept", async () => {
    const before = await verify();
    await tamper(
      `delete from audit_events where seq > (select to_seq from audit_checkpoints where number = 1)`,
      "delete from audit_checkpoints where number > 1",
    );
    await write(12);
    await createSealer(api.deps)();
    const { hash } = before.head;
    expect(await verify()).toMatchObject({ ok: true, checkpoints: 2 });
    expect(await verify(`?expect_head=${hash}`)).toMatchObject({ ok: false, problems: [{ kind: "truncated" }] });
    expect(await strangersCheck(before.public_keys[0], "--head", hash)).toMatchObject({ code: 1 });
  });
});

describe("GET /audit/verify", () => {
  test("tells what was checked, and is not kept by any cache", async () => {
    await write(2);
    const answer = await api.call("GET", "/audit/verify", { token: api.auditor.token });
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect(answer.body).toMatchObject({ ok: true, checkpoints: 2, unsealed_rows: 2, problems: [], problems_total: 0 });
    expect(answer.body.seal_lag_seconds).toBeGreaterThan(0);
    expect(answer.text).not.toContain('"d":');
  });

  test("since a checkpoint, reads later rows only, and the whole chain all the same", async () => {
    await tamper(`delete from audit_events where seq = ${startOfRows}`);
    const { checked_rows: all } = await verify();
    const since = await verify("?since_checkpoint=1");
    expect(since).toMatchObject({ ok: true, checkpoints: 2 });
    expect(since.checked_rows).toBeLessThan(all);
    await tamper("update audit_checkpoints set sealed_at = now() where number = 1");
    expect(await verify("?since_checkpoint=1")).toMatchObject({ ok: false });
  });

  test("refuses what is no checkpoint and no hash", async () => {
    for (const query of ["?since_checkpoint=x", "?since_checkpoint=-1", "?expect_head=abc", "?nonsense=1"]) {
      expect((await api.call("GET", `/audit/verify${query}`)).status, query).toBe(422);
    }
  });
});

describe("GET /audit/export", () => {
  test("holds to the receiver's pace, and ends when the receiver goes away", async () => {
    await sql`
      insert into audit_events (id, action, actor, resource_type, resource_id, details)
      select 'evt-' || n, 'key.provision', 'system:test', 'key', 'key-' || n,
        jsonb_build_object('outcome', 'succeeded', 'text', repeat(md5(n::text), 200))
      from generate_series(1, 12000) as n`.execute(api.deps.db);
    await seal();
    // Of what is held, not of what only waits to be collected.
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const memory = () => {
      collect();
      return process.memoryUsage().heapUsed + process.memoryUsage().external;
    };
    const before = memory();
    const headers = { authorization: `Bearer ${api.owner.token}` };
    const request = get(`${api.url}/api/v1/audit/export`, { headers });
    const response = await new Promise<import("node:http").IncomingMessage>((resolve) =>
      request.once("response", resolve),
    );
    // 77 MB are on offer; a receiver that reads nothing is sent what fits into the buffers on the way.
    await sleep(1_500);
    expect(memory() - before).toBeLessThan(50_000_000);
    response.destroy();
    await expect.poll(() => api.call("GET", "~/health").then(({ status }) => status)).toBe(200);
    expect(
      (await api.call("GET", "/audit/export?format=rows&resource_id=key-7")).text.trimEnd().split("\n"),
    ).toHaveLength(3);
  });
});

test("readiness names what ENCRYPTION_KEY no longer opens, the audit log's key among it", async () => {
  await api.storeVendor();
  const { kid } = (await verify()).public_keys[0];
  const ready = async (...entries: Secret[]) => {
    const response = await createApp({ ...api.deps, keyring: createKeyring(entries) }).request("/ready");
    return { status: response.status, body: await response.json() };
  };
  const other = new Secret("another entry that sealed nothing of this");
  expect(await ready(other, ...api.config.encryptionKeys)).toMatchObject({ status: 200 });
  expect(await ready(other)).toEqual({
    status: 503,
    body: {
      status: "not_ready",
      checks: { database: "ok", queue: "ok", credentials: "failed" },
      unreadable: ["vendor credential openai", `audit key ${kid}`],
    },
  });
});
