import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from "node:crypto";
import { z } from "zod";
import { Secret } from "../secret.ts";

const Part = z.strictObject({ iv: z.string(), ct: z.string(), tag: z.string() });

/** A sealed value as it lies in the database: the data under a key of its own, that key under a key of the ring. */
export const Sealed = z.strictObject({ v: z.literal(1), kid: z.string(), key: Part, data: Part });
export type Sealed = z.infer<typeof Sealed>;

interface RingKey {
  id: string;
  key: Buffer;
  fingerprintKey: Buffer;
}

function encrypt(key: Buffer, plaintext: Buffer, associatedData: string): z.infer<typeof Part> {
  const iv = randomBytes(12);
  const cipher = createCipheriv("aes-256-gcm", key, iv).setAAD(Buffer.from(associatedData));
  const ct = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return { iv: iv.toString("base64"), ct: ct.toString("base64"), tag: cipher.getAuthTag().toString("base64") };
}

function decrypt(key: Buffer, part: z.infer<typeof Part>, associatedData: string): Buffer {
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.from(part.iv, "base64"), { authTagLength: 16 })
    .setAAD(Buffer.from(associatedData))
    .setAuthTag(Buffer.from(part.tag, "base64"));
  return Buffer.concat([decipher.update(Buffer.from(part.ct, "base64")), decipher.final()]);
}

export interface Keyring {
  /** Encrypts under the first key. `context` (table and row id) must be given again to open it. */
  seal(plaintext: Secret, context: string): Sealed;
  /** @throws when no key of the ring has the sealed value's key id, or when value or context were tampered with. */
  open(sealed: unknown, context: string): Secret;
  /** Whether the value is under the first key already. */
  isCurrent(sealed: Sealed): boolean;
  /** Keys to compute fingerprints with: the first for new ones, all for matching. */
  fingerprintKeys(): readonly { id: string; key: Buffer }[];
}

/**
 * Builds the ring from `ENCRYPTION_KEY`: the first entry encrypts, all decrypt. Each entry is a long random text; the
 * AES key is derived from it, so its format does not matter.
 */
export function createKeyring(entries: readonly Secret[]): Keyring {
  const derive = (entry: Secret, purpose: string) =>
    Buffer.from(hkdfSync("sha256", entry.reveal(), "", `keygate/${purpose}/v1`, 32));
  const ring: RingKey[] = entries.map((entry) => ({
    id: createHash("sha256").update(derive(entry, "key-id")).digest("hex").slice(0, 12),
    key: derive(entry, "encryption"),
    fingerprintKey: derive(entry, "fingerprint"),
  }));
  const [first] = ring;
  if (!first) throw new Error("The keyring is empty");

  return {
    seal(plaintext, context) {
      const dataKey = randomBytes(32);
      return {
        v: 1,
        kid: first.id,
        key: encrypt(first.key, dataKey, `keygate/key/${context}`),
        data: encrypt(dataKey, Buffer.from(plaintext.reveal()), `keygate/data/${context}`),
      };
    },
    open(value, context) {
      const sealed = Sealed.parse(value);
      const ringKey = ring.find((candidate) => candidate.id === sealed.kid);
      if (!ringKey)
        throw new Error(`No key ${sealed.kid} in ENCRYPTION_KEY; it lists ${ring.map((k) => k.id).join(", ")}`);
      const dataKey = decrypt(ringKey.key, sealed.key, `keygate/key/${context}`);
      return new Secret(decrypt(dataKey, sealed.data, `keygate/data/${context}`).toString("utf8"));
    },
    isCurrent: (sealed) => sealed.kid === first.id,
    fingerprintKeys: () => ring.map(({ id, fingerprintKey }) => ({ id, key: fingerprintKey })),
  };
}
