import { execFile } from "node:child_process";
import { createHash, createPublicKey, verify } from "node:crypto";
import { statSync } from "node:fs";
import { promisify } from "node:util";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { rotateSigningKey } from "../src/audit/rotate-signing-key.ts";
import { type AuditWorld, createAuditWorld } from "./audit-support.ts";

let world: AuditWorld;
let firstKey: string;
beforeAll(async () => {
  world = await createAuditWorld();
  await world.write(1_205);
  await world.seal();
  firstKey = await world.currentKey();
  await rotateSigningKey(world.db, world.keyring);
  await world.write(8);
  await world.seal();
  await world.write(3);
});
afterAll(() => world?.close());

const linesOf = (text: string) => text.trimEnd().split("\n");
const without = (text: string, unwanted: RegExp) =>
  linesOf(text)
    .filter((line) => !unwanted.test(line))
    .join("\n");

describe("an export", () => {
  test("holds everything oldest first, and is whole by the first key, the second, and a set of both", async () => {
    const items = linesOf(await world.export()).map((line) => JSON.parse(line));
    const types = items.map((item) => item.type ?? "row");
    expect(Object.groupBy(types, (type: string) => type)).toMatchObject({
      log: { length: 1 },
      key: { length: 2 },
      checkpoint: { length: 5 },
      row: { length: 1_218 },
      head: { length: 1 },
    });
    expect([types[0], types.at(-1)]).toEqual(["log", "head"]);
    expect(items.at(-1)).toMatchObject({ checkpoint: 5, row_count: 1_215, unsealed_rows: 3 });
    const rows = items.filter((item) => item.type === undefined);
    expect(rows.map(({ details }) => details.number).filter(Boolean)).toEqual(
      Array.from({ length: 1_216 }, (_row, i) => i + 1),
    );
    const second = await world.currentKey();
    for (const key of [
      firstKey,
      second,
      `[${firstKey},${second}]`,
      JSON.stringify({ public_keys: [JSON.parse(second)] }),
    ]) {
      const result = await world.check({ key });
      expect(result, result.stdout + result.stderr).toMatchObject({ code: 0 });
      expect(result.stdout).toContain(
        "The audit log is whole.\n1215 rows in 5 checkpoints.\n3 newer rows are not sealed",
      );
    }
  });

  test("can be checked by the description alone", async () => {
    const sha256 = (...parts: (string | Buffer)[]) =>
      createHash("sha256")
        .update(Buffer.concat(parts.map((part) => Buffer.from(part as string))))
        .digest();
    // RFC 6962, 2.1, as it is written there: split at the largest power of two below the size.
    const tree = (leaves: Buffer[]): Buffer => {
      const [first] = leaves;
      if (!first) return sha256("");
      if (leaves.length === 1) return first;
      const split = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
      return sha256(Buffer.of(1), tree(leaves.slice(0, split)), tree(leaves.slice(split)));
    };
    const lines = linesOf(await world.export());
    let previous = "0".repeat(64);
    let checked = 0;
    for (const [at, line] of lines.entries()) {
      const { type, hash, signature, leaves, ...body } = JSON.parse(line);
      if (type !== "checkpoint") continue;
      const rows = lines.slice(at + 1, at + 1 + body.row_count);
      expect(body.root).toBe(tree(rows.map((row) => sha256(Buffer.of(0), row))).toString("hex"));
      expect(body.previous).toBe(previous);
      const sorted = Object.fromEntries(Object.entries({ ...body, version: 1 }).sort(([a], [b]) => (a < b ? -1 : 1)));
      const nextKey = body.next_key && { crv: body.next_key.crv, kty: body.next_key.kty, x: body.next_key.x };
      expect(hash).toBe(sha256(Buffer.of(2), JSON.stringify({ ...sorted, next_key: nextKey })).toString("hex"));
      const key = lines
        .map((each) => JSON.parse(each))
        .find((each) => each.type === "key" && each.key_id === body.key_id);
      const message = Buffer.from(`keygate-audit-checkpoint-1:${hash}`);
      const publicKey = createPublicKey({ key: key.public_key, format: "jwk" });
      expect(verify(null, message, publicKey, Buffer.from(signature, "base64url"))).toBe(true);
      previous = hash;
      checked += 1;
    }
    expect(checked).toBe(5);
  });

  test.each<[string, (text: string) => string, RegExp]>([
    [
      "a row is changed",
      (text) => text.replace('"number":17,', '"number":18,'),
      /checkpoint 1: row_changed: .*row 17 /,
    ],
    [
      "a member is written twice",
      (text) => text.replace('{"action":"key.revoke"', '{"action":"x","action":"key.revoke"'),
      /row_changed/,
    ],
    [
      "a row is left out",
      (text) => without(text, /"number":1100,/),
      /checkpoint 2: row_missing: .*between rows 1099 and 1101/,
    ],
    [
      "a row is repeated",
      (text) => text.replace(/^[^\n]*"number":20,[^\n]*\n/m, "$&$&"),
      /rows_reordered.*\n.*row_added/,
    ],
    [
      "two rows change places",
      (text) => text.replace(/^([^\n]*"number":20,[^\n]*\n)([^\n]*\n)/m, "$2$1"),
      /rows_reordered: Out of order/,
    ],
    [
      "a checkpoint is left out",
      (text) => without(text, /"type":"checkpoint".*"number":2,/),
      /checkpoint 3: checkpoint_missing: Checkpoint 2/,
    ],
    ["the leaves are left out", (text) => text.replaceAll(/,"leaves":"[^"]*"/g, ""), /checkpoint_changed/],
    ["the end is cut off", (text) => linesOf(text).slice(0, 900).join("\n"), /The export is cut off/],
    [
      "the end is cut off before the last line",
      (text) =>
        linesOf(text)
          .filter((_line, at, all) => at < 900 || at === all.length - 1)
          .join("\n"),
      /names as its last/,
    ],
    ["something follows", (text) => `${text}{"type":"head","hash":"x"}\n`, /follows the last line/],
    ["something else is in it", (text) => text.replace("\n", "\nhello\n[1]\nnull\n"), /Line 2 is nothing that belongs/],
    ["a key is no key", (text) => text.replace("\n", '\n{"type":"key"}\n'), /Line 2 cannot be read/],
  ])("is refused when %s", async (_what, change, expected) => {
    const text = await world.export();
    const changed = change(text);
    expect(changed).not.toBe(text);
    const result = await world.check({ text: changed });
    expect(result, result.stdout + result.stderr).toMatchObject({ code: 1, stderr: "" });
    expect(result.stdout).toMatch(/^The audit log is NOT whole/);
    expect(result.stdout).toMatch(expected);
  });

  test("of selected rows proves each of them, and says that it proves no more", async () => {
    const text = await world.export({ resource_id: "key-7" });
    const rows = linesOf(text).filter((line) => !line.includes('"type":'));
    expect(rows).toHaveLength(121);
    expect(text.length).toBeLessThan((await world.export()).length / 2);
    expect(await world.check({ text })).toMatchObject({ code: 2, stderr: expect.stringContaining("--selection") });
    const result = await world.check({ text, args: ["--selection"] });
    expect(result, result.stdout).toMatchObject({ code: 0 });
    expect(result.stdout).toContain("Every row shown is in the log as it was written.\n121 rows in 5 checkpoints.");
    const changed = await world.check({ text: text.replace('"number":17,', '"number":18,'), args: ["--selection"] });
    expect(changed).toMatchObject({ code: 1, stdout: expect.stringContaining("row_changed") });
    const bare = await world.check({ text: text.replaceAll(/,"leaves":"[^"]*"/g, ""), args: ["--selection"] });
    expect(bare).toMatchObject({ code: 1, stdout: expect.stringContaining("Nothing proves row 7 ") });
  });
});

describe("the verifier", () => {
  test("says what it needs, with exit code 2", async () => {
    const key = world.file("key.jwk", firstKey);
    const log = world.file("log.ndjson", await world.export());
    const empty = world.file("empty", "");
    for (const [args, text] of [
      [[], "Name one export"],
      [[log], "Name one export"],
      [[log, log, "--key", key], "Name one export"],
      [[`${log}x`, "--key", key], "ENOENT"],
      [[log, "--key", `${key}x`], "ENOENT"],
      [[log, "--key", log], "holds no Ed25519 public key"],
      [[log, "--key", empty], "holds no Ed25519 public key"],
      [[key, "--key", key], "This is not an export"],
      [[empty, "--key", key], "The export is empty"],
      [[log, "--key", key, "--head", "abc"], "64 hexadecimal digits"],
      [[log, "--key", key, "--nonsense"], "--nonsense"],
    ] as const) {
      const result = await world.run("audit-verify", [...args]);
      expect(result, `${args}: ${result.stderr}`).toMatchObject({ code: 2, stdout: "" });
      expect(result.stderr).toContain(text);
    }
    expect(await world.run("audit-verify", ["--help"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^Usage/),
    });
  });

  test("takes a key as `npm run` prints it, with lines of npm's own before it", async () => {
    const key = `\n> keygate@1.0.0 audit-key\n> node shared/src/tools/audit-key.ts show\n\n${firstKey}\n`;
    expect((await world.check({ key })).code).toBe(0);
  });

  test("does not let an export write to the terminal what it wants", async () => {
    const text = (await world.export()).replace('"number":17,', '"number":18,').replaceAll("evt-", "\\u001b[2J");
    const { stdout } = await world.check({ text });
    expect(stdout).toContain("row_changed");
    expect(stdout).not.toContain("\u001b");
  });

  test("imports nothing but Node", async () => {
    const { readFile } = await import("node:fs/promises");
    const source = await readFile(`${import.meta.dirname}/../src/tools/audit-verify.ts`, "utf8");
    const imports = [...source.matchAll(/from "([^"]+)"|import\("([^"]+)"\)/g)].map(([, name]) => name);
    expect(imports.length).toBeGreaterThan(0);
    for (const name of imports) expect(name).toMatch(/^node:/);
  });
});

describe("a large log", () => {
  test("is exported and checked in a heap of 32 MB", async () => {
    const large = await createAuditWorld();
    await sql`
      insert into audit_events (id, action, actor, resource_type, resource_id, details)
      select 'evt-' || n, 'key.provision', 'system:test', 'key', 'key-' || n,
        jsonb_build_object('outcome', 'succeeded', 'text', repeat(md5(n::text), 100))
      from generate_series(1, 25000) as n`.execute(large.db);
    expect(await large.seal()).toBe(25_000);
    const exported = large.file("large.ndjson", "");
    const script = `
      import { createWriteStream } from "node:fs";
      import { pipeline } from "node:stream/promises";
      import { exportLog } from ${JSON.stringify(import.meta.resolve("../src/audit/export-log.ts"))};
      import { verifyLog } from ${JSON.stringify(import.meta.resolve("../src/audit/verify-log.ts"))};
      import { createKeyring } from ${JSON.stringify(import.meta.resolve("../src/crypto/envelope.ts"))};
      import { openDatabase } from ${JSON.stringify(import.meta.resolve("../src/db/client.ts"))};
      import { Secret } from ${JSON.stringify(import.meta.resolve("../src/secret.ts"))};
      const db = openDatabase({ url: ${JSON.stringify(large.url)}, poolMax: 1, applicationName: "large" });
      await pipeline(exportLog(db, { filter: {}, exportedAt: new Date() }), createWriteStream(${JSON.stringify(exported)}));
      const result = await verifyLog(db, createKeyring([new Secret(${JSON.stringify(large.encryptionKey)})]));
      await db.destroy();
      console.log(JSON.stringify({ result, rss: process.resourceUsage().maxRSS / 1024 }));`;
    const flags = ["--max-old-space-size=32", "--max-semi-space-size=2"];
    const run = promisify(execFile);
    const { stdout } = await run(process.execPath, [...flags, "--input-type=module", "-e", script]);
    const { result, rss } = JSON.parse(stdout);
    expect(result).toMatchObject({ ok: true, checked_rows: 25_000 });
    expect(statSync(exported).size).toBeGreaterThan(80_000_000);
    expect(rss).toBeLessThan(200);
    const key = large.file("key.jwk", await large.currentKey());
    const tool = `${import.meta.dirname}/../src/tools/audit-verify.ts`;
    const checked = await run(process.execPath, [...flags, tool, exported, "--key", key]);
    expect(checked.stdout).toContain("25000 rows in 25 checkpoints.");
    await large.close();
  }, 180_000);
});
