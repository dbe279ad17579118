/** Just enough DER to write a self-signed certificate, which Node can read but not write. */
import { type KeyObject, randomBytes, sign } from "node:crypto";

/** One DER element: tag, length, content. */
function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts);
  const { length } = content;
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content]);
  const bytes = Buffer.from(length.toString(16).padStart(length > 255 ? 4 : 2, "0"), "hex");
  return Buffer.concat([Buffer.from([tag, 0x80 | bytes.length]), bytes, content]);
}

const SHA256_WITH_RSA = der(0x30, Buffer.from("06092a864886f70d01010b0500", "hex"));
const COMMON_NAME = Buffer.from("0603550403", "hex");

/** The shorter form has the years to 2049, and is the only one allowed for them. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  return text < "2050" ? der(0x17, Buffer.from(text.slice(2))) : der(0x18, Buffer.from(text));
}

/** A version 3 certificate without extensions, as PEM. */
export function selfSignedCertificate(wanted: {
  publicKey: KeyObject;
  privateKey: KeyObject;
  name: string;
  notBefore: number;
  notAfter: number;
}): string {
  const name = der(0x30, der(0x31, der(0x30, COMMON_NAME, der(0x0c, Buffer.from(wanted.name)))));
  const serial = randomBytes(16);
  // A leading byte below 0x80 keeps the number positive, one above 0 keeps its encoding minimal.
  serial[0] = 0x01;
  const body = der(
    0x30,
    Buffer.from("a003020102", "hex"),
    der(0x02, serial),
    SHA256_WITH_RSA,
    name,
    der(0x30, time(wanted.notBefore), time(wanted.notAfter)),
    name,
    wanted.publicKey.export({ type: "spki", format: "der" }),
  );
  const signature = sign("sha256", body, wanted.privateKey);
  const whole = der(0x30, body, SHA256_WITH_RSA, der(0x03, Buffer.from([0]), signature));
  const lines = whole.toString("base64").match(/.{1,64}/g) ?? [];
  return ["-----BEGIN CERTIFICATE-----", ...lines, "-----END CERTIFICATE-----", ""].join("\n");
}
