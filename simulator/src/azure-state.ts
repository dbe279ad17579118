/** What the simulated Azure remembers: accounts, deployments, keys, what was deleted, and an ordered log of events. */
import { createHash, randomBytes, randomInt, randomUUID } from "node:crypto";
import type { ArmErrorBody } from "./azure-errors.ts";
import { LaggingList } from "./azure-listing.ts";

export interface Operation {
  id: string;
  location: string;
  /** How it is asked for: by `Azure-AsyncOperation` (a body with a status) or by `Location` (202 until it is done). */
  style: "async" | "location";
  /** What it says while it runs. */
  verb: string;
  startedAt: number;
  endsAt: number;
  /** Called once, at the end; what it returns is why it failed. */
  finish: (at: number) => ArmErrorBody | null;
  outcome: "running" | "Succeeded" | "Failed";
  error: ArmErrorBody | null;
  /** The query that belongs to its address. */
  signature: [name: string, value: string][];
}

/** The subscription that the simulator plays. */
export interface AzurePlace {
  tenantId: string;
  subscriptionId: string;
  resourceGroups: readonly string[];
  /** In Azure's own spelling: lower case, no spaces. */
  locations: readonly string[];
}

export type KeySlot = "Key1" | "Key2";

export interface KeyRecord {
  account: Account;
  slot: KeySlot;
  secret: string;
  sha256: string;
  createdAt: number;
  retired: { at: number; because: "regenerated" | "purged" } | null;
}

export interface Deployment {
  name: string;
  sku: { name: string; capacity: number };
  model: { format: string; name: string; version: string };
  /** The rest of the writable properties, as given. */
  options: Record<string, unknown>;
  tags: Record<string, string> | undefined;
  provisioningState: "Creating" | "Succeeded" | "Deleting";
  paused: boolean;
  createdAt: number;
  modifiedAt: number;
  revision: number;
}

export interface Account {
  name: string;
  group: string;
  /** In the caller's spelling, which Azure echoes. */
  location: string;
  kind: string;
  sku: { name: string };
  tags: Record<string, string> | undefined;
  /** The rest of the writable properties, as given. */
  options: Record<string, unknown>;
  /** Set once, for ever. */
  subdomain: string | undefined;
  /** False when the subdomain turned out to be somebody else's. */
  ownsSubdomain: boolean;
  localAuthDisabledAt: number | null;
  provisioningState: "Creating" | "Succeeded" | "Failed" | "Deleting";
  /** When it first was `Succeeded`. */
  readyAt: number | null;
  /** What runs on it now; nothing else may meanwhile. */
  operation: Operation | null;
  writing: boolean;
  keys: Record<KeySlot, KeyRecord>;
  deployments: Map<string, Deployment>;
  internalId: string;
  createdAt: number;
  modifiedAt: number;
  revision: number;
  deletedAt: number | null;
}

export interface AzureEvent {
  n: number;
  at: number;
  event: string;
  resource: string;
  facts?: Record<string, unknown>;
}

export interface AzureState {
  readonly place: AzurePlace;
  /** By `accountKey`. */
  readonly accounts: Map<string, Account>;
  readonly deleted: Map<string, Account>;
  readonly keys: KeyRecord[];
  readonly keyBySecret: Map<string, KeyRecord>;
  readonly operations: Map<string, Operation>;
  readonly running: Set<Operation>;
  readonly events: AzureEvent[];
  readonly listed: LaggingList<Account>;
  readonly deletedListed: LaggingList<Account>;
  /** Fill levels of throttling buckets and of rate-limit windows, by whatever their owners call them. */
  readonly buckets: Map<string, { level: number; at: number }>;
  readonly windows: Map<string, { at: number; weight: number }[]>;
}

/** Accounts stay restorable for two days; until then, or a purge, name, subdomain and quota stay taken. */
export const SOFT_DELETE_MS = 48 * 3_600_000;

export const newState = (place: AzurePlace): AzureState => ({
  place,
  accounts: new Map(),
  deleted: new Map(),
  keys: [],
  keyBySecret: new Map(),
  operations: new Map(),
  running: new Set(),
  events: [],
  listed: new LaggingList(),
  deletedListed: new LaggingList(),
  buckets: new Map(),
  windows: new Map(),
});

/** Names, groups and locations are compared without regard to case. */
export const accountKey = (group: string, name: string) => `${group}/${name}`.toLowerCase();

