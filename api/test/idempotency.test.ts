import { idempotencyRows } from "@keygate/shared/db/idempotency";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { withoutSecrets } from "../src/middleware/idempotency.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
});
afterAll(() => api?.close());

let count = 0;
const developer = () => {
  count += 1;
  return { name: "Ada", email: `ada${count}@acme.test` };
};
const post = (key: string, body: unknown, path = "/developers", token = api.owner.token) =>
  api.call("POST", path, { body, token, headers: { "idempotency-key": key } });

test("the same key and body have one effect and the same answer", async () => {
  const body = developer();
  const first = await post("one", body);
  expect(first.status).toBe(200);
  expect(first.headers.get("idempotency-replayed")).toBeNull();
  const before = await api.countRows();
  const second = await post("one", body);
  expect(second.status).toBe(200);
  expect(second.body).toEqual(first.body);
  expect(second.headers.get("content-type")).toBe("application/json");
  expect(second.headers.get("idempotency-replayed")).toBe("true");
  expect(await api.countRows()).toEqual(before);
});

test("a refusal is repeated too", async () => {
  const body = developer();
  await api.call("POST", "/developers", { body });
  const first = await post("refused", body);
  expect(first.status).toBe(400);
  const second = await post("refused", body);
  expect(second.status).toBe(400);
  expect(second.body).toEqual(first.body);
  expect(second.headers.get("content-type")).toBe("application/problem+json");
});

test("the same key with another body or for another call is 422", async () => {
  await post("two", developer());
  for (const answer of [
    await post("two", developer()),
    await post("two", { name: "Team" }, "/workspaces"),
    await post("two", developer(), "/members/invite"),
  ]) {
    expect(answer.body).toMatchObject({ status: 422, code: "idempotency.mismatch" });
  }
});

test("each user's keys are their own", async () => {
  const mine = await post("shared", developer());
  const theirs = await post("shared", developer(), "/developers", api.admin.token);
  expect(theirs.status).toBe(200);
  expect(theirs.body.id).not.toBe(mine.body.id);
});

test("of many at once one has the effect; the others hear that it is in flight, or its answer", async () => {
  const body = developer();
  const answers = await Promise.all(Array.from({ length: 10 }, () => post("burst", body)));
  const ids = new Set(answers.filter((answer) => answer.status === 200).map((answer) => answer.body.id));
  expect(ids.size).toBe(1);
  for (const answer of answers.filter(({ status }) => status !== 200)) {
    expect(answer.body).toMatchObject({ status: 409, code: "idempotency.in_flight" });
    expect(answer.headers.get("retry-after")).toBe("1");
  }
});

test("a request that died without a trace can be repeated when its lock has run out", async () => {
  const body = developer();
  const died = await post("died", body);
  // As if the process had ended right after taking the key: no developer, no answer.
  await sql`delete from developers where id = ${died.body.id}`.execute(api.deps.db);
  await sql`update idempotency_keys set response = null, locked_until = now() + interval '1 minute'
    where key = 'died'`.execute(api.deps.db);
  expect((await post("died", body)).status).toBe(409);
  await sql`update idempotency_keys set locked_until = now() where key = 'died'`.execute(api.deps.db);
  const again = await post("died", body);
  expect(again.status).toBe(200);
  expect(again.body.id).not.toBe(died.body.id);
});

