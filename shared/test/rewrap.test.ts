import { sql } from "kysely";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createKeyring, type Keyring } from "../src/crypto/envelope.ts";
import { systemActor } from "../src/db/audit.ts";
import { jobInputContext, jobInputs } from "../src/db/job-inputs.ts";
import { jobRows } from "../src/db/jobs.ts";
import { vendorConfigContext, vendorConfigRows } from "../src/db/vendor-configs.ts";
import { must } from "../src/errors.ts";
import { rewrapAll, unreadableValues } from "../src/sealed-values.ts";
import { Secret } from "../src/secret.ts";
import { sealVendorSettings } from "../src/vendor-settings.ts";
import { type AuditWorld, createAuditWorld, randomKey } from "./audit-support.ts";

const adminKey = "sk-admin-0123456789abcdefghij";
const given = "sk-ant-api03-given-by-a-person";
let world: AuditWorld;
let newKey: string;

const ringOf = (...entries: string[]): Keyring => createKeyring(entries.map((entry) => new Secret(entry)));

/** A job of a kind that waits for a key that a person brings, which has been given. */
async function addJobInput(ring: Keyring) {
  const [job] = await jobRows(world.db).insert([
    {
      kind: "check",
      input: {},
      vendor: "anthropic",
      keyId: null,
      actor: systemActor("test"),
      state: "waiting_for_input",
    },
  ]);
  const { id } = must(job, "the job");
  return must(await jobRows(world.db).giveInput(id, ring.seal(new Secret(given), jobInputContext(id))), "its input");
}

beforeEach(async () => {
  world = await createAuditWorld();
  newKey = randomKey();
  for (const vendor of ["openai", "anthropic"] as const) {
    const sealed = sealVendorSettings(world.keyring, vendor, new Secret(adminKey), {});
    await vendorConfigRows(world.db).upsert({ vendor, source: "api", orgId: null, ...sealed });
  }
  for (let i = 0; i < 3; i += 1) await addJobInput(world.keyring);
  await world.write(2);
  await world.seal();
  expect(await world.run("audit-key", ["rotate"])).toMatchObject({ code: 0 });
});
afterEach(() => world?.close());

