import { setTimeout as sleep } from "node:timers/promises";
import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rotateSigningKey } from "../src/audit/rotate-signing-key.ts";
import { auditSealRows, type StoredCheckpoint } from "../src/db/audit-seals.ts";
import { type AuditWorld, createAuditWorld } from "./audit-support.ts";

let world: AuditWorld;
beforeEach(async () => {
  world = await createAuditWorld();
});
afterEach(async () => {
  for (const finish of unfinished.splice(0)) finish();
  await world?.close();
});
/** What a failed test left open would keep the database from being dropped. */
const unfinished: (() => void)[] = [];

const checkpoints = (): Promise<StoredCheckpoint[]> => auditSealRows(world.db).checkpoints(0, 1_000);
const logged = (event: string) => world.logLines.map((line) => JSON.parse(line)).filter((line) => line.msg === event);

/** Holds a transaction open until it is told to end; `begun` resolves when `work` is done. */
function openTransaction(work: Parameters<ReturnType<AuditWorld["db"]["transaction"]>["execute"]>[0]) {
  const { promise: end, resolve: finish } = Promise.withResolvers<void>();
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  unfinished.push(finish);
  const done = world.db.transaction().execute(async (tx) => {
    await work(tx);
    begin();
    await end;
  });
  const finishIt = () => {
    finish();
    return done;
  };
  return { begun, end: finishIt };
}

describe("sealing", () => {
  test("the first rows make the first key, and batches continue each other without a gap", async () => {
    await world.write(1_203);
    expect(await world.seal()).toBe(1_203);
    await world.write(2);
    expect(await world.seal()).toBe(3); // the row that tells of the new key is one of them
    expect(await world.seal()).toBe(0);
    const chain = await checkpoints();
    expect(chain.map(({ number, row_count }) => [number, row_count])).toEqual([
      [1, 1_000],
      [2, 203],
      [3, 3],
    ]);
    expect(chain.map(({ from_seq }) => from_seq)).toEqual([0, ...chain.slice(0, -1).map(({ to_seq }) => to_seq)]);
    expect(await world.verify()).toMatchObject({
      ok: true,
      checked_rows: 1_206,
      checkpoints: 3,
      unsealed_rows: 0,
      seal_lag_seconds: 0,
      head: { checkpoint: 3, hash: chain[2]?.hash },
      problems: [],
      public_keys: [{ kty: "OKP", crv: "Ed25519", kid: chain[0]?.key_id, retired_at: null }],
    });
  });

  test("each checkpoint's hash is told to the log", async () => {
    await world.write(3);
    await world.seal();
    const [checkpoint] = await checkpoints();
    expect(logged("audit.sealed")).toMatchObject([{ level: 30, checkpoint: 1, rows: 3, hash: checkpoint?.hash }]);
  });

  test("rows that are not sealed yet are counted with their age, and are no problem", async () => {
    await world.write(1);
    await world.seal();
    await world.write(4);
    await sleep(50);
    const result = await world.verify();
    expect(result).toMatchObject({ ok: true, checked_rows: 1, unsealed_rows: 5 });
    expect(result.seal_lag_seconds).toBeGreaterThan(0.04);
  });

  test("numbers that were drawn and rolled back are no problem", async () => {
    await world.write(2);
    await world.db
      .transaction()
      .execute(async (tx) => {
        await world.write(5, tx);
        throw new Error("rolled back");
      })
      .catch(() => {});
    await world.write(2);
    await world.seal();
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 4 });
  });

  test("several sealers at once make one chain", async () => {
    const sealers = Array.from({ length: 6 }, world.newSealer);
    for (let i = 0; i < 10; i += 1) {
      await world.write(40);
      await Promise.all(sealers.map((seal) => seal()));
    }
    await world.seal();
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 401, unsealed_rows: 0 });
  });

  test("rows that came from another server, with transaction numbers far ahead of this one, are sealed", async () => {
    await world.write(3);
    await world.tamper("update audit_events set xact = '999999999999'");
    expect(await world.seal()).toBe(3);
  });
});

