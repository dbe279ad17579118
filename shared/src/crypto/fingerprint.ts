import { createHmac } from "node:crypto";
import type { Secret } from "../secret.ts";
import type { Keyring } from "./envelope.ts";

const tailLength = 16;

const hmac = (key: Buffer, part: string, text: string) =>
  createHmac("sha256", key).update(`${part}:${text}`).digest("base64url");

/**
 * What of a credential is secret and stays the same however its text is laid out. Of a service account's JSON file that
 * is the body of its private key: the rest, its last characters too, is the same in many files.
 */
function essenceOf(text: string): string {
  const body = /-----BEGIN (?:RSA )?PRIVATE KEY-----(.*?)(?:-----END|$)/s.exec(text)?.[1];
  return body === undefined ? text : body.replace(/\\+n|[\s=]/g, "");
}

/**
 * Fingerprints of an issued key, so that a leaked key can be matched to its owner while KeyGate does not hold it: one
 * of the whole text and one of its last 16 characters, each as `key id:part:HMAC`.
 */
export function fingerprintsOf(secret: Secret, keyring: Keyring): string[] {
  const [current] = keyring.fingerprintKeys();
  if (!current) return [];
  const text = essenceOf(secret.reveal());
  return [
    `${current.id}:full:${hmac(current.key, "full", text)}`,
    `${current.id}:tail:${hmac(current.key, "tail", text.slice(-tailLength))}`,
  ];
}

/** Every fingerprint under which the pasted text could have been stored, under any key of the ring. */
export function fingerprintCandidates(text: Secret, keyring: Keyring): string[] {
  const value = essenceOf(text.reveal().trim());
  return keyring
    .fingerprintKeys()
    .flatMap(({ id, key }) => [
      `${id}:full:${hmac(key, "full", value)}`,
      ...(value.length >= tailLength ? [`${id}:tail:${hmac(key, "tail", value.slice(-tailLength))}`] : []),
    ]);
}

/**
 * The part of a key that may be shown: how it begins and its last four characters. Short keys show less; a JSON file
 * shows the end of its key's id, which is no secret.
 */
export function hintOf(secret: Secret): string {
  const text = secret.reveal();
  if (text.startsWith("{")) {
    const keyId = /"private_key_id"\s*:\s*"(\w{8,})"/.exec(text)?.[1];
    return keyId ? `JSON key ...${keyId.slice(-4)}` : "JSON key ...";
  }
  // Only the vendors' own prefixes: a longer run of words could be part of the secret.
  const lead =
    /^sk-(?:(?:admin|proj|svcacct|ant-api\d\d|ant-admin\d\d|ant-oat\d\d)-)?/.exec(text)?.[0] ?? text.slice(0, 4);
  return text.length < lead.length + 12 ? `${text.slice(0, 2)}...` : `${lead}...${text.slice(-4)}`;
}