test("what was made is answered for once more, whenever the process died or did not hear of its own commit", async () => {
  const { body: workspace } = await api.call("POST", "/workspaces", { body: { name: "Lost" } });
  const { body: member } = await api.call("POST", "/developers", { body: developer() });
  const scopes = ["read"];
  const posts: [path: string, body: unknown, once?: string][] = [
    ["/developers", developer()],
    ["/members/invite", developer()],
    ["/workspaces", { name: "Found" }],
    [`/workspaces/${workspace.id}/members`, { developer_id: member.id }],
    ["/users/invite", { email: "lost@acme.test", role: "admin" }, "one_time_link"],
    ["/tokens", { name: "lost", scopes, expires_in_days: 1 }, "token"],
  ];
  // No answer can be kept later than with what it answers for, which is where the audit row is.
  await sql`create function lose_answer() returns trigger language plpgsql as $$ begin
    if exists (select from audit_events where xmin = pg_current_xact_id()::xid) then return new; end if;
    raise 'lost'; end $$`.execute(api.deps.db);
  await sql`create trigger lose_answer before update of response on idempotency_keys
    for each row execute function lose_answer()`.execute(api.deps.db);
  try {
    for (const [path, body, once] of posts) {
      const first = await post(`lost ${path}`, body, path);
      expect(first.status, path).toBe(200);
      const before = await api.countRows();
      const again = await post(`lost ${path}`, body, path);
      expect(again.status, path).toBe(200);
      expect(again.body, path).toEqual({ ...first.body, ...(once ? { [once]: null } : {}) });
      expect(again.headers.get("idempotency-replayed")).toBe("true");
      expect(await api.countRows()).toEqual(before);
    }
    await idempotencyRows(api.deps.db).release(api.owner.id, "lost /developers");
    expect((await post("lost /developers", posts[0]?.[1])).status).toBe(200);
  } finally {
    await sql`drop trigger lose_answer on idempotency_keys`.execute(api.deps.db);
  }
  const kept = await sql<{ text: string }>`select response::text as text from idempotency_keys
    where key like 'lost %'`.execute(api.deps.db);
  expect(kept.rows.map(({ text }) => text).join()).not.toMatch(/kg_[0-9a-f]{8}|welcome#/);
});

test("a failure of ours keeps nothing, so the same key may try again", async () => {
  const body = developer();
  await sql`alter table developers rename to developers_away`.execute(api.deps.db);
  try {
    expect((await post("ours", body)).status).toBe(500);
  } finally {
    await sql`alter table developers_away rename to developers`.execute(api.deps.db);
  }
  expect((await post("ours", body)).status).toBe(200);
});

test("a key is forgotten after 24 hours", async () => {
  await post("old", developer());
  await sql`update idempotency_keys set expires_at = now() where key = 'old'`.execute(api.deps.db);
  expect((await post("old", developer())).status).toBe(200);
});

test("the key is 1 to 255 printable characters; reads and the sign-in do not look at it", async () => {
  for (const key of ["x".repeat(256), "tab\tinside", "ümlaut"]) {
    const answer = await post(key, developer());
    expect(answer.body).toMatchObject({ status: 422, errors: [{ field: "Idempotency-Key" }] });
  }
  expect((await api.call("GET", "/developers", { headers: { "idempotency-key": "x".repeat(300) } })).status).toBe(200);
  const body = { email: api.owner.email, password: api.owner.password };
  const login = () => api.call("POST", "/auth/login", { body, headers: { "idempotency-key": "login" } });
  expect((await login()).body.access_token).toBeTruthy();
  expect((await login()).body.access_token).toBeTruthy();
  const { rows } = await sql`select * from idempotency_keys where key = 'login'`.execute(api.deps.db);
  expect(rows).toEqual([]);
});

test("an answer is kept without its secrets, and still fits the contract", () => {
  const answer = {
    key_id: "key-1",
    api_key: "sk-1",
    nested: { claim_token: "t", access_token: "a" },
    api_key_jwe: "e",
  };
  expect(JSON.parse(withoutSecrets(JSON.stringify(answer)))).toEqual({
    key_id: "key-1",
    api_key: null,
    nested: { claim_token: null },
  });
});

test("a key that was released between two looks is free again", async () => {
  const rows = idempotencyRows(api.deps.db);
  const attempts = await Promise.all(
    Array.from({ length: 30 }, async (_one, i) => {
      const taken = await rows.take("actor", "contested", "hash", 90);
      if (taken === null && i % 2) await rows.release("actor", "contested");
      return taken;
    }),
  );
  expect(attempts).toHaveLength(30);
});
