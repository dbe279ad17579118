import { setTimeout as sleep } from "node:timers/promises";
import type { Keyring } from "../crypto/envelope.ts";
import { auditSealRows, type StoredCheckpoint, type Watermark } from "../db/audit-seals.ts";
import type { Db, Tx } from "../db/client.ts";
import type { Log } from "../log.ts";
import { leafHash } from "../tools/audit-verify.ts";
import { auditLine } from "./audit-line.ts";
import { appendCheckpoint, mayContinue, sealedFacts, writeKeyAudit } from "./chain.ts";
import { makeSigningKey, openSigner, type Signer } from "./signing-keys.ts";

export interface SealDeps {
  db: Db;
  keyring: Keyring;
  log: Log;
}

const rowsPerCheckpoint = 1_000;
/** Rows are read in smaller parts: only their hashes have to be held together. */
const rowsPerRead = 250;
/** A backlog is worked off over several calls, so that none of them runs for minutes. */
const checkpointsPerCall = 200;
/** How long a call waits for transactions that may still add earlier rows; the next call goes on waiting. */
const patienceMs = 1_500;

/**
 * Makes the function that seals what can be sealed, to be called every few seconds; it tells how many rows it sealed.
 * Any number of processes may call theirs: one at a time extends the chain, the others find nothing to do.
 *
 * A row is sealed once no row before it can appear any more. Numbers are drawn before their transactions commit, so the
 * sealer notes the newest row and who is writing, and waits until each of those writers has ended. Numbers that were
 * drawn and rolled back leave gaps, which mean nothing.
 */
export function createSealer({ db, keyring, log }: SealDeps): () => Promise<number> {
  let pending: Watermark | null = null;
  // The head as this process last saw it. It outlives what somebody does to the table.
  let seen: { number: number; hash: string } | null = null;

  /** The number up to which no more rows can appear; null while somebody writes. */
  async function findFinal(): Promise<number | null> {
    const seals = auditSealRows(db);
    const mark = pending ?? (await seals.watermark());
    pending = mark;
    if (mark === null) return 0;
    const deadline = performance.now() + patienceMs;
    for (let waitMs = 20; await seals.anyOpen(mark.writers); waitMs *= 2) {
      if (performance.now() + waitMs > deadline) return null;
      await sleep(waitMs);
    }
    if (pending === mark) pending = null;
    return mark.newest;
  }

  async function readLeaves(tx: Tx, after: number, upTo: number): Promise<{ leaves: Buffer[]; toSeq: number }> {
    const leaves: Buffer[] = [];
    let toSeq = after;
    while (leaves.length < rowsPerCheckpoint) {
      const rows = await auditSealRows(tx).rows(toSeq, upTo, rowsPerRead);
      for (const row of rows) leaves.push(leafHash(auditLine(row)));
      toSeq = rows.at(-1)?.seq ?? toSeq;
      if (rows.length < rowsPerRead) break;
    }
    return { leaves, toSeq };
  }

  /** The key to continue this head with; null when the chain is not one that may be continued. */
  async function signerFor(tx: Tx, head: StoredCheckpoint | undefined): Promise<Signer | null> {
    const row = await auditSealRows(tx).currentKey();
    if (row && head) {
      const signer = openSigner(keyring, row);
      if (mayContinue(head, signer)) return signer;
    }
    if (row || head) {
      log.error({ checkpoint: head?.number, hash: head?.hash, keyId: row?.id }, "audit.head_refused");
      return null;
    }
    const signer = await makeSigningKey(tx, keyring);
    await writeKeyAudit(tx, signer.id, { reason: "There was none." });
    return signer;
  }

  /** Null when there was nothing to do, or somebody else is at it. */
  async function sealNext(tx: Tx, upTo: number): Promise<StoredCheckpoint | null> {
    const seals = auditSealRows(tx);
    if (!(await seals.tryLockChain())) return null;
    const head = await seals.head();
    const lostHead = seen && !(await seals.hasCheckpoint(seen)) ? seen : null;
    const { leaves, toSeq } = await readLeaves(tx, head?.to_seq ?? 0, upTo);
    if (leaves.length === 0 && !lostHead) {
      seen = head ?? null;
      return null;
    }
    const signer = await signerFor(tx, head);
    if (!signer) return null;
    if (lostHead) log.error({ checkpoint: lostHead.number, hash: lostHead.hash }, "audit.head_lost");
    return appendCheckpoint(tx, signer, { leaves, toSeq, lostHead });
  }

  return async () => {
    const upTo = await findFinal();
    if (upTo === null) return 0;
    let sealed = 0;
    for (let i = 0; i < checkpointsPerCall; i += 1) {
      const checkpoint = await db.transaction().execute((tx) => sealNext(tx, upTo));
      if (!checkpoint) break;
      seen = { number: checkpoint.number, hash: checkpoint.hash };
      log.info(sealedFacts(checkpoint), "audit.sealed");
      sealed += checkpoint.row_count;
      if (checkpoint.to_seq >= upTo) break;
    }
    return sealed;
  };
}
