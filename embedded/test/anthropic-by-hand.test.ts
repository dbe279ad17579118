import { jobRows } from "@keygate/shared/db/jobs";
import { must } from "@keygate/shared/errors";
import { createLog } from "@keygate/shared/log";
import { Secret } from "@keygate/shared/secret";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { type ApiHarness, createApiHarness } from "../../api/test/harness.ts";
import { startWorker } from "../../worker/src/start-worker.ts";
import { AnthropicBooks, anthropicFixture, readInstructions } from "../../worker/test/fixtures/anthropic.ts";

/** A key that somebody asked for and that the job now waits for. */
interface Waiting {
  jobId: string;
  keyId: string;
  claimToken: string;
  workspaceId: string;
}

const MadeKey = z.object({ id: z.string(), secret: z.string() });
const impatient = { prefer: "respond-async" };

describe("an Anthropic key, asked for, made by hand, given and ended through the API", { timeout: 120_000 }, () => {
  let fixture: Awaited<ReturnType<typeof anthropicFixture.start>>;
  let api: ApiHarness;
  let worker: { close(): Promise<void> } | null = null;
  let people = 0;

  const server = () => must(fixture.servers[0], "the simulated Anthropic");
  const books = () => AnthropicBooks.parse(server().books());
  const keyAtVendor = (id: string) => books().keys.find((key) => key.id === id);
  const digestOf = (text: string) => fixture.digest(new Secret(text));
  const startWorking = () => {
    const log = createLog(
      { level: "debug", name: "worker" },
      { write: (line: string) => void api.logLines.push(line) },
    );
    worker = startWorker(api.config, log);
  };
  const stopWorking = async () => {
    await worker?.close();
    worker = null;
  };

  beforeAll(async () => {
    fixture = await anthropicFixture.start();
    api = await createApiHarness({
      env: { LEASE_SECONDS: "3", SWEEP_INTERVAL_MS: "200", VENDOR_SETTLE_SECONDS: "0.3" },
    });
    startWorking();
    const { base_url } = fixture.settings.extra;
    const body = { vendor: "anthropic", admin_api_key: fixture.settings.adminKey.reveal(), extra_config: { base_url } };
    expect(await api.call("POST", "/vendors/configure", { body })).toMatchObject({
      status: 200,
      body: { status: "ok" },
    });
  }, 120_000);
  afterAll(async () => {
    await stopWorking();
    await api.close();
    await fixture.close();
  }, 120_000);

  /** Polls what the API says, as a script would. */
  async function until<T>(look: () => Promise<T>, isThere: (seen: T) => boolean): Promise<T> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      const seen = await look();
      if (isThere(seen)) return seen;
      if (Date.now() > deadline) throw new Error(`not there yet: ${JSON.stringify(seen)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  const jobOf = async (id: string) => (await api.call("GET", `/jobs/${id}`)).body;
  const keyOf = async (id: string) => (await api.call("GET", `/keys/${id}`)).body;
  const untilJob = (id: string, ...states: string[]) =>
    until(
      () => jobOf(id),
      ({ status }) => states.includes(status),
    );
  const untilKey = (id: string, status: string) =>
    until(
      () => keyOf(id),
      (key) => key.status === status,
    );

  async function developer(): Promise<string> {
    people += 1;
    const body = { name: "Ada Lovelace", email: `ada${people}@acme.test`, team: "engines" };
    return (await api.call("POST", "/developers", { body })).body.id;
  }

  const waitingOf = async (body: { job_id: string; key_id?: string; new_key_id?: string; claim_token: string }) => {
    const job = await untilJob(body.job_id, "waiting_for_input");
    const { workspaceId } = readInstructions(job.waiting.instructions);
    return { jobId: job.id, keyId: job.key_id, claimToken: body.claim_token, workspaceId } as Waiting;
  };

  async function ask(wish: Record<string, unknown> = {}): Promise<Waiting> {
    const body = { developer_id: await developer(), vendor: "anthropic", budget_limit_usd: 25, ...wish };
    const asked = await api.call("POST", "/keys/provision", { body });
    expect(asked).toMatchObject({ status: 202, body: { status: "waiting_for_input" } });
    return waitingOf(asked.body);
  }

  /** What a person does in the Console, with what a test wants to be different. */
  async function make({ jobId }: Waiting, over: Record<string, unknown> = {}) {
    const { workspaceId, name, expiresAt } = readInstructions((await jobOf(jobId)).waiting.instructions);
    const wanted = { workspace_id: workspaceId, name, expires_at: expiresAt, ...over };
    return MadeKey.parse((await server().control("create_key", wanted))?.body);
  }
  const give = ({ jobId }: Waiting, text: string, headers: Record<string, string> = {}) =>
    api.call("POST", `/jobs/${jobId}/input`, { body: { api_key: text }, headers });
  const claim = async ({ jobId, claimToken }: Waiting) =>
    (await api.call("POST", `/jobs/${jobId}/claim`, { body: { claim_token: claimToken } })).body.api_key;

  /** From asking to holding. */
  async function issued() {
    const waiting = await ask();
    const made = await make(waiting);
    expect((await give(waiting, made.secret)).status).toBe(200);
    expect(await claim(waiting)).toBe(made.secret);
    return { waiting, made };
  }
  const atVendor = (path: string, body: unknown) =>
    fetch(`${server().url}/v1/organizations${path}`, {
      method: "POST",
      headers: {
        "x-api-key": fixture.settings.adminKey.reveal(),
        "anthropic-version": "2026-10-21",
        "content-type": "application/json",
      },
      body: JSON.stringify(body),
    });
  const isOpen = ({ workspaceId }: Waiting) =>
    books().workspaces.some(({ id, archived_at }) => id === workspaceId && archived_at === null);

  it("refuses every wrong kind of key with 422 and a reason, and goes on waiting for the right one", async () => {
    const waiting = await ask();
    const other = await ask();
    const before = await issued();
    const late = new Date(Date.now() + 400 * 86_400_000).toISOString();
    const admin = books().users.find(({ role }) => role === "admin")?.id;
    const wrong: [string, RegExp][] = [
      ["this is certainly no key at all, but a sentence", /does not look like/],
      [fixture.settings.adminKey.reveal(), /is an Admin key/],
      [`sk-ant-api03-${"x".repeat(93)}AA`, /does not accept this key/],
      [(await make(other)).secret, /belongs to the workspace wrkspc_/],
      [(await make(waiting, { workspace_id: null })).secret, /does not belong to a single workspace/],
      [before.made.secret, /knows this key already/],
      [(await make(waiting, { principal: { type: "user_actor", user_id: admin } })).secret, /personal key/],
      [(await make(waiting, { expires_at: null })).secret, /never expires/],
      [(await make(waiting, { expires_at: late })).secret, /must end by/],
    ];
    for (const [text, says] of wrong) {
      const answer = await give(waiting, text);
      expect(answer).toMatchObject({ status: 422, body: { code: "job.input_refused", job_id: waiting.jobId } });
      expect(answer.body.detail).toMatch(says);
      expect(answer.text).not.toContain(text.slice(24));
      expect((await jobOf(waiting.jobId)).status).toBe("waiting_for_input");
    }
    const right = await make(waiting);
    expect((await give(waiting, ` ${right.secret}\n`)).status).toBe(200);
    expect(await claim(waiting)).toBe(right.secret);
    // The wrong ones that lie in the job's own workspace were made by nobody known: they are dead.
    const live = books().keys.filter((key) => key.workspace_id === waiting.workspaceId && key.live);
    expect(live.map(({ id }) => id)).toEqual([right.id]);
    for (const text of [right.secret, ...wrong.slice(1).map(([given]) => given)]) {
      expect(api.logLines.join("")).not.toContain(text.slice(24));
      const { rows } = await sql<{ n: number }>`select count(*)::int as n from jobs
        where jobs::text like ${`%${text.slice(24)}%`}`.execute(api.deps.db);
      expect(rows[0]?.n).toBe(0);
    }
    expect(server().violations()).toEqual([]);
  });

  it("takes one of two keys that are given at once, and tells the other one so", async () => {
    const waiting = await ask();
    const [one, two] = [await make(waiting), await make(waiting)];
    const answers = await Promise.all([give(waiting, one.secret), give(waiting, two.secret)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const won = answers[0]?.status === 200 ? one : two;
    expect(await claim(waiting)).toBe(won.secret);
    const live = books().keys.filter((key) => key.workspace_id === waiting.workspaceId && key.live);
    expect(live.map(({ id }) => id)).toEqual([won.id]);
  });

  it("hands one key to one of two jobs that get it at the same time", async () => {
    const [one, two] = [await ask(), await ask()];
    const made = await make(two);
    const [first, second] = await Promise.all([give(one, made.secret), give(two, made.secret)]);
    expect(first).toMatchObject({ status: 422, body: { code: "job.input_refused" } });
    expect(second.status).toBe(200);
    expect((await jobOf(one.jobId)).status).toBe("waiting_for_input");
    expect(await claim(two)).toBe(made.secret);
  });

  it("keeps what was given while no worker ran, sealed, and a second giving is a conflict", async () => {
    const waiting = await ask();
    const made = await make(waiting);
    await stopWorking();
    expect(await give(waiting, made.secret, impatient)).toMatchObject({ status: 202, body: { status: "queued" } });
    expect(await give(waiting, made.secret, impatient)).toMatchObject({
      status: 409,
      body: { code: "job.not_waiting_for_input" },
    });
    startWorking();
    expect((await untilJob(waiting.jobId, "succeeded", "failed")).status).toBe("succeeded");
    expect(await claim(waiting)).toBe(made.secret);
    const row = await jobRows(api.deps.db).find(waiting.jobId as never);
    expect(row?.sealed_input).toBeNull();
  });

  it("waits for the list where it lags behind the Console, instead of asking the person again", async () => {
    const waiting = await ask();
    server().mergeSettings({ list_lag_ms: 150 });
    try {
      const made = await make(waiting);
      expect((await give(waiting, made.secret)).status).toBe(200);
      expect(await claim(waiting)).toBe(made.secret);
    } finally {
      server().mergeSettings({ list_lag_ms: 0 });
    }
  });

  it.each([
    ["cancelled", (one: Waiting) => api.call("POST", `/jobs/${one.jobId}/cancel`, { body: {} })],
    ["revoked", (one: Waiting) => api.call("POST", `/keys/${one.keyId}/revoke`, { body: {} })],
    [
      "deactivated",
      async (one: Waiting) => api.call("DELETE", `/developers/${(await keyOf(one.keyId)).developer_id}`, { body: {} }),
    ],
    ["out of time", (one: Waiting) => sql`update jobs set run_at = now() where id = ${one.jobId}`.execute(api.deps.db)],
  ])("undoes everything when the waiting is %s, keys that were made by then included", async (how, end) => {
    const waiting = await ask();
    // A refusal before must not pass for the reason of the end.
    expect((await give(waiting, "not the right one")).status).toBe(422);
    const made = await make(waiting);
    await end(waiting);
    const job = await untilJob(waiting.jobId, "cancelled", "failed", "succeeded", "needs_attention");
    expect(job).toMatchObject({ status: "cancelled", error: { code: "job.cancelled" } });
    const why: Record<string, string> = {
      cancelled: "Somebody asked for the job to stop.",
      revoked: "Stopped before there was a key: revoked on request.",
      deactivated: "Stopped before there was a key: the developer was deactivated.",
      "out of time": "Nobody gave the job what it waited for in time.",
    };
    expect(job.error.detail).toBe(why[how]);
    expect((await keyOf(waiting.keyId)).status).toBe("failed");
    expect(keyAtVendor(made.id)?.live).toBe(false);
    expect(isOpen(waiting)).toBe(false);
    expect((await give(waiting, made.secret)).status).toBe(409);
  });

  it("waits no longer than the key would live", async () => {
    const waiting = await ask({ expires_in_days: 1 });
    async function daysLeft() {
      const { rows } = await sql<{ days: number }>`
        select extract(epoch from run_at - created_at)::float8 / 86400 as days from jobs where id = ${waiting.jobId}`.execute(
        api.deps.db,
      );
      return rows[0]?.days;
    }
    expect(await daysLeft()).toBeCloseTo(1, 3);
    // A refusal makes it wait anew, until the same moment.
    expect((await give(waiting, "not the right one")).status).toBe(422);
    expect(await daysLeft()).toBeCloseTo(1, 3);
  });

  it("rotates by a second giving in the same workspace; the old key works until its grace is over", async () => {
    const { waiting, made } = await issued();
    const body = { grace_period_minutes: 60 };
    const asked = await api.call("POST", `/keys/${waiting.keyId}/rotate`, { body });
    expect(asked.status).toBe(202);
    const next = await waitingOf(asked.body);
    expect(next.workspaceId).toBe(waiting.workspaceId);
    expect(await give(next, made.secret)).toMatchObject({ status: 422 });
    const successor = await make(next);
    expect((await give(next, successor.secret)).status).toBe(200);
    expect(await claim(next)).toBe(successor.secret);
    await untilKey(waiting.keyId, "retiring");
    expect([keyAtVendor(made.id)?.live, keyAtVendor(successor.id)?.live]).toEqual([true, true]);
    await sql`update keys set retire_at = now() where id = ${waiting.keyId}`.execute(api.deps.db);
    await untilKey(waiting.keyId, "rotated");
    expect([keyAtVendor(made.id)?.status, keyAtVendor(successor.id)?.live]).toEqual(["archived", true]);
    expect(isOpen(waiting)).toBe(true);
    expect((await api.call("POST", `/keys/${next.keyId}/revoke`, { body: {} })).status).toBe(200);
    expect(isOpen(waiting)).toBe(false);
  });

  it.each(["archived", "inactive"])("revokes what somebody made %s in the Console already", async (status) => {
    const { waiting, made } = await issued();
    expect((await atVendor(`/api_keys/${made.id}`, { status })).status).toBe(200);
    const answer = await api.call("POST", `/keys/${waiting.keyId}/revoke`, { body: {} });
    expect(answer).toMatchObject({ status: 200, body: { status: "revoked", key_id: waiting.keyId } });
    expect(keyAtVendor(made.id)?.status).toBe("archived");
    expect(isOpen(waiting)).toBe(false);
  });

  it("ends a key at its time, which the vendor was not told exactly", async () => {
    const { waiting, made } = await issued();
    await sql`update keys set expires_at = now() where id = ${waiting.keyId}`.execute(api.deps.db);
    await untilKey(waiting.keyId, "expired");
    expect(keyAtVendor(made.id)?.status).toBe("archived");
    expect(digestOf(made.secret)).toBe(keyAtVendor(made.id)?.secret_sha256);
    expect(fixture.liveKeys()).not.toContain(digestOf(made.secret));
  });

  it("says who enforces the budget: the vendor where it lets KeyGate set it, else whoever declared it", async () => {
    const budgetOf = async ({ keyId }: Waiting) =>
      (await keyOf(keyId)).limits.find(({ limit }: { limit: string }) => limit === "budget");
    const declared = await issued();
    expect(await budgetOf(declared.waiting)).toMatchObject({ enforced_by: "declared", effective: null });
    server().mergeSettings({ spend_limits: "enabled" });
    try {
      const { waiting } = await issued();
      expect(await budgetOf(waiting)).toMatchObject({ enforced_by: "vendor", effective: 25 });
      const scope = { type: "workspace", workspace_id: waiting.workspaceId };
      expect(books().spend_limits).toMatchObject([{ amount: "2500", scope }]);
      expect((await api.call("POST", `/keys/${waiting.keyId}/revoke`, { body: {} })).status).toBe(200);
    } finally {
      server().mergeSettings({ spend_limits: "disabled" });
    }
  });
});