export const normalLocation = (location: string) => location.toLowerCase().replace(/\s/g, "");

export const accountId = ({ place }: AzureState, { group, name }: Pick<Account, "group" | "name">) =>
  `/subscriptions/${place.subscriptionId}/resourceGroups/${group}/providers/Microsoft.CognitiveServices/accounts/${name}`;

/** The address part that leads to an account: its own subdomain, or the one that its region shares. */
export const hostLabel = (account: Account) =>
  account.subdomain?.toLowerCase() ?? `${normalLocation(account.location)}.api`;

export function logEvent(
  state: AzureState,
  at: number,
  event: string,
  resource: string,
  facts?: Record<string, unknown>,
): void {
  state.events.push({ n: state.events.length + 1, at, event, resource, ...(facts && { facts }) });
}

const LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** A new secret for a slot: 84 characters, as new accounts have. */
export function newKey(state: AzureState, account: Account, slot: KeySlot, at: number): KeyRecord {
  const secret = Array.from({ length: 84 }, () => LETTERS.charAt(randomInt(LETTERS.length))).join("");
  const sha256 = createHash("sha256").update(secret).digest("hex");
  const record: KeyRecord = { account, slot, secret, sha256, createdAt: at, retired: null };
  state.keys.push(record);
  state.keyBySecret.set(secret, record);
  return record;
}

export type AccountInput = Pick<
  Account,
  "name" | "group" | "location" | "kind" | "sku" | "tags" | "options" | "subdomain"
>;

/** A new account, `Creating`, with its two keys. */
export function addAccount(state: AzureState, input: AccountInput, at: number): Account {
  const bare: Omit<Account, "keys"> = {
    ...input,
    ownsSubdomain: true,
    localAuthDisabledAt: input.options.disableLocalAuth === true ? at : null,
    provisioningState: "Creating",
    readyAt: null,
    operation: null,
    writing: false,
    deployments: new Map(),
    internalId: randomBytes(16).toString("hex"),
    createdAt: at,
    modifiedAt: at,
    revision: 1,
    deletedAt: null,
  };
  const account = bare as Account;
  account.keys = { Key1: newKey(state, account, "Key1", at), Key2: newKey(state, account, "Key2", at) };
  state.accounts.set(accountKey(account.group, account.name), account);
  noteListed(state, account, at);
  return account;
}

/** Lets the lists learn what became of an account. */
export function noteListed(state: AzureState, account: Account, at: number): void {
  const key = accountKey(account.group, account.name);
  state.listed.record(key, at, state.accounts.get(key) ?? null);
  state.deletedListed.record(key, at, state.deleted.get(key) ?? null);
}

/** Marks an account as changed. */
export function touch(state: AzureState, account: Account, at: number): void {
  account.modifiedAt = at;
  account.revision += 1;
  noteListed(state, account, at);
}

/** Whether a secret opens its account at this moment. */
export function keyIsLive(
  state: AzureState,
  key: KeyRecord,
  now: number,
  lags: { local_auth_lag_ms: number; key_death_lag_ms: number },
): boolean {
  const { account, retired } = key;
  if (state.accounts.get(accountKey(account.group, account.name)) !== account) return false;
  if (account.provisioningState !== "Succeeded") return false;
  if (retired !== null && now >= retired.at + lags.key_death_lag_ms) return false;
  return account.localAuthDisabledAt === null || now < account.localAuthDisabledAt + lags.local_auth_lag_ms;
}

/** Moves an account among the soft-deleted. */
export function softDelete(state: AzureState, account: Account, at: number): void {
  const key = accountKey(account.group, account.name);
  state.accounts.delete(key);
  state.deleted.set(key, account);
  account.deletedAt = at;
  account.operation = null;
  noteListed(state, account, at);
  logEvent(state, at, "account.deleted", accountId(state, account), { deployments: account.deployments.size });
}

/** Ends a soft-deleted account for good. */
export function purge(state: AzureState, account: Account, at: number, by: "caller" | "time"): void {
  const key = accountKey(account.group, account.name);
  if (!state.deleted.delete(key)) return;
  for (const record of Object.values(account.keys)) record.retired ??= { at, because: "purged" };
  noteListed(state, account, at);
  logEvent(state, at, "account.purged", accountId(state, account), { by });
}

export const newId = () => randomUUID();
