/** What the simulated Google project consists of, and how it starts. */
import { generateKeyPairSync, type KeyObject, randomBytes, randomInt } from "node:crypto";
import { z } from "zod";
import type { SimContext } from "./core.ts";
import { selfSignedCertificate } from "./google-certificate.ts";
import { timeOf } from "./google-http.ts";

const KEY_CONSTRAINTS = {
  creation: ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"],
  upload: ["iam.disableServiceAccountKeyUpload", "iam.managed.disableServiceAccountKeyUpload"],
  account: ["iam.disableServiceAccountCreation"],
} as const;

/** The organization policies that can be switched on, by what they forbid. */
export const CONSTRAINTS: Record<keyof typeof KEY_CONSTRAINTS, readonly string[]> = KEY_CONSTRAINTS;
const CONSTRAINT_NAMES = Object.values(KEY_CONSTRAINTS).flat();

const delayMs = z.int().min(0).default(0);

/** What can be turned on a running Google, each with how it starts. */
export const GoogleSettings = z.strictObject({
  /** How long a new account is unknown to everything but a second create. */
  account_visible_after_ms: delayMs,
  /** How long a key list misses new keys and still shows deleted ones. */
  key_list_lag_ms: delayMs,
  /** How long the token endpoint does not know a new key. */
  key_usable_after_ms: delayMs,
  /** How long a new grant does nothing, and how long a withdrawn one still does. */
  grant_after_ms: delayMs,
  revoke_after_ms: delayMs,
  accounts_max: z.int().min(1).default(100),
  /** Organization policies in force. */
  constraints: z.array(z.enum(CONSTRAINT_NAMES)).default([]),
  /** What the same certificate does a second time; the truth is not published. */
  same_certificate: z.enum(["second_key", "refused"]).default("second_key"),
  /** Permissions that the admin's roles lack. */
  admin_lacks: z.array(z.string()).default([]),
  /** Roles that the admin may grant and withdraw, by a condition on its own binding; `null` = all. */
  admin_grants: z.array(z.string()).nullable().default(null),
  /** APIs that nobody enabled: `iam.googleapis.com`, … */
  disabled_services: z.array(z.string()).default([]),
});
export type GoogleSettings = z.output<typeof GoogleSettings>;

export const settingsOf = (sim: SimContext): GoogleSettings => GoogleSettings.parse(sim.settings);

export interface Key {
  /** 40 hex digits, `private_key_id` in the file. */
  id: string;
  origin: "GOOGLE_PROVIDED" | "USER_PROVIDED";
  type: "USER_MANAGED" | "SYSTEM_MANAGED";
  publicKey: KeyObject;
  certificate: string;
  validAfter: number;
  validBefore: number;
  disabled: boolean;
  disableReason: string | null;
  createdAt: number;
  deletedAt: number | null;
  /** The file that was handed out, for keys made here. */
  file: string | null;
}

export interface Account {
  accountId: string;
  email: string;
  uniqueId: string;
  displayName: string;
  description: string;
  disabled: boolean;
  createdAt: number;
  deletedAt: number | null;
  keys: Key[];
}

export interface Condition {
  title: string;
  description?: string | undefined;
  expression: string;
  location?: string | undefined;
}

export interface Binding {
  role: string;
  members: string[];
  condition?: Condition | undefined;
}

/** What a binding does for one member, and from when to when it does it. */
export interface Grant {
  role: string;
  member: string;
  expression: string | null;
  from: number;
  until: number | null;
}

export interface Role {
  name: string;
  title: string;
  description: string;
  includedPermissions: string[];
  stage: string;
}

export interface GoogleWorld {
  projectId: string;
  projectNumber: string;
  adminEmail: string;
  /** In order of creation, deleted ones included. */
  accounts: Account[];
  policy: { revision: number; bindings: Binding[]; auditConfigs: unknown[] };
  grants: Grant[];
  roles: Map<string, Role>;
  /** By the token's SHA-256. */
  tokens: Map<string, { accountId: string; keyId: string; expiresAt: number; scopes: string[] }>;
  /** Google's own key, which every account's list shows. */
  systemKey: Pick<Key, "publicKey" | "certificate">;
  events: Record<string, unknown>[];
}

/** The end of validity of keys that do not expire. */
export const NEVER = Date.UTC(9999, 11, 31, 23, 59, 59);

export const TOKEN_URL = "https://oauth2.googleapis.com/token";

