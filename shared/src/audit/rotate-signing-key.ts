import type { Keyring } from "../crypto/envelope.ts";
import { auditSealRows, type StoredCheckpoint } from "../db/audit-seals.ts";
import type { Db } from "../db/client.ts";
import { appendCheckpoint, mayContinue, writeKeyAudit } from "./chain.ts";
import { makeSigningKey, openSigner, retireSigningKey } from "./signing-keys.ts";

/**
 * Replaces the signing key: the old one announces the new one in a checkpoint, its private half is destroyed, and the
 * new one signs a checkpoint of its own, all in one transaction.
 *
 * @param withoutOldKey does without the announcement, for an old key that cannot be decrypted any more or a head that
 *   does not fit it. The break stays visible to everybody who checks.
 * @returns the checkpoints that it made.
 * @throws when the old key cannot sign the announcement.
 */
export async function rotateSigningKey(
  db: Db,
  keyring: Keyring,
  { withoutOldKey = false }: { withoutOldKey?: boolean } = {},
): Promise<StoredCheckpoint[]> {
  return db.transaction().execute(async (tx) => {
    const seals = auditSealRows(tx);
    await seals.lockChain();
    const old = await seals.currentKey();
    const head = await seals.head();
    const announcer = old && !withoutOldKey ? openSigner(keyring, old) : null;
    if (!withoutOldKey && (announcer || head) && !(announcer && head && mayContinue(head, announcer))) {
      throw new Error("The newest checkpoint does not fit the current key: one of them was changed or removed.");
    }
    if (old) await retireSigningKey(tx, keyring, old);
    const signer = await makeSigningKey(tx, keyring);
    await writeKeyAudit(tx, signer.id, { replaces: old?.id ?? null, announced: announcer !== null });
    return [
      ...(announcer ? [await appendCheckpoint(tx, announcer, { leaves: [], nextKey: signer.publicKey })] : []),
      await appendCheckpoint(tx, signer, { leaves: [] }),
    ];
  });
}
