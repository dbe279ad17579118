import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { exportLog } from "../src/audit/export-log.ts";
import { createSealer } from "../src/audit/seal.ts";
import { publicJwk } from "../src/audit/signing-keys.ts";
import { verifyLog } from "../src/audit/verify-log.ts";
import type { AuditVerification } from "../src/contracts/audit.ts";
import { createKeyring, type Keyring } from "../src/crypto/envelope.ts";
import { systemActor, writeAudit } from "../src/db/audit.ts";
import { auditSealRows } from "../src/db/audit-seals.ts";
import { type Db, openDatabase, type Tx } from "../src/db/client.ts";
import { createLog } from "../src/log.ts";
import { Secret } from "../src/secret.ts";
import { asSuperuser } from "./superuser.ts";

export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface AuditWorld {
  url: string;
  db: Db;
  keyring: Keyring;
  encryptionKey: string;
  logLines: string[];
  /** A sealer with a memory of its own, as each worker has one. */
  newSealer(): () => Promise<number>;
  seal(): Promise<number>;
  /** Writes rows in one transaction. */
  write(count: number, tx?: Tx): Promise<void>;
  /** Changes what nobody should be able to change. */
  tamper(...statements: string[]): Promise<void>;
  verify(options?: Parameters<typeof verifyLog>[2]): Promise<AuditVerification>;
  export(filter?: { action?: string; resource_id?: string }): Promise<string>;
  /** Runs one of the tools as its own process. */
  run(
    tool: "audit-verify" | "audit-key" | "rewrap",
    args: string[],
    env?: Record<string, string>,
  ): Promise<CommandResult>;
  /** Runs the offline verifier over an export, now or as given, with the key that signs, or as given. */
  check(options?: { args?: string[]; text?: string; key?: string }): Promise<CommandResult>;
  file(name: string, text: string): string;
  currentKey(): Promise<string>;
  close(): Promise<void>;
}

const root = join(import.meta.dirname, "../..");
export const randomKey = () => randomBytes(48).toString("base64url");

/** A database with an audit log, and everything to seal, change and check it. */
export async function createAuditWorld(): Promise<AuditWorld> {
  const database = await createTestDatabase();
  const dir = mkdtempSync(join(tmpdir(), "keygate-audit-"));
  const db = openDatabase({ url: database.url, poolMax: 24, applicationName: "test" });
  const encryptionKey = randomKey();
  const keyring = createKeyring([new Secret(encryptionKey)]);
  const logLines: string[] = [];
  const log = createLog({ level: "debug", name: "test" }, { write: (line: string) => void logLines.push(line) });
  const newSealer = () => createSealer({ db, keyring, log });
  let written = 0;

  const world: AuditWorld = {
    url: database.url,
    db,
    keyring,
    encryptionKey,
    logLines,
    newSealer,
    seal: newSealer(),
    async write(count, tx) {
      const entries = Array.from({ length: count }, () => {
        written += 1;
        return {
          action: written % 2 ? "key.provision" : "key.revoke",
          actor: systemActor("test"),
          resourceType: "key",
          resourceId: `key-${written % 10}`,
          details: { outcome: "succeeded" as const, number: written, zeta: { b: 1, a: [0.5, "é\u2028"] } },
        };
      });
      await writeAudit(tx ?? db, entries);
    },
    tamper: (...statements) => asSuperuser(database.url, statements),
    verify: (options) => verifyLog(db, keyring, options),
    async export(filter = {}) {
      let text = "";
      for await (const piece of exportLog(db, { filter, exportedAt: new Date() })) text += piece;
      return text;
    },
    run(tool, args, env = {}) {
      return new Promise((resolve, reject) => {
        const defaults = { DATABASE_URL: database.url, SECRET_KEY: randomKey(), ENCRYPTION_KEY: encryptionKey };
        const child = spawn(process.execPath, [join(root, "shared/src/tools", `${tool}.ts`), ...args], {
          env: { PATH: process.env.PATH ?? "", ...defaults, ...env },
          stdio: ["ignore", "pipe", "pipe"],
        });
        const result: CommandResult = { code: null, stdout: "", stderr: "" };
        child.stdout.on("data", (data) => {
          result.stdout += data;
        });
        child.stderr.on("data", (data) => {
          result.stderr += data;
        });
        child.once("error", reject).once("close", (code) => resolve({ ...result, code }));
      });
    },
    async check({ args = [], text, key } = {}) {
      const exported = world.file("export.ndjson", text ?? (await world.export()));
      const publicKey = world.file("public.jwk", key ?? (await world.currentKey()));
      return world.run("audit-verify", [exported, "--key", publicKey, ...args]);
    },
    file(name, text) {
      const path = join(dir, name);
      writeFileSync(path, text);
      return path;
    },
    async currentKey() {
      const keys = await auditSealRows(db).keys();
      return JSON.stringify(keys.filter((key) => key.retired_at === null).map(publicJwk)[0]);
    },
    async close() {
      await db.destroy();
      await database.drop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return world;
}
