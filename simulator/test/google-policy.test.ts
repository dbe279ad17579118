import { expect, test } from "vitest";
import { ACCOUNTS, conditionUntil, emailOf, type Google, POLICY, PROJECT, startGoogle } from "./google-support.ts";

const EDITOR = "roles/editor";
const stranger = { role: EDITOR, members: ["user:colleague@simulated.example"] };
const MEMBER = `serviceAccount:${emailOf("kg-ada-1")}`;

interface Policy {
  version: number;
  etag: string;
  bindings: { role: string; members: string[]; condition?: unknown }[];
}

async function read({ call }: Google, requestedPolicyVersion = 3): Promise<Policy> {
  return (await call("POST", `${POLICY}:getIamPolicy`, { options: { requestedPolicyVersion } })).body;
}
const write = ({ call }: Google, policy: unknown) => call("POST", `${POLICY}:setIamPolicy`, { policy });
const plus = ({ etag, bindings }: Policy, binding: unknown) => ({ version: 3, etag, bindings: [...bindings, binding] });

test("stores a policy that was read and written with version 3, and gives it a new etag", async () => {
  const google = await startGoogle();
  await google.call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const before = await read(google);
  expect(before.version).toBe(3);
  const binding = { role: "roles/aiplatform.user", members: [MEMBER], condition: conditionUntil(Date.now() + 1000) };
  const written = await write(google, plus(before, binding));
  expect(written.status).toBe(200);
  expect(written.body.etag).not.toBe(before.etag);
  expect(written.body.bindings).toEqual([...before.bindings, binding]);
  expect(written.body.auditConfigs).toHaveLength(1);
  expect((await read(google)).bindings).toEqual(written.body.bindings);
  expect(google.violations()).toEqual([]);
});

test("refuses a write over a change that the writer has not seen", async () => {
  const google = await startGoogle();
  const before = await read(google);
  await google.server.control("edit_policy", { add: stranger });
  const refused = await write(google, plus(before, stranger));
  expect(refused).toMatchObject({ status: 409, body: { error: { status: "ABORTED" } } });
  const again = await read(google);
  expect(again.bindings).toContainEqual(stranger);
  expect((await write(google, plus(again, { role: "roles/viewer", members: ["user:a@b.example"] }))).status).toBe(200);
  await google.server.control("edit_policy", { remove: { role: EDITOR, member: stranger.members[0] } });
  expect((await read(google)).bindings.some(({ role }) => role === EDITOR)).toBe(false);
  expect(google.violations()).toEqual([]);
});

test("lets a write without an etag run over everybody, and files it", async () => {
  const google = await startGoogle();
  const { bindings } = await read(google);
  await google.server.control("edit_policy", { add: stranger });
  expect((await write(google, { version: 3, bindings })).status).toBe(200);
  expect((await read(google)).bindings.some(({ role }) => role === EDITOR)).toBe(false);
  expect(google.violations()).toEqual(["a policy was written without its etag"]);
});

test("leaves out conditions for readers of old versions, and strips them when they write back; both are filed", async () => {
  const google = await startGoogle();
  const old = await read(google, 1);
  expect(old.version).toBe(1);
  expect(old.bindings.some(({ condition }) => condition !== undefined)).toBe(false);
  expect(google.violations()).toHaveLength(1);

  const whole = await read(google);
  expect(whole.bindings.some(({ condition }) => condition !== undefined)).toBe(true);
  const written = await write(google, { version: 1, etag: whole.etag, bindings: whole.bindings });
  expect(written.status).toBe(200);
  expect(google.violations()).toHaveLength(2);
  const stripped = await read(google);
  expect(stripped.bindings.some(({ condition }) => condition !== undefined)).toBe(false);
  // Without conditions a policy says version 1, also to those who asked for 3.
  expect(stripped.version).toBe(1);
});

