import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rotateSigningKey } from "../src/audit/rotate-signing-key.ts";
import { createKeyring } from "../src/crypto/envelope.ts";
import { auditSealRows } from "../src/db/audit-seals.ts";
import { Secret } from "../src/secret.ts";
import { checkpointHash } from "../src/tools/audit-verify.ts";
import { type AuditWorld, createAuditWorld, randomKey } from "./audit-support.ts";

let world: AuditWorld;
beforeEach(async () => {
  world = await createAuditWorld();
  // Checkpoint 1 seals the rows 1 to 5, checkpoint 2 row 6 (of the new key) to 11, checkpoint 3 the rows 12 to 16.
  for (const count of [5, 5, 5]) {
    await world.write(count);
    await world.seal();
  }
  expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 16, checkpoints: 3 });
});
afterEach(() => world?.close());

const logged = (event: string) => world.logLines.map((line) => JSON.parse(line)).filter((line) => line.msg === event);

/** Both checks find it, and say the same. */
async function expectFound(...problems: { checkpoint: number | null; kind: string; detail?: unknown }[]) {
  const result = await world.verify();
  expect(result.problems).toEqual(problems.map((each) => ({ detail: expect.any(String), ...each })));
  expect(result.ok).toBe(false);
  const offline = await world.check();
  expect(offline, offline.stdout + offline.stderr).toMatchObject({ code: 1 });
  for (const { kind, detail } of result.problems) expect(offline.stdout).toContain(`${kind}: ${detail}`);
}

const copyOf = (seq: number, to: number) => `insert into audit_events
  (seq, id, action, actor, resource_type, resource_id, details, ip_address, created_at, xact) overriding system value
  select ${to}, id || '-copy', action, actor, resource_type, resource_id, details, ip_address, created_at, xact
  from audit_events where seq = ${seq}`;

describe("a row that was sealed and then", () => {
  test.each([
    ["action", "action = 'key.revoke '"],
    ["actor", "actor = 'system:tesT'"],
    ["resource_type", "resource_type = 'developer'"],
    ["resource_id", "resource_id = ''"],
    ["details, in a digit that no double holds", "details = jsonb_set(details, '{number}', '8.00000000000000000001')"],
    ["details, from absent to null", `details = details || '{"extra": null}'`],
    ["ip_address", "ip_address = ''"],
    ["id", "id = id || '0'"],
    ["time, by a microsecond", "created_at = created_at + interval '1 microsecond'"],
    [
      "time, to the same one before our era",
      "created_at = (to_char(created_at, 'YYYY-MM-DD HH24:MI:SS.USOF') || ' BC')::timestamptz",
    ],
    ["time, to infinity", "created_at = 'infinity'"],
  ])("changed in its %s", async (_what, change) => {
    await world.tamper(`update audit_events set ${change} where seq = 8`);
    await expectFound({
      checkpoint: 2,
      kind: "row_changed",
      detail: expect.stringMatching(/^Not what was sealed: row 8 /),
    });
  });

  test.each([
    ["the first", 1, 1, "before row 2"],
    ["one in the middle", 2, 8, "between rows 7 and 9"],
    ["the last", 3, 16, "after row 15"],
  ])("removed: %s", async (_what, checkpoint, seq, where) => {
    await world.tamper(`delete from audit_events where seq = ${seq}`);
    await expectFound({ checkpoint, kind: "row_missing", detail: expect.stringContaining(where) });
  });

  test("moved to another place", async () => {
    await world.tamper(
      "update audit_events set seq = -1 where seq = 8",
      "update audit_events set seq = 8 where seq = 10",
      "update audit_events set seq = 10 where seq = -1",
    );
    await expectFound({ checkpoint: 2, kind: "rows_reordered", detail: expect.stringMatching(/row 8 .*, row 10 /) });
  });

  test("moved to another checkpoint", async () => {
    await world.tamper(
      "update audit_events set seq = 100 where seq = 2",
      "update audit_events set seq = 2 where seq = 14",
    );
    await expectFound({ checkpoint: 1, kind: "row_changed" }, { checkpoint: 3, kind: "row_missing" });
  });

  test("removed with all others of its checkpoint", async () => {
    await world.tamper("delete from audit_events where seq between 7 and 11", "delete from audit_events where seq = 6");
    await expectFound({
      checkpoint: 2,
      kind: "row_missing",
      detail: expect.stringContaining("6 of 6 sealed rows, all of them"),
    });
  });

  test("removed, changed and added at once, is told apart", async () => {
    await world.tamper(
      copyOf(9, 9_000),
      "delete from audit_events where seq = 9",
      "update audit_events set seq = 9 where seq = 9000",
      "delete from audit_events where seq = 1",
    );
    await expectFound({ checkpoint: 1, kind: "row_missing" }, { checkpoint: 2, kind: "row_changed" });
  });
});

