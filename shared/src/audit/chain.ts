import { systemActor, writeAudit } from "../db/audit.ts";
import { auditSealRows, type StoredCheckpoint } from "../db/audit-seals.ts";
import type { Tx } from "../db/client.ts";
import { checkpointHash, isSignedBy, merkleRoot, noCheckpoint, type PublicKey } from "../tools/audit-verify.ts";
import type { Signer } from "./signing-keys.ts";

export interface CheckpointContent {
  /** Of the rows after the last checkpoint, in their order. */
  leaves: readonly Buffer[];
  /** The number of the last of these rows; absent when there are none. */
  toSeq?: number;
  nextKey?: PublicKey;
  lostHead?: { number: number; hash: string } | null;
}

/** Adds a checkpoint to the chain; the caller's transaction holds the chain's lock. */
export async function appendCheckpoint(
  tx: Tx,
  signer: Signer,
  { leaves, toSeq, nextKey, lostHead }: CheckpointContent,
): Promise<StoredCheckpoint> {
  const seals = auditSealRows(tx);
  const head = await seals.head();
  const content = {
    number: (head?.number ?? 0) + 1,
    from_seq: head?.to_seq ?? 0,
    to_seq: toSeq ?? head?.to_seq ?? 0,
    row_count: leaves.length,
    root: merkleRoot(leaves),
    previous: head?.hash ?? noCheckpoint,
    sealed_at: await seals.clock(),
    key_id: signer.id,
    next_key: nextKey ?? null,
    lost_head: lostHead ?? null,
  };
  const hash = checkpointHash(content);
  const checkpoint = { ...content, hash, signature: signer.sign(hash), leaves: Buffer.concat(leaves) };
  await seals.insertCheckpoint(checkpoint);
  return checkpoint;
}

/**
 * Whether the chain may be continued: its head must be signed by the key in use. Going on from any other would put a
 * genuine signature over a history that somebody made up.
 */
export const mayContinue = (head: StoredCheckpoint, signer: Signer): boolean =>
  head.key_id === signer.id && isSignedBy(head, signer.publicKey);

/** The row that tells of a new signing key. */
export const writeKeyAudit = (tx: Tx, keyId: string, details: Record<string, unknown>) =>
  writeAudit(tx, {
    action: "audit.new_key",
    actor: systemActor("audit"),
    resourceType: "audit_signing_key",
    resourceId: keyId,
    details: { outcome: "succeeded", ...details },
  });

/** What the log is told of a new checkpoint: the one place outside of the database where its hash is kept. */
export const sealedFacts = ({ number, row_count, to_seq, hash, key_id }: StoredCheckpoint) => ({
  checkpoint: number,
  hash,
  rows: row_count,
  toSeq: to_seq,
  keyId: key_id,
});
