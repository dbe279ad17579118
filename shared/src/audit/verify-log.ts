import type { AuditVerification } from "../contracts/audit.ts";
import type { Keyring } from "../crypto/envelope.ts";
import { auditSealRows } from "../db/audit-seals.ts";
import type { Db } from "../db/client.ts";
import { createLogChecker } from "../tools/audit-verify.ts";
import { readLog } from "./read-log.ts";
import { isOurKey, publicJwk } from "./signing-keys.ts";

export interface VerifyOptions {
  /** Rows of checkpoints up to this one are taken as checked before; the chain itself is always walked from its start. */
  sinceCheckpoint?: number | undefined;
  /** The hash of a checkpoint that must still be there. */
  expectHead?: string | undefined;
  signal?: AbortSignal | undefined;
}

const leavesOf = (bytes: Buffer): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / 32) }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));

/** Checks the log as it lies in the database, by the same code that a stranger checks an export with. */
export async function verifyLog(
  db: Db,
  keyring: Keyring,
  { sinceCheckpoint, expectHead, signal }: VerifyOptions = {},
): Promise<AuditVerification> {
  const seals = auditSealRows(db);
  const keys = await seals.keys();
  const ours = keys.filter((key) => isOurKey(keyring, key));
  const checker = createLogChecker({
    trusted: ours.map((key) => key.public_key),
    expectHeads: expectHead === undefined ? [] : [expectHead],
  });
  for await (const part of readLog(db, { skipRowsTo: sinceCheckpoint ?? 0, unsealed: false, signal })) {
    if (part.type === "key") checker.key(part.key.public_key);
    else if (part.type === "rows") for (const row of part.rows) checker.row(row);
    else checker.checkpoint(part.checkpoint, part.hasRows ? leavesOf(part.checkpoint.leaves) : null);
  }
  const { head, problems, problemsTotal, checkedRows, checkpoints } = checker.end();
  const notOurs = keys
    .filter((key) => !ours.includes(key))
    .map(({ id }) => ({
      checkpoint: null,
      kind: "key_unknown" as const,
      detail: `ENCRYPTION_KEY does not confirm the key ${id}: it was changed or added by somebody else, or an entry is missing.`,
    }));
  // The first key and the first checkpoint are made together.
  const isBeheaded = !head && keys.length > 0;
  const noChain = { checkpoint: null, kind: "checkpoint_missing" as const, detail: "All checkpoints are gone." };
  const all = [...notOurs, ...(isBeheaded ? [noChain] : []), ...problems];
  const total = problemsTotal + all.length - problems.length;
  const { count, lagSeconds } = await seals.unsealed(head?.to_seq ?? 0);
  return {
    ok: total === 0,
    checked_rows: checkedRows,
    checkpoints,
    unsealed_rows: count,
    seal_lag_seconds: lagSeconds,
    head: head && { checkpoint: head.number, hash: head.hash, sealed_at: head.sealed_at },
    problems: all,
    problems_total: total,
    public_keys: keys.map(publicJwk),
  };
}