/** Adds to the ordered log of everything that changed. */
export function note(world: GoogleWorld, sim: SimContext, event: string, facts: Record<string, unknown>): void {
  world.events.push({ n: world.events.length + 1, at: timeOf(sim.now()), event, ...facts });
}

export const emailOf = (projectId: string, accountId: string) => `${accountId}@${projectId}.iam.gserviceaccount.com`;

export function newAccount(projectId: string, accountId: string, createdAt: number): Account {
  return {
    accountId,
    email: emailOf(projectId, accountId),
    uniqueId: `1${Array.from({ length: 20 }, () => randomInt(10)).join("")}`,
    displayName: "",
    description: "",
    disabled: false,
    createdAt,
    deletedAt: null,
    keys: [],
  };
}

export const newKeyId = () => randomBytes(20).toString("hex");

/** A key with Google's half and the file with the owner's half. */
export function issueKey(
  world: { projectId: string },
  account: Account,
  pair: { publicKey: KeyObject; privateKey: KeyObject },
  createdAt: number,
): Key {
  const id = newKeyId();
  const { publicKey, privateKey } = pair;
  const file = {
    type: "service_account",
    project_id: world.projectId,
    private_key_id: id,
    private_key: privateKey.export({ type: "pkcs8", format: "pem" }),
    client_email: account.email,
    client_id: account.uniqueId,
    auth_uri: "https://accounts.google.com/o/oauth2/auth",
    token_uri: TOKEN_URL,
    auth_provider_x509_cert_url: "https://www.googleapis.com/oauth2/v1/certs",
    client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
    universe_domain: "googleapis.com",
  };
  return {
    ...{ id, origin: "GOOGLE_PROVIDED", type: "USER_MANAGED", publicKey },
    certificate: selfSignedCertificate({ ...pair, name: account.uniqueId, notBefore: createdAt, notAfter: NEVER }),
    ...{ validAfter: createdAt, validBefore: NEVER, disabled: false, disableReason: null },
    ...{ createdAt, deletedAt: null, file: JSON.stringify(file, null, 2) },
  };
}

/** What survives a reset: the credential that the operator was given. */
export interface AdminCredential {
  account: Account;
  key: Key;
  systemKey: GoogleWorld["systemKey"];
}

/** Made long before the simulator began, so that no delay for new accounts and keys ever hides it. */
export function newAdmin(projectId: string): AdminCredential {
  const createdAt = Date.now() - 90 * 86_400_000;
  const account = newAccount(projectId, "keygate-admin", createdAt);
  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const certificate = selfSignedCertificate({ ...pair, name: "system", notBefore: createdAt, notAfter: NEVER });
  return {
    account,
    key: issueKey({ projectId }, account, pair, createdAt),
    // One pair does for both: nobody ever signs with Google's own key.
    systemKey: { publicKey: pair.publicKey, certificate },
  };
}

const ADMIN_ROLES = [
  "roles/iam.serviceAccountAdmin",
  "roles/iam.serviceAccountKeyAdmin",
  "roles/resourcemanager.projectIamAdmin",
  "roles/iam.roleAdmin",
  "roles/orgpolicy.policyViewer",
  "roles/serviceusage.serviceUsageViewer",
];

/** A fresh project: an owner, the admin account, and a colleague whose access ends some day by a condition. */
export function newWorld(projectId: string, admin: AdminCredential): GoogleWorld {
  const account = { ...admin.account, keys: [{ ...admin.key }] };
  const member = `serviceAccount:${account.email}`;
  const bindings: Binding[] = [
    { role: "roles/owner", members: ["user:owner@simulated.example"] },
    ...ADMIN_ROLES.map((role) => ({ role, members: [member] })),
    {
      role: "roles/viewer",
      members: ["user:contractor@simulated.example"],
      condition: { title: "until 2030", expression: 'request.time < timestamp("2030-01-01T00:00:00Z")' },
    },
  ];
  return {
    projectId,
    projectNumber: "481516234200",
    adminEmail: account.email,
    accounts: [account],
    policy: {
      revision: 1,
      bindings,
      auditConfigs: [{ service: "allServices", auditLogConfigs: [{ logType: "ADMIN_READ" }] }],
    },
    grants: bindings.flatMap(({ role, members, condition }) =>
      members.map((who) => ({ role, member: who, expression: condition?.expression ?? null, from: 0, until: null })),
    ),
    roles: new Map(),
    tokens: new Map(),
    systemKey: admin.systemKey,
    events: [],
  };
}
