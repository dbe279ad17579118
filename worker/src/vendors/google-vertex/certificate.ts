import { generateKeyPair, type KeyObject, randomBytes, sign } from "node:crypto";
import { promisify } from "node:util";

export interface KeyPair {
  publicKey: KeyObject;
  privateKey: KeyObject;
}

const generate = promisify(generateKeyPair);

/** A new RSA pair, made on the thread pool: it takes long enough to be felt by everybody else otherwise. */
export const makeKeyPair = (): Promise<KeyPair> => generate("rsa", { modulusLength: 2048 });

/** The end of what has no end, as certificates say it. */
export const noEnd = new Date(Date.UTC(9999, 11, 31, 23, 59, 59));

/** One DER element: tag, length, content. */
function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Buffer.from([tag, content.length]), content]);
  const hex = content.length.toString(16);
  const length = Buffer.from(hex.padStart(hex.length + (hex.length % 2), "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length]), length, content]);
}

const sequence = (...parts: readonly Buffer[]) => der(0x30, ...parts);
const hex = (text: string) => Buffer.from(text, "hex");

const sha256WithRsa = sequence(hex("06092a864886f70d01010b"), hex("0500"));
const commonName = hex("0603550403");
const version3 = hex("a003020102");
// basicConstraints, critical, not an authority. Version 3 exists for extensions, and whether Google takes a
// certificate without any is not published.
const extensions = der(0xa3, sequence(sequence(hex("0603551d13"), hex("0101ff"), der(0x04, sequence()))));

/**
 * UTCTime through 2049 and GeneralizedTime from then on: whoever reads strictly takes no other (RFC 5280, 4.1.2.5).
 * Whole seconds, rounded down.
 */
function time(at: Date): Buffer {
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, "");
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

/**
 * A self-signed X.509 certificate in PEM, which Node can read but not write. Its end is the key's end at Google.
 */
export function selfSignedCertificate(
  { publicKey, privateKey }: KeyPair,
  { name, notBefore, notAfter }: { name: string; notBefore: Date; notAfter: Date },
): string {
  const subject = sequence(der(0x31, sequence(commonName, der(0x0c, Buffer.from(name)))));
  const serial = randomBytes(16);
  // A first byte below 0x80 keeps the number positive, one above zero keeps its encoding the shortest.
  serial[0] = 0x01;
  const body = sequence(
    version3,
    der(0x02, serial),
    sha256WithRsa,
    subject,
    sequence(time(notBefore), time(notAfter)),
    subject,
    publicKey.export({ type: "spki", format: "der" }),
    extensions,
  );
  const signature = sign("sha256", body, privateKey);
  const whole = sequence(body, sha256WithRsa, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