describe("changing ENCRYPTION_KEY", () => {
  test("after re-wrapping under the new entry, nothing needs the old one any more", async () => {
    expect(await unreadableValues(world.db, ringOf(newKey))).toHaveLength(7);
    const env = { ENCRYPTION_KEY: `${newKey},${world.encryptionKey}` };
    expect(await world.run("rewrap", [], env)).toEqual({
      code: 0,
      stdout: [
        "vendor credentials: 2 re-wrapped, 0 were under the first entry already",
        "audit keys: 2 re-wrapped, 0 were under the first entry already",
        "job inputs: 3 re-wrapped, 0 were under the first entry already\n",
      ].join("\n"),
      stderr: "",
    });
    expect((await world.run("rewrap", [], env)).stdout).toContain("audit keys: 0 re-wrapped, 2 were");

    const ring = ringOf(newKey);
    expect(await unreadableValues(world.db, ring)).toEqual([]);
    for (const { vendor, sealed } of await vendorConfigRows(world.db).list()) {
      expect(ring.open(sealed, vendorConfigContext(vendor)).reveal()).toContain(adminKey);
    }
    for (const { id, sealed } of await jobInputs(world.db).list("", 10)) {
      expect(ring.open(sealed, jobInputContext(id)).reveal()).toBe(given);
    }
    // The log goes on with the same signing key.
    await world.write(1);
    const { createSealer } = await import("../src/audit/seal.ts");
    const { createLog } = await import("../src/log.ts");
    const { verifyLog } = await import("../src/audit/verify-log.ts");
    const log = createLog({ level: "silent", name: "test" });
    expect(await createSealer({ db: world.db, keyring: ring, log })()).toBeGreaterThan(0);
    expect(await verifyLog(world.db, ring)).toMatchObject({ ok: true, public_keys: { length: 2 } });
  });

  test("names what no entry opens, leaves it as it is, and exits with 1", async () => {
    const [lost] = await jobInputs(world.db).list("", 1);
    const strange = createKeyring([new Secret(randomKey())]).seal(new Secret("lost"), jobInputContext(lost?.id ?? ""));
    await sql`update jobs set sealed_input = ${JSON.stringify(strange)}::jsonb where id = ${lost?.id}`.execute(
      world.db,
    );
    const env = { ENCRYPTION_KEY: `${newKey},${world.encryptionKey}` };
    const result = await world.run("rewrap", [], env);
    expect(result).toMatchObject({
      code: 1,
      stderr: `Not opened by any entry of ENCRYPTION_KEY: job input ${lost?.id}\n`,
    });
    expect(result.stdout).toContain("job inputs: 2 re-wrapped");
    expect((await jobInputs(world.db).list("", 1))[0]?.sealed).toEqual(strange);
    expect(await unreadableValues(world.db, ringOf(newKey))).toEqual([`job input ${lost?.id}`]);
  });

  test("does not bring back what somebody replaced or removed meanwhile", async () => {
    const ring = ringOf(newKey, world.encryptionKey);
    const racing: Keyring = {
      ...ring,
      seal(plaintext, context) {
        if (context === vendorConfigContext("openai")) {
          pending.push(vendorConfigRows(world.db).remove("openai"));
        }
        return ring.seal(plaintext, context);
      },
    };
    const pending: Promise<unknown>[] = [];
    const { counts, unreadable } = await rewrapAll(world.db, racing);
    await Promise.all(pending);
    expect(unreadable).toEqual([]);
    const { rewrapped, changed } = counts["vendor credential"];
    expect(rewrapped + changed).toBe(2);
    expect((await vendorConfigRows(world.db).list()).map(({ vendor }) => vendor)).toEqual(["anthropic"]);
  });

  test("while values are added and taken away, everything ends under the new entry and opens", async () => {
    const ring = ringOf(newKey, world.encryptionKey);
    let isOver = false;
    const worker = async () => {
      while (!isOver) {
        const job = await addJobInput(ring);
        await sql`update jobs set sealed_input = null where id = ${job.id}`.execute(world.db);
        await addJobInput(ring);
      }
    };
    const working = [worker(), worker(), worker()];
    for (let i = 0; i < 5; i += 1) await rewrapAll(world.db, ring);
    isOver = true;
    await Promise.all(working);
    const last = await rewrapAll(world.db, ring);
    expect(Object.values(last.counts).map(({ rewrapped, changed }) => rewrapped + changed)).toEqual([0, 0, 0]);
    expect(await unreadableValues(world.db, ringOf(newKey))).toEqual([]);
  });

  test("tells how many live keys can be matched by the old entry only", async () => {
    await sql`insert into developers (id, name, email, team, role) values ('dev-1', 'Ada', 'ada@acme.test', 'x', 'developer')`.execute(
      world.db,
    );
    const { id } = must(world.keyring.fingerprintKeys()[0], "the ring's key");
    for (const [n, status] of ["active", "active", "revoked"].entries()) {
      await sql`insert into keys (id, developer_id, vendor, status, project_name, budget_micros, rate_limit_rpm, lineage_id,
        created_by, fingerprints) values (${`key-${n}`}, 'dev-1', 'openai', ${status}, ${`p${n}`}, 1, 1, 'x', 'x',
        array[${`${id}:full:abc`}])`.execute(world.db);
    }
    const env = { ENCRYPTION_KEY: `${newKey},${world.encryptionKey}` };
    expect((await world.run("rewrap", [], env)).stdout).toContain("2 live keys have fingerprints of an older entry.");
    expect((await world.run("rewrap", [])).stdout).not.toContain("fingerprints");
  });

  test("a weak entry or a missing variable is refused with exit code 2", async () => {
    expect(await world.run("rewrap", [], { ENCRYPTION_KEY: "changeme" })).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("ENCRYPTION_KEY"),
    });
    expect(await world.run("rewrap", ["--help"])).toMatchObject({ code: 0 });
  });
});
