import { z } from "zod";

/** A moment as the API writes it: RFC 3339 in UTC. */
export const Timestamp = z.iso.datetime({ offset: true });

/** US dollars as a decimal number; at most micro-dollar precision, which is what the database keeps. */
export const Dollars = z.number();

/** A name that a person gave: trimmed, no control characters. */
export const personalName = (max: number) =>
  z
    .string()
    .trim()
    .min(1)
    .max(max)
    // Control characters break logs, terminals and vendors' forms alike.
    .regex(/^[^\p{Cc}\p{Cs}]*$/u, { message: "Must not contain control characters" });

/** `limit` and `cursor` of every list: keyset paging, no exact counts. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().min(1).max(500).optional(),
};

/** What a list is searched for: part of a name, an e-mail, a hint or a project name. */
export const searchText = z.string().trim().min(1).max(200);

/** A public X25519 key as JWK, the receiver's half of a handoff. */
export const PublicJwk = z
  .strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("X25519"),
    x: z.string().regex(/^[A-Za-z0-9_-]{43}$/, { message: "Must be 32 bytes as base64url" }),
    kid: z.string().max(200).optional(),
    use: z.literal("enc").optional(),
    alg: z.literal("ECDH-ES").optional(),
    ext: z.boolean().optional(),
    key_ops: z.array(z.string().max(20)).max(8).optional(),
  })
  .meta({ id: "PublicJwk" });
export type PublicJwk = z.infer<typeof PublicJwk>;
