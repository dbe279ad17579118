/** IAM's service account keys: made here, or uploaded as a certificate. */
import { generateKeyPair, type KeyObject, X509Certificate } from "node:crypto";
import { promisify } from "node:util";
import { z } from "zod";
import { demand } from "./google-access.ts";
import { type Call, findAccount } from "./google-accounts.ts";
import { bodyOf, emptyBody, knownQuery, mistake, Refusal, timeOf } from "./google-http.ts";
import { preconditionFailure } from "./google-organization.ts";
import { type Account, issueKey, type Key, newKeyId, note, settingsOf } from "./google-world.ts";

const KEYS_MAX = 10;
const SYSTEM_KEY_DAYS = 16;
const makePair = promisify(generateKeyPair);

const keyName = ({ world }: Call, account: Account, key: Key) =>
  `projects/${world.projectId}/serviceAccounts/${account.email}/keys/${key.id}`;

function view(call: Call, account: Account, key: Key): Record<string, unknown> {
  return {
    name: keyName(call, account, key),
    validAfterTime: timeOf(key.validAfter),
    validBeforeTime: timeOf(key.validBefore),
    keyAlgorithm: "KEY_ALG_RSA_2048",
    keyOrigin: key.origin,
    keyType: key.type,
    ...(key.disabled && { disabled: true, disableReason: key.disableReason }),
  };
}

/** Google's own key, the same one for every account; it differs by name only. */
function systemKeyOf({ world }: Call, account: Account): Key {
  return {
    ...{ id: account.uniqueId.padEnd(40, "0"), origin: "GOOGLE_PROVIDED", type: "SYSTEM_MANAGED" },
    ...{ ...world.systemKey, disabled: false, disableReason: null, deletedAt: null, file: null },
    ...{ createdAt: account.createdAt, validAfter: account.createdAt },
    validBefore: account.createdAt + SYSTEM_KEY_DAYS * 86_400_000,
  };
}

function checkRoom(account: Account): void {
  if (account.keys.filter(({ deletedAt }) => deletedAt === null).length < KEYS_MAX) return;
  throw new Refusal("RESOURCE_EXHAUSTED", "Maximum number of keys on account reached.", {
    details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "86401s" }],
  });
}

const subjectOf = ({ world }: Call, account: Account) =>
  `projects/${world.projectId}/serviceAccounts/${account.email}?configvalue=${account.email}`;

const NewKey = z.strictObject({
  privateKeyType: z.enum(["TYPE_UNSPECIFIED", "TYPE_GOOGLE_CREDENTIALS_FILE"]).optional(),
  keyAlgorithm: z.enum(["KEY_ALG_UNSPECIFIED", "KEY_ALG_RSA_2048"]).optional(),
});

/** Each call makes another key; the private half is in this answer and never again. */
export async function createKey(call: Call): Promise<unknown> {
  const { world, req, sim } = call;
  knownQuery(req);
  bodyOf(req, NewKey);
  const check = () => {
    const account = findAccount(call, "iam.serviceAccountKeys.create");
    const forbidden = preconditionFailure(sim, "creation", subjectOf(call, account));
    if (forbidden !== null) throw forbidden;
    checkRoom(account);
    return account;
  };
  check();
  const pair = await makePair("rsa", { modulusLength: 2048 });
  // Making the pair took a while, in which other calls were served: the account may be gone or full by now.
  const account = check();
  const key = issueKey(world, account, pair, sim.now());
  account.keys.push(key);
  note(world, sim, "key.created", { email: account.email, key_id: key.id });
  return {
    ...view(call, account, key),
    privateKeyType: "TYPE_GOOGLE_CREDENTIALS_FILE",
    privateKeyData: Buffer.from(key.file ?? "").toString("base64"),
  };
}

const LONG_DATE = Buffer.from([0x18, 15]);

function hasLongDateBefore2050(der: Buffer): boolean {
  for (let at = der.indexOf(LONG_DATE); at >= 0; at = der.indexOf(LONG_DATE, at + 1)) {
    const text = der.subarray(at + 2, at + 17).toString("latin1");
    if (/^\d{14}Z$/.test(text) && text < "2050") return true;
  }
  return false;
}

function readCertificate(publicKeyData: string): { certificate: X509Certificate; pem: string } {
  const pem = Buffer.from(publicKeyData, "base64").toString("utf8").trim();
  if (!/^-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----$/.test(pem)) {
    throw mistake("publicKeyData: base64 of a PEM certificate, first and last line included, is expected.");
  }
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(pem);
  } catch {
    throw mistake("publicKeyData: the certificate cannot be read.");
  }
  // Version 3 is the first thing that a certificate says; Node does not tell.
  if (!certificate.raw.subarray(0, 24).includes(Buffer.from("a003020102", "hex"))) {
    throw mistake("publicKeyData: the certificate must be X.509 version 3.");
  }
  // Readers that keep to RFC 5280 take the longer form of a date from the year 2050 on only; Node takes any.
  if (hasLongDateBefore2050(certificate.raw)) {
    throw mistake("publicKeyData: dates before 2050 must be UTCTime.");
  }
  return { certificate, pem };
}