test("does not know an account that is absent or still settling", async () => {
  const google = await startGoogle({ account_visible_after_ms: 60_000 });
  const bind = async () => {
    const policy = await read(google);
    return write(google, plus(policy, { role: "roles/aiplatform.user", members: [MEMBER] }));
  };
  expect((await bind()).body.error).toMatchObject({ status: "INVALID_ARGUMENT", message: /does not exist/ });
  await google.call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  expect((await bind()).status).toBe(400);
  google.server.advanceClock(60_000);
  expect((await bind()).status).toBe(200);
  expect(google.violations()).toEqual([]);
});

test("keeps the binding of a deleted account under its deleted name, and a namesake inherits nothing", async () => {
  const google = await startGoogle({ revoke_after_ms: 60_000 });
  const { email } = await google.provision("kg-ada-1");
  const [, first] = google.books().accounts;
  await google.call("DELETE", `${ACCOUNTS}/${email}`);
  const gone = `deleted:serviceAccount:${email}?uid=${first.unique_id}`;
  const policy = await read(google);
  expect(policy.bindings.at(-1)?.members).toEqual([gone]);

  await google.call("POST", ACCOUNTS, { accountId: "kg-ada-1" });
  const [, , namesake] = google.books().accounts;
  expect(namesake.may_predict).toBe(false);
  const mixed = await write(google, plus(policy, { role: "roles/aiplatform.user", members: [MEMBER] }));
  expect(mixed.body.error.status).toBe("INVALID_ARGUMENT");
  const cleaned = policy.bindings.filter(({ members }) => !members.includes(gone));
  expect((await write(google, { version: 3, etag: policy.etag, bindings: cleaned })).status).toBe(200);
});

test("gives an undeleted account its binding back", async () => {
  const google = await startGoogle();
  const { email, file } = await google.provision("kg-ada-1");
  const { unique_id } = google.books().accounts[1];
  await google.call("DELETE", `${ACCOUNTS}/${email}`);
  await google.call("POST", `${ACCOUNTS}/${unique_id}:undelete`, {});
  expect((await read(google)).bindings.at(-1)?.members).toEqual([MEMBER]);
  expect(await google.predict(await google.tokenFor(email, file.private_key))).toBe(200);
});

test("refuses unknown roles, unknown members and conditions that cannot be read", async () => {
  const google = await startGoogle();
  const policy = await read(google);
  const bad = [
    { role: `projects/${PROJECT}/roles/nothing`, members: ["user:a@b.example"] },
    { role: EDITOR, members: ["somebody"] },
    { role: EDITOR, members: ["user:a@b.example"], condition: { title: "x", expression: "" } },
    {
      role: EDITOR,
      members: ["user:a@b.example"],
      condition: { title: "x", expression: 'request.time < timestamp("soon")' },
    },
  ];
  for (const binding of bad) expect((await write(google, plus(policy, binding))).status).toBe(400);
  expect((await read(google)).etag).toBe(policy.etag);
  const lint = await google.call("POST", "/v1/iamPolicies:lintPolicy", { condition: { expression: "(" } });
  expect(lint).toMatchObject({ status: 200, body: { lintResults: [{ severity: "ERROR" }] } });
});

test("can hold the admin to the roles it may grant", async () => {
  const google = await startGoogle({ admin_grants: ["roles/aiplatform.user"] });
  const user = ["user:a@b.example"];
  expect((await write(google, plus(await read(google), { role: EDITOR, members: user }))).status).toBe(403);
  expect((await write(google, plus(await read(google), { role: "roles/aiplatform.user", members: user }))).status).toBe(
    200,
  );
});

test("locks out an admin that writes itself out of the policy", async () => {
  const google = await startGoogle();
  const { etag } = await read(google);
  await write(google, { version: 3, etag, bindings: [{ role: "roles/owner", members: ["user:a@b.example"] }] });
  expect((await google.call("POST", `${POLICY}:getIamPolicy`, {})).status).toBe(403);
});
