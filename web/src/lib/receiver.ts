import type { JobId } from "@keygate/shared/contracts/ids";
import { compactDecrypt } from "jose";

/** The page's half of a handover. It lives in memory, for as long as the page does. */
export interface Receiver {
  publicKey: { kty: "OKP"; crv: "X25519"; x: string };
  /** Opens what was sealed to the public half. */
  open(jwe: string): Promise<string>;
  /** For a link; null when the browser keeps the private half to itself. */
  privateHalf: string | null;
}

const algorithm = { name: "X25519" } as const;

async function openWith(key: CryptoKey, jwe: string): Promise<string> {
  const { plaintext } = await compactDecrypt(jwe, key, {
    keyManagementAlgorithms: ["ECDH-ES"],
    contentEncryptionAlgorithms: ["A256GCM"],
  });
  return new TextDecoder().decode(plaintext);
}

/** Makes an X25519 pair. Its private half can leave the browser's vault only when it is meant for a link. */
export async function makeReceiver(forLink: boolean): Promise<Receiver> {
  const pair = (await crypto.subtle.generateKey(algorithm, forLink, ["deriveBits"])) as CryptoKeyPair;
  const { x } = await crypto.subtle.exportKey("jwk", pair.publicKey);
  const privateHalf = forLink ? ((await crypto.subtle.exportKey("jwk", pair.privateKey)).d ?? null) : null;
  return {
    publicKey: { kty: "OKP", crv: "X25519", x: String(x) },
    open: (jwe) => openWith(pair.privateKey, jwe),
    privateHalf,
  };
}

// RFC 8410: an X25519 private key in PKCS#8 is these 16 bytes and the 32 of the key.
const pkcs8Prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];

/** What the private half in a link opens. @throws when it is none. */
export async function openerOf(privateHalf: string): Promise<(jwe: string) => Promise<string>> {
  const raw = Uint8Array.from(atob(privateHalf.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  if (raw.length !== 32) throw new Error("Not a private half");
  const key = await crypto.subtle.importKey("pkcs8", new Uint8Array([...pkcs8Prefix, ...raw]), algorithm, false, [
    "deriveBits",
  ]);
  return (jwe) => openWith(key, jwe);
}

const kept = new Map<JobId, Receiver>();

/** Remembers who opens a job's key until the page is closed: moving around in the dashboard must not lose it. */
export const keepReceiver = (id: JobId, receiver: Receiver): void => void kept.set(id, receiver);
export const receiverOf = (id: JobId): Receiver | undefined => kept.get(id);
export const forgetReceiver = (id: JobId): void => void kept.delete(id);

/** WebCrypto exists on https and on localhost only; so do the session's cookies. */
export const canReceive = (): boolean => globalThis.isSecureContext && globalThis.crypto?.subtle !== undefined;
