/** Everything a simulated OpenAI organization holds, and the few facts that follow from it. */
import { createHash, randomBytes } from "node:crypto";
import type { OpenAiSettings } from "./openai-settings.ts";

/** What lists show, and in which order. */
export interface Listed {
  id: string;
  /** Order of making; two things made in the same second still have one. */
  seq: number;
  createdAtMs: number;
}

export interface SpendLimit {
  threshold_amount: number;
  currency: "USD";
  interval: "month";
}

export interface SpendAlert extends Listed {
  threshold_amount: number;
  currency: "USD";
  interval: "month";
  notification_channel: { type: "email"; recipients: string[]; subject_prefix: string | null };
}

export interface ModelPermissions {
  mode: "allow_list" | "deny_list";
  model_ids: string[];
}

export const LIMIT_FIELDS = [
  "max_requests_per_1_minute",
  "max_tokens_per_1_minute",
  "max_images_per_1_minute",
  "max_audio_megabytes_per_1_minute",
  "max_requests_per_1_day",
  "batch_1_day_max_input_tokens",
] as const;
export type LimitField = (typeof LIMIT_FIELDS)[number];

export interface RateLimit extends Listed {
  model: string;
  limits: Partial<Record<LimitField, number>>;
}

export const HOSTED_TOOLS = ["file_search", "web_search", "image_generation", "mcp", "code_interpreter"] as const;
export type HostedTool = (typeof HOSTED_TOOLS)[number];

export interface Project extends Listed {
  name: string | null;
  isDefault: boolean;
  archivedAtMs: number | null;
  externalKeyId: string | null;
  residency: string;
  spendLimit: SpendLimit | null;
  alerts: SpendAlert[];
  modelPermissions: ModelPermissions | null;
  rateLimits: Map<string, RateLimit>;
  hostedTools: Record<HostedTool, boolean>;
  serviceTier: { default: string; enabled_tiers: string | string[] };
}

export interface ServiceAccount extends Listed {
  projectId: string;
  name: string;
  role: "owner" | "member" | "none";
  deletedAtMs: number | null;
}

export interface ApiKey extends Listed {
  projectId: string;
  /** `null` for a key that a person made in the dashboard. */
  serviceAccountId: string | null;
  name: string;
  secret: string;
  /** Empty = unrestricted. */
  scopes: string[];
  /** Unix seconds. */
  expiresAt: number | null;
  lastUsedAtMs: number | null;
  deletedAtMs: number | null;
}

export interface Spend {
  atMs: number;
  projectId: string;
  apiKeyId: string | null;
  lineItem: string | null;
  cents: number;
}

export interface OpenAiEvent {
  n: number;
  /** Milliseconds by the simulator's clock. */
  at: number;
  type: string;
  ids: Record<string, string>;
}

export interface OpenAiState {
  organizationId: string;
  adminKey: Listed & { secret: string; lastUsedAtMs: number | null };
  projects: Project[];
  accounts: ServiceAccount[];
  keys: ApiKey[];
  spends: Spend[];
  organizationSpendLimit: SpendLimit | null;
  events: OpenAiEvent[];
  /** Admin calls of the last minute, by method and route: times in ms. */
  adminCalls: Map<string, number[]>;
  /** Inference calls of the last day, by project and model. */
  inferenceCalls: Map<string, { atMs: number; tokens: number }[]>;
  seq: number;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/** Random letters and digits: nothing about an id can be guessed from another. */
export function opaque(length: number): string {
  // The slight unevenness of the remainder does not matter here: these open nothing real.
  return [...randomBytes(length)].map((byte) => ALPHABET[byte % ALPHABET.length]).join("");
}

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
/** As listed: the leading part, dots, the last characters. */
export const redacted = (secret: string) => `${secret.slice(0, 6)}...${secret.slice(-3)}`;
export const seconds = (ms: number) => Math.floor(ms / 1000);

/** A fresh organization: one default project, one admin key. */
export function freshState(adminKey: string, organizationId: string, nowMs: number): OpenAiState {
  const state: OpenAiState = {
    organizationId,
    adminKey: { id: `key_${opaque(16)}`, seq: 0, createdAtMs: nowMs, secret: adminKey, lastUsedAtMs: null },
    projects: [],
    accounts: [],
    keys: [],
    spends: [],
    organizationSpendLimit: null,
    events: [],
    adminCalls: new Map(),
    inferenceCalls: new Map(),
    seq: 0,
  };
  state.projects.push({ ...newProject(state, nowMs), name: "Default project", isDefault: true });
  return state;
}

export function newProject(state: OpenAiState, nowMs: number): Project {
  return {
    ...listed(state, `proj_${opaque(24)}`, nowMs),
    name: null,
    isDefault: false,
    archivedAtMs: null,
    externalKeyId: null,
    residency: "GLOBAL",
    spendLimit: null,
    alerts: [],
    modelPermissions: null,
    rateLimits: new Map(),
    hostedTools: { file_search: true, web_search: true, image_generation: true, mcp: true, code_interpreter: true },
    serviceTier: { default: "standard", enabled_tiers: "all" },
  };
}

export function listed(state: OpenAiState, id: string, nowMs: number): Listed {
  state.seq += 1;
  return { id, seq: state.seq, createdAtMs: nowMs };
}

export function note(state: OpenAiState, nowMs: number, type: string, ids: Record<string, string>): void {
  state.events.push({ n: state.events.length + 1, at: nowMs, type, ids });
}

/** Kills keys; those that are dead already keep their time of death. */
export function deleteKeys(state: OpenAiState, nowMs: number, which: (key: ApiKey) => boolean): void {
  for (const key of state.keys) {
    if (key.deletedAtMs !== null || !which(key)) continue;
    key.deletedAtMs = nowMs;
    note(state, nowMs, "api_key.deleted", { project_id: key.projectId, api_key_id: key.id });
  }
}

export const hasExpired = (key: ApiKey, nowMs: number) => key.expiresAt !== null && nowMs >= key.expiresAt * 1000;

/** Whether the secret opens the door now. */
export function isLive(key: ApiKey, nowMs: number, settings: OpenAiSettings): boolean {
  if (hasExpired(key, nowMs)) return false;
  return key.deletedAtMs === null || nowMs < key.deletedAtMs + settings.revocation_lag_ms;
}

const month = (ms: number) => new Date(ms).toISOString().slice(0, 7);

/** What was spent in the present calendar month (UTC), by one project or by all. */
export function spentThisMonthCents(state: OpenAiState, nowMs: number, projectId: string | null): number {
  return state.spends
    .filter((spend) => month(spend.atMs) === month(nowMs) && (projectId === null || spend.projectId === projectId))
    .reduce((sum, spend) => sum + spend.cents, 0);
}
