import { createHash, randomBytes } from "node:crypto";
import { Secret } from "../secret.ts";

/** A new bearer secret of 256 random bits behind the prefix, in hexadecimal: selectable by a double click. */
export const newRandomToken = (prefix: string): Secret => new Secret(`${prefix}${randomBytes(32).toString("hex")}`);

/**
 * What is kept of a random token. A plain SHA-256: 256 random bits cannot be guessed, so a slow or keyed hash would add
 * cost, and a reason for tokens to die with `SECRET_KEY`, and no safety.
 */
export const hashRandomToken = (token: Secret): string => createHash("sha256").update(token.reveal()).digest("hex");