describe("a row that was added", () => {
  test.each([
    ["before all others", 0, 1],
    ["before all others, far", -5_000_000_000, 1],
  ])("%s", async (_what, seq, checkpoint) => {
    await world.tamper(copyOf(3, seq));
    await expectFound({ checkpoint, kind: "row_added", detail: expect.stringContaining(`row ${seq} `) });
  });

  test("where a number was never used", async () => {
    await world.db
      .transaction()
      .execute(async (tx) => {
        await world.write(1, tx);
        throw new Error("rolled back");
      })
      .catch(() => {});
    await world.write(1);
    await world.seal();
    await world.tamper(copyOf(3, 17));
    await expectFound({ checkpoint: 4, kind: "row_added", detail: expect.stringMatching(/row 17 /) });
  });
});

describe("a log that was cut off and continued", () => {
  test("with the sealed numbers used again", async () => {
    await world.tamper(
      "delete from audit_events where seq > 13",
      "alter sequence audit_events_seq_seq restart with 14",
    );
    await world.write(6);
    await world.seal();
    await expectFound({
      checkpoint: 3,
      kind: "row_changed",
      detail: expect.stringMatching(/row 14 .*row 15 .*row 16 /),
    });
  });

  test("after everything was emptied", async () => {
    await world.tamper("truncate audit_events restart identity");
    await world.write(16);
    await expectFound(
      { checkpoint: 1, kind: "row_changed" },
      { checkpoint: 2, kind: "row_changed" },
      { checkpoint: 3, kind: "row_changed" },
    );
  });

  const cutOff = async () => {
    await world.tamper(
      "delete from audit_events where seq > 11",
      "delete from audit_checkpoints where number > 2",
      "alter sequence audit_events_seq_seq restart with 12",
    );
    await world.write(5);
  };

  test("its checkpoints too: a worker that saw them says so for all time", async () => {
    const lost = (await world.verify()).head;
    await cutOff();
    await world.seal();
    await world.newSealer()();
    const detail = `Checkpoint 3 (${lost?.hash}) had been removed by then.`;
    await expectFound({ checkpoint: 3, kind: "truncated", detail });
    expect(logged("audit.head_lost")).toMatchObject([{ level: 50, checkpoint: 3, hash: lost?.hash }]);
    // The note is as hard to remove as what it tells of.
    await world.write(1);
    await world.seal();
    expect((await world.verify()).problems).toHaveLength(1);
  });

  test("its checkpoints too, and no worker is left that saw them: a head that was kept finds it", async () => {
    const kept = (await world.verify()).head?.hash ?? "";
    const earlier = world.logLines.map((line) => JSON.parse(line)).find((line) => line.checkpoint === 1).hash;
    await cutOff();
    await world.newSealer()();
    expect(await world.verify()).toMatchObject({ ok: true });
    expect(await world.verify({ expectHead: earlier })).toMatchObject({ ok: true });
    expect(await world.verify({ expectHead: kept })).toMatchObject({
      ok: false,
      problems: [{ checkpoint: null, kind: "truncated", detail: expect.stringContaining(kept) }],
    });
    expect((await world.check({ args: ["--head", earlier] })).code).toBe(0);
    expect(await world.check({ args: ["--head", earlier, "--head", kept] })).toMatchObject({
      code: 1,
      stdout: expect.stringContaining(`truncated: No checkpoint has the hash ${kept}`),
    });
  });

  test("further back than the last change of keys: nobody continues it, and both checks find it", async () => {
    await rotateSigningKey(world.db, world.keyring);
    await cutOff();
    expect(await world.newSealer()()).toBe(0);
    expect(logged("audit.head_refused")).toMatchObject([{ level: 50, checkpoint: 2 }]);
    const key = await world.currentKey();
    expect(await world.check({ key })).toMatchObject({ code: 1, stdout: expect.stringContaining("that you trust") });
    await expect(rotateSigningKey(world.db, world.keyring)).rejects.toThrow("does not fit the current key");
  });

  test("to nothing at all", async () => {
    await world.tamper("truncate audit_events restart identity", "truncate audit_checkpoints");
    await world.write(1);
    expect(await world.newSealer()()).toBe(0);
    expect(await world.verify()).toMatchObject({ ok: false, problems: [{ kind: "checkpoint_missing" }] });
    expect(await world.check()).toMatchObject({ code: 2, stderr: expect.stringContaining("nothing in it is proven") });
  });
});