function checkPublicKey(publicKey: KeyObject): void {
  if (publicKey.asymmetricKeyType !== "rsa" || (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
    throw mistake("publicKeyData: an RSA key of 2048 bits or more is expected.");
  }
}

/** The certificate's dates are the key's dates, and cannot be changed afterwards. */
export function uploadKey(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  const { publicKeyData } = bodyOf(req, z.strictObject({ publicKeyData: z.base64() }));
  const account = findAccount(call, "iam.serviceAccountKeys.create");
  const forbidden = preconditionFailure(sim, "upload", subjectOf(call, account));
  if (forbidden !== null) throw forbidden;
  const { certificate, pem } = readCertificate(publicKeyData);
  checkPublicKey(certificate.publicKey);
  if (certificate.validToDate.getTime() <= sim.now()) throw mistake("publicKeyData: the certificate has expired.");
  const isKnown = account.keys.some((key) => key.deletedAt === null && key.certificate === pem);
  if (isKnown && settingsOf(sim).same_certificate === "refused") {
    throw new Refusal("ALREADY_EXISTS", "The key exists already.");
  }
  checkRoom(account);
  const key: Key = {
    ...{ id: newKeyId(), origin: "USER_PROVIDED", type: "USER_MANAGED", publicKey: certificate.publicKey },
    ...{ certificate: pem, validAfter: certificate.validFromDate.getTime() },
    ...{ validBefore: certificate.validToDate.getTime(), disabled: false, disableReason: null },
    ...{ createdAt: sim.now(), deletedAt: null, file: null },
  };
  account.keys.push(key);
  note(world, sim, "key.uploaded", { email: account.email, key_id: key.id, until: timeOf(key.validBefore) });
  return view(call, account, key);
}

/** Lags behind: new keys are missing, deleted ones still shown. */
export function listKeys(call: Call): unknown {
  const { req, sim } = call;
  knownQuery(req, ["keyTypes"]);
  const types = req.query.getAll("keyTypes").filter((type) => type !== "KEY_TYPE_UNSPECIFIED");
  if (!types.every((type) => type === "USER_MANAGED" || type === "SYSTEM_MANAGED")) throw mistake("keyTypes: unknown");
  const account = findAccount(call, "iam.serviceAccountKeys.list");
  const seenAt = sim.now() - settingsOf(sim).key_list_lag_ms;
  const keys = [...account.keys, systemKeyOf(call, account)]
    .filter(({ type }) => types.length === 0 || types.includes(type))
    .filter(({ createdAt, type }) => createdAt <= seenAt || type === "SYSTEM_MANAGED")
    .filter(({ deletedAt }) => deletedAt === null || deletedAt > seenAt);
  return keys.length === 0 ? {} : { keys: keys.map((key) => view(call, account, key)) };
}

function findKey(call: Call, account: Account): Key {
  const id = call.params[2];
  const key = [...account.keys, systemKeyOf(call, account)].find((known) => known.id === id);
  if (key === undefined || key.deletedAt !== null) throw new Refusal("NOT_FOUND", "Unknown key");
  return key;
}

export function showKey(call: Call): unknown {
  knownQuery(call.req, ["publicKeyType"]);
  const type = call.req.query.get("publicKeyType") ?? "TYPE_NONE";
  if (!["TYPE_NONE", "TYPE_X509_PEM_FILE", "TYPE_RAW_PUBLIC_KEY"].includes(type))
    throw mistake("publicKeyType: unknown");
  const account = findAccount(call, "iam.serviceAccountKeys.get");
  const key = findKey(call, account);
  if (type === "TYPE_NONE") return view(call, account, key);
  const pem = type === "TYPE_X509_PEM_FILE" ? key.certificate : key.publicKey.export({ type: "spki", format: "pem" });
  return { ...view(call, account, key), publicKeyData: Buffer.from(pem).toString("base64") };
}

function findOwnKey(call: Call, account: Account): Key {
  const key = findKey(call, account);
  if (key.type === "SYSTEM_MANAGED") throw mistake("System-managed keys cannot be changed.", "FAILED_PRECONDITION");
  return key;
}

/** Repeatable; ends new tokens, not those already issued. */
export function setKeyDisabled(call: Call, disabled: boolean): unknown {
  const { world, req, sim } = call;
  knownQuery(req);
  emptyBody(req);
  const account = findAccount(call, `iam.serviceAccountKeys.${disabled ? "disable" : "enable"}`);
  const key = findOwnKey(call, account);
  key.disabled = disabled;
  key.disableReason = disabled ? "SERVICE_ACCOUNT_KEY_DISABLE_REASON_USER_INITIATED" : null;
  note(world, sim, disabled ? "key.disabled" : "key.enabled", { email: account.email, key_id: key.id });
  return {};
}

export function deleteKey(call: Call): unknown {
  const { world, req, sim, member } = call;
  knownQuery(req);
  emptyBody(req);
  demand(world, sim, member, "iam.serviceAccountKeys.delete");
  const account = findAccount(call, "iam.serviceAccountKeys.delete");
  const key = findOwnKey(call, account);
  key.deletedAt = sim.now();
  note(world, sim, "key.deleted", { email: account.email, key_id: key.id });
  return {};
}
