/** A self-signed certificate for the TLS end of the simulated Entra. Node reads certificates but cannot write one. */
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";

export interface Certificate {
  /** PEM, PKCS#8. */
  key: string;
  /** PEM, X.509 version 3. */
  cert: string;
}

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  sequence: 0x30,
  set: 0x31,
} as const;

const DAY_MS = 86_400_000;

/**
 * Makes a P-256 key and a certificate for `hosts` (IPv4 addresses and names), valid for a year.
 * It is its own authority (`CA:TRUE`), since NODE_EXTRA_CA_CERTS adds authorities, not leaf certificates.
 */
export function makeCertificate(hosts: readonly string[], now = Date.now()): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(oid("1.2.840.10045.4.3.2"));
  // A name of its own: clients that trust several simulators look authorities up by it.
  const commonName = Buffer.from(`KeyGate simulator ${randomBytes(6).toString("hex")}`);
  const name = sequence(der(TAG.set, sequence(oid("2.5.4.3"), der(TAG.utf8, commonName))));
  const body = sequence(
    der(0xa0, integer(Buffer.from([2]))),
    integer(randomBytes(16)),
    algorithm,
    name,
    sequence(utcTime(now - DAY_MS), utcTime(now + 365 * DAY_MS)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(...extensions(hosts))),
  );
  const certificate = sequence(body, algorithm, bitString(0, sign("sha256", body, privateKey)));
  return {
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString("base64").replace(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`,
  };
}

function extensions(hosts: readonly string[]): Buffer[] {
  const names = hosts.map((host) =>
    isIPv4(host) ? der(0x87, Buffer.from(host.split(".").map(Number))) : der(0x82, Buffer.from(host, "ascii")),
  );
  const yes = der(TAG.boolean, Buffer.from([0xff]));
  return [
    extension("2.5.29.19", true, sequence(yes)),
    // The two usages that serve here: digitalSignature (bit 0) and keyCertSign (bit 5); two bits of the byte are unused.
    extension("2.5.29.15", true, bitString(2, Buffer.from([0b1000_0100]))),
    extension("2.5.29.37", false, sequence(oid("1.3.6.1.5.5.7.3.1"))),
    extension("2.5.29.17", false, sequence(...names)),
  ];
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  const flag = critical ? [der(TAG.boolean, Buffer.from([0xff]))] : [];
  return sequence(oid(id), ...flag, der(TAG.octetString, value));
}

function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), length(content.length), content]);
}

/** Short form below 128, else the number of length bytes followed by them. */
function length(n: number): Buffer {
  if (n < 0x80) return Buffer.from([n]);
  const hex = n.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

const sequence = (...contents: Buffer[]) => der(TAG.sequence, ...contents);

const bitString = (unusedBits: number, bytes: Buffer) => der(TAG.bitString, Buffer.from([unusedBits]), bytes);

/** A positive integer in the fewest bytes: no leading zeros, but one where the highest bit would read as a sign. */
function integer(bytes: Buffer): Buffer {
  let start = 0;
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1;
  const rest = bytes.subarray(start);
  return der(TAG.integer, (rest[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), rest]) : rest);
}

function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...others] = dotted.split(".").map(Number);
  const bytes = [first * 40 + second, ...others.flatMap(base128)];
  return der(TAG.oid, Buffer.from(bytes));
}

/** Seven bits per byte, the high bit set on all but the last. */
function base128(n: number): number[] {
  const bytes = [n & 0x7f];
  for (let rest = n >>> 7; rest > 0; rest >>>= 7) bytes.unshift((rest & 0x7f) | 0x80);
  return bytes;
}

/** `YYMMDDHHMMSSZ`: two-digit years, which X.509 reads as 1950 to 2049. */
function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, "");
  return der(TAG.utcTime, Buffer.from(`${digits.slice(2, 14)}Z`, "ascii"));
}
