import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync } from "node:crypto";
import { CompactEncrypt, compactDecrypt, importJWK } from "jose";
import { PublicJwk } from "../contracts/common.ts";
import { Secret } from "../secret.ts";

// RFC 8410: an X25519 private key in PKCS#8 is these 16 bytes and the 32 of the key.
const pkcs8Prefix = Buffer.from("302e020100300506032b656e04220420", "hex");

export interface ReceiverPair {
  publicKey: PublicJwk;
  /** The private half as base64url, 43 characters: this is the claim token. */
  privateHalf: Secret;
}

/** The three members that make the key; the optional ones carry nothing that sealing needs. */
function pick(jwk: { kty?: string; crv?: string; x?: string }): Pick<PublicJwk, "kty" | "crv" | "x"> {
  const { kty, crv, x } = PublicJwk.parse({ kty: jwk.kty, crv: jwk.crv, x: jwk.x });
  return { kty, crv, x };
}

/** Makes a receiver's X25519 pair. */
export function makeReceiverPair(): ReceiverPair {
  const pair = generateKeyPairSync("x25519");
  const jwk = pair.privateKey.export({ format: "jwk" });
  return { publicKey: pick(jwk), privateHalf: new Secret(String(jwk.d)) };
}

/** The public half that belongs to a private one; null when the text is not a private half. */
export function publicHalfOf(privateHalf: Secret): PublicJwk | null {
  const raw = Buffer.from(privateHalf.reveal(), "base64url");
  if (raw.length !== 32) return null;
  const key = createPrivateKey({ key: Buffer.concat([pkcs8Prefix, raw]), format: "der", type: "pkcs8" });
  return pick(createPublicKey(key).export({ format: "jwk" }));
}

/** RFC 7638 thumbprint: says which public key something was sealed to. The members stand in the order of their names. */
export function thumbprintOf(publicKey: PublicJwk): string {
  const { crv, kty, x } = pick(publicKey);
  return createHash("sha256").update(JSON.stringify({ crv, kty, x })).digest("base64url");
}

/** Seals a secret to the receiver as compact JWE (ECDH-ES, A256GCM). */
export async function sealTo(publicKey: PublicJwk, secret: Secret): Promise<string> {
  const key = await importJWK(pick(publicKey), "ECDH-ES");
  return new CompactEncrypt(new TextEncoder().encode(secret.reveal()))
    .setProtectedHeader({ alg: "ECDH-ES", enc: "A256GCM", cty: "text/plain" })
    .encrypt(key);
}

/**
 * Opens what was sealed.
 *
 * @param publicKey its public half, where that is at hand: to work it out costs as much as opening.
 * @throws when the private half is another one or the JWE was changed.
 */
export async function openSealed(
  jwe: string,
  privateHalf: Secret,
  publicKey: PublicJwk | null = publicHalfOf(privateHalf),
): Promise<Secret> {
  if (!publicKey) throw new Error("Not an X25519 private key");
  const key = await importJWK({ ...pick(publicKey), d: privateHalf.reveal() }, "ECDH-ES");
  const { plaintext } = await compactDecrypt(jwe, key, {
    keyManagementAlgorithms: ["ECDH-ES"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  return new Secret(new TextDecoder().decode(plaintext));
}
