import { argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Secret } from "../secret.ts";

const derive = promisify(argon2);

// OWASP's second recommendation for argon2id: 19 MiB, two passes, one lane (Password Storage Cheat Sheet).
const parameters = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const;

const phc = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;
const unpadded = (bytes: Buffer) => bytes.toString("base64").replace(/=+$/, "");

/** Hashes a password with argon2id; the result is a PHC string that carries its own parameters. */
export async function hashPassword(password: Secret): Promise<string> {
  const nonce = randomBytes(16);
  const tag = await derive("argon2id", { message: password.reveal(), nonce, ...parameters });
  const { memory, passes, parallelism } = parameters;
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(nonce)}$${unpadded(tag)}`;
}

/** Whether the password fits the hash. A hash that cannot be read fits nothing. */
export async function verifyPassword(password: Secret, hash: string): Promise<boolean> {
  const match = phc.exec(hash);
  if (!match) return false;
  const [, memory, passes, parallelism, nonce = "", expected = ""] = match;
  const tag = Buffer.from(expected, "base64");
  const actual = await derive("argon2id", {
    message: password.reveal(),
    nonce: Buffer.from(nonce, "base64"),
    memory: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    tagLength: tag.length,
  });
  return timingSafeEqual(actual, tag);
}