describe("a checkpoint that was", () => {
  test.each([
    ["moved to other rows", "to_seq = 12", 2, ["checkpoint_changed"]],
    ["given another time", "sealed_at = sealed_at - interval '1 second'", 2, ["checkpoint_changed"]],
    ["signed by nobody", "signature = ''", 2, ["signature_invalid"]],
    ["given other leaves", "leaves = overlay(leaves placing '\\x00'::bytea from 40)", 2, ["checkpoint_changed"]],
    ["given a note", `lost_head = '{"number":9,"hash":""}'`, 2, ["truncated", "checkpoint_changed"]],
    [
      "given a next key",
      `next_key = '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'`,
      2,
      ["checkpoint_changed"],
    ],
  ])("%s", async (_what, change, number, kinds) => {
    await world.tamper(`update audit_checkpoints set ${change} where number = ${number}`);
    const { problems } = await world.verify();
    expect(problems.filter(({ checkpoint }) => checkpoint === number).map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(kinds),
    );
    expect((await world.check()).code).toBe(1);
  });

  test("removed from the middle, its rows with it or not", async () => {
    await world.tamper("delete from audit_checkpoints where number = 2");
    await expectFound(
      { checkpoint: 3, kind: "checkpoint_missing" },
      { checkpoint: 3, kind: "chain_broken" },
      { checkpoint: 3, kind: "row_added", detail: expect.stringContaining("Where no row was sealed") },
    );
    await world.tamper("delete from audit_events where seq between 6 and 11");
    await expectFound({ checkpoint: 3, kind: "checkpoint_missing" }, { checkpoint: 3, kind: "chain_broken" });
  });

  test("removed at the beginning with its rows", async () => {
    await world.tamper("delete from audit_checkpoints where number = 1", "delete from audit_events where seq <= 5");
    await expectFound({ checkpoint: 2, kind: "checkpoint_missing" }, { checkpoint: 2, kind: "chain_broken" });
  });
});

describe("a history that was made up and signed with another key", () => {
  /** Takes the place of the log: the same tables, filled by an installation with another ENCRYPTION_KEY. */
  async function forge(): Promise<void> {
    const other = createKeyring([new Secret(randomKey())]);
    await world.tamper("truncate audit_events restart identity", "truncate audit_checkpoints, audit_signing_keys");
    await world.write(4);
    const { createSealer } = await import("../src/audit/seal.ts");
    const { createLog } = await import("../src/log.ts");
    await createSealer({ db: world.db, keyring: other, log: createLog({ level: "silent", name: "forger" }) })();
  }

  test("is found by this installation, and by whoever kept the public key", async () => {
    const key = await world.currentKey();
    await forge();
    const result = await world.verify();
    expect(result.problems.map(({ kind }) => kind)).toEqual(["key_unknown"]);
    expect(await world.check({ key })).toMatchObject({ code: 1, stdout: expect.stringContaining("key_unknown") });
  });

  test("does not get a genuine signature on top, even where the genuine key is announced in it", async () => {
    const [genuine] = await auditSealRows(world.db).keys();
    await forge();
    const [forged] = await auditSealRows(world.db).keys();
    // The forger announces the genuine key and puts it in place of its own, waiting for a worker to sign on.
    const head = await auditSealRows(world.db).head();
    if (!head || !genuine || !forged) throw new Error("the forgery's head");
    const announced = { ...head, next_key: genuine.public_key };
    await world.tamper(
      `update audit_checkpoints set next_key = '${JSON.stringify(genuine.public_key)}', hash = '${checkpointHash(announced)}'`,
      "update audit_signing_keys set retired_at = now()",
      `insert into audit_signing_keys (id, public_key, sealed) values
        ('${genuine.id}', '${JSON.stringify(genuine.public_key)}', '${JSON.stringify(genuine.sealed)}')`,
    );
    await world.write(3);
    expect(await world.newSealer()()).toBe(0);
    expect(logged("audit.head_refused")).toHaveLength(1);
    expect((await world.verify()).ok).toBe(false);
  });
});