describe("writers that take their time", () => {
  test("a row is not sealed over one before it that may still appear", async () => {
    const slow = openTransaction((tx) => world.write(1, tx));
    await slow.begun;
    await world.write(3);
    expect(await world.seal()).toBe(0);
    expect(await world.verify()).toMatchObject({ ok: true, unsealed_rows: 3 });
    await slow.end();
    expect(await world.seal()).toBe(4);
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 4 });
  });

  test("nor when the later number belongs to the older transaction", async () => {
    const drawsLast = Promise.withResolvers<void>();
    const hasBegun = Promise.withResolvers<void>();
    const older = world.db.transaction().execute(async (tx) => {
      await sql`select pg_current_xact_id()`.execute(tx);
      hasBegun.resolve();
      await drawsLast.promise;
      await world.write(1, tx);
    });
    await hasBegun.promise;
    const younger = openTransaction((tx) => world.write(1, tx));
    await younger.begun;
    drawsLast.resolve();
    await older;
    // This row is older than every open transaction, and yet a row with a smaller number is still to come.
    const rowsBelowAllOpen = async () => {
      const { rows } = await sql`
        select seq from audit_events where xact < pg_snapshot_xmin(pg_current_snapshot())`.execute(world.db);
      return rows;
    };
    // Transactions of other databases count too, so this takes a moment while other tests run.
    await expect.poll(rowsBelowAllOpen, { timeout: 20_000 }).toEqual([{ seq: 2 }]);
    expect(await world.seal()).toBe(0);
    await younger.end();
    expect(await world.seal()).toBe(2);
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 2 });
  });

  test("long transactions that write nothing here hold nothing up", async () => {
    const busy = openTransaction((tx) => sql`create table elsewhere as select pg_current_xact_id()`.execute(tx));
    await busy.begun;
    await world.write(2);
    expect(await world.seal()).toBe(2);
    await busy.end();
  });

  test("under concurrent writers of every length, all is sealed in the end and nothing is ever reported", async () => {
    let isOver = false;
    const writer = async (holdMs: number) => {
      for (let round = 0; !isOver; round += 1) {
        await world.db
          .transaction()
          .execute(async (tx) => {
            if (round % 2) await sql`select pg_current_xact_id()`.execute(tx);
            await sleep(Math.random() * holdMs);
            await world.write(1 + (round % 3), tx);
            await sleep(Math.random() * holdMs);
            if (round % 5 === 0) throw new Error("rolled back");
          })
          .catch(() => {});
      }
    };
    const sealer = async () => {
      const seal = world.newSealer();
      while (!isOver) await seal();
    };
    const writers = [0, 0, 5, 5, 20, 20, 100, 100, 400, 1_500].map(writer);
    const sealers = [sealer(), sealer()];
    const results: boolean[] = [];
    const endsAt = Date.now() + 6_000;
    while (Date.now() < endsAt) results.push((await world.verify()).ok);
    isOver = true;
    await Promise.all([...writers, ...sealers]);
    await world.seal();
    expect(results).not.toContain(false);
    const { rows } = await sql<{ n: number }>`select count(*) as n from audit_events`.execute(world.db);
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: rows[0]?.n, unsealed_rows: 0 });
    expect((await checkpoints()).length).toBeGreaterThan(3);
  });
});

describe("a new signing key", () => {
  test("is announced by the old one, seals what follows, and takes the old private half with it", async () => {
    await world.write(3);
    await world.seal();
    const first = await world.currentKey();
    const [announcement, acceptance] = await rotateSigningKey(world.db, world.keyring);
    expect(announcement).toMatchObject({ key_id: JSON.parse(first).kid, row_count: 0 });
    expect(announcement?.next_key?.x).toBe(JSON.parse(await world.currentKey()).x);
    expect(acceptance?.key_id).toBe(JSON.parse(await world.currentKey()).kid);
    await world.write(2);
    await world.seal();
    expect(await world.verify()).toMatchObject({ ok: true, checked_rows: 7, checkpoints: 4 });
    for (const key of [first, await world.currentKey()]) expect((await world.check({ key })).code).toBe(0);
    const [retired] = await auditSealRows(world.db).keys();
    expect(world.keyring.open(retired?.sealed, `audit_signing_keys/${retired?.id}`).reveal()).not.toContain('"d"');
  });

  test("by command, many times, while rows are sealed", async () => {
    await world.write(1);
    await world.seal();
    const first = await world.currentKey();
    let isOver = false;
    const sealing = (async () => {
      while (!isOver) {
        await world.write(2);
        await world.seal();
        await sleep(50);
      }
    })();
    for (let i = 0; i < 3; i += 1) expect(await world.run("audit-key", ["rotate"])).toMatchObject({ code: 0 });
    isOver = true;
    await sealing;
    expect(await world.verify()).toMatchObject({ ok: true, public_keys: { length: 4 } });
    expect((await world.check({ key: first })).code).toBe(0);
    const shown = await world.run("audit-key", ["show"]);
    expect(JSON.parse(shown.stdout)).toEqual(JSON.parse(await world.currentKey()));
    const all = await world.run("audit-key", ["show", "--all"]);
    expect((await world.check({ key: all.stdout })).code).toBe(0);
  });

  test("without the old one is seen by who knows only that, and accepted by who trusts both", async () => {
    await world.write(2);
    await world.seal();
    const first = await world.currentKey();
    await rotateSigningKey(world.db, world.keyring, { withoutOldKey: true });
    await world.write(2);
    await world.seal();
    expect(await world.check({ key: first })).toMatchObject({
      code: 1,
      stdout: expect.stringContaining("key_not_announced"),
    });
    const both = `{"keys":[${first},${await world.currentKey()}]}`;
    expect((await world.check({ key: both })).code).toBe(0);
  });

  test("the tables keep what they hold, even from their owner, while the triggers are on", async () => {
    await world.write(2);
    await world.seal();
    for (const statement of [
      "delete from audit_events",
      "update audit_events set actor = 'nobody'",
      "truncate audit_events",
      "delete from audit_checkpoints",
      "update audit_checkpoints set row_count = row_count",
      "truncate audit_checkpoints",
      "delete from audit_signing_keys",
      "update audit_signing_keys set public_key = '{}'",
      "truncate audit_signing_keys cascade",
    ]) {
      await expect(sql.raw(statement).execute(world.db), statement).rejects.toMatchObject({ code: "42501" });
    }
  });
});
