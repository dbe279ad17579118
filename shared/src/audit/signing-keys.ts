import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";
import type { Keyring } from "../crypto/envelope.ts";
import { auditSealRows, type SigningKeyRow, signingKeyContext } from "../db/audit-seals.ts";
import type { Tx } from "../db/client.ts";
import { Secret } from "../secret.ts";
import { type PublicKey, signedText, thumbprint } from "../tools/audit-verify.ts";

/** A key that signs checkpoints. */
export interface Signer {
  id: string;
  publicKey: PublicKey;
  /** Signs a checkpoint's hash. */
  sign(hash: string): string;
}

const publicHalf = ({ kty, crv, x }: Record<string, unknown>): PublicKey => ({
  kty: String(kty),
  crv: String(crv),
  x: String(x),
});

function signerOf(privateJwk: Record<string, unknown>): Signer {
  const publicKey = publicHalf(privateJwk);
  const key = createPrivateKey({ key: privateJwk, format: "jwk" });
  return {
    id: thumbprint(publicKey),
    publicKey,
    sign: (hash) => sign(null, signedText(hash), key).toString("base64url"),
  };
}

/** Makes a key and stores it, its private half sealed under `ENCRYPTION_KEY`. */
export async function makeSigningKey(tx: Tx, keyring: Keyring): Promise<Signer> {
  const jwk = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" });
  const signer = signerOf({ ...jwk });
  const sealed = keyring.seal(new Secret(JSON.stringify(jwk)), signingKeyContext(signer.id));
  await auditSealRows(tx).insertKey(signer.id, signer.publicKey, sealed);
  return signer;
}

/**
 * Ends a key's time and destroys its private half: whoever gets hold of everything later cannot sign the past anew.
 * The public half is sealed in its place, so that nobody without `ENCRYPTION_KEY` can add a key that never was.
 */
export async function retireSigningKey(tx: Tx, keyring: Keyring, { id, public_key }: SigningKeyRow): Promise<void> {
  const sealed = keyring.seal(new Secret(JSON.stringify(public_key)), signingKeyContext(id));
  await auditSealRows(tx).retireKey(id, sealed);
}

function openKey(keyring: Keyring, row: SigningKeyRow): Record<string, unknown> {
  const jwk: Record<string, unknown> = JSON.parse(keyring.open(row.sealed, signingKeyContext(row.id)).reveal());
  if (thumbprint(publicHalf(jwk)) !== row.id || thumbprint(row.public_key) !== row.id)
    throw new Error(`The audit signing key ${row.id} is not the one that was stored`);
  return jwk;
}

/** @throws when the private half cannot be decrypted, or does not belong to the row. */
export function openSigner(keyring: Keyring, row: SigningKeyRow): Signer {
  return signerOf(openKey(keyring, row));
}

/** Whether this installation made the key: whoever only has the database cannot make one that passes. */
export function isOurKey(keyring: Keyring, row: SigningKeyRow): boolean {
  try {
    openKey(keyring, row);
    return true;
  } catch {
    return false;
  }
}

/** A key as it is shown to those who check: a JWK with its id and its times. */
export const publicJwk = ({ id, public_key, created_at, retired_at }: SigningKeyRow) => ({
  ...publicHalf({ ...public_key }),
  kid: id,
  use: "sig",
  alg: "EdDSA",
  created_at: created_at.toISOString(),
  retired_at: retired_at?.toISOString() ?? null,
});
