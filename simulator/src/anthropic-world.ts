/** What the simulated Anthropic organization consists of, how it starts, and how it is shown to checks. */
import { createHash, randomUUID } from "node:crypto";
import { z } from "zod";
import { makeId, randomUrlSafe, timeOf } from "./anthropic-http.ts";
import type { SimContext } from "./core.ts";

/** What can be turned on a running Anthropic, each with how it starts. */
export const AnthropicSettings = z.strictObject({
  /** Whether the organization is in the early access preview of spend limits by API. */
  spend_limits: z.enum(["enabled", "disabled"]).default("disabled"),
  /** Active workspaces, the default one not counted. */
  workspaces_max: z.int().min(1).default(100),
  /** Active keys; the real numbers are not published. */
  workspace_keys_max: z.int().min(1).nullable().default(null),
  organization_keys_max: z.int().min(1).nullable().default(null),
  /** How long a key goes on as before after its status changed; the real time is not published. */
  key_status_delay_ms: z.int().min(0).default(0),
  /** How long workspaces and keys take to appear on lists after they were made; nothing is published about it. */
  list_lag_ms: z.int().min(0).default(0),
  /** How long a workspace's rate limit takes to act: "within about an hour". */
  rate_limit_delay_ms: z.int().min(0).default(3_600_000),
  /** Calls of the Admin API; above it 429 with `retry-after`. The real number is not published. */
  admin_requests_per_minute: z.int().min(1).nullable().default(null),
  /** Answers 529 to everything. */
  overloaded: z.boolean().default(false),
});
export type AnthropicSettings = z.output<typeof AnthropicSettings>;

export const settingsOf = (sim: SimContext): AnthropicSettings => AnthropicSettings.parse(sim.settings);

/** Whether a list shows yet what was made at that time. */
export const isListed = ({ createdAt }: { createdAt: number }, sim: SimContext): boolean =>
  createdAt + settingsOf(sim).list_lag_ms <= sim.now();

export const KeyStatus = z.enum(["active", "inactive", "archived"]);
export type KeyStatus = z.output<typeof KeyStatus>;

export const Principal = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("user_actor"), user_id: z.string() }),
  z.strictObject({ type: z.literal("service_account_actor"), service_account_id: z.string() }),
]);
export type Principal = z.output<typeof Principal>;

export interface Workspace {
  id: string;
  isDefault: boolean;
  name: string;
  createdAt: number;
  archivedAt: number | null;
  displayColor: string;
  tags: Record<string, string>;
  dataResidency: Record<string, unknown>;
  compartmentId: string;
  /** Role by user id. */
  members: Map<string, string>;
  /** Overrides by entry id, then by limiter type. */
  rateLimits: Map<string, Map<string, { value: number; setAt: number }>>;
  /** Cents by calendar month in UTC, `2026-11`. */
  spentCents: Map<string, number>;
  /** Times of the last minute's requests by rate-limit entry. */
  requests: Map<string, number[]>;
}

export interface Key {
  id: string;
  secret: string;
  name: string;
  status: KeyStatus;
  /** What the status was before, for as long as a change takes to spread. */
  before: { status: KeyStatus; changedAt: number } | null;
  createdAt: number;
  expiresAt: number | null;
  createdByUserId: string;
  principal: Principal | null;
  /** `null`: the key belongs to the organization. */
  workspaceId: string | null;
}

export interface User {
  id: string;
  email: string;
  name: string;
  role: string;
  addedAt: number;
}

export interface SpendLimit {
  id: string;
  amount: string;
  scope: { type: "organization" } | { type: "workspace"; workspace_id: string };
  createdAt: number;
  updatedAt: number;
}

export interface RateLimitEntry {
  id: string;
  group: { id: string; type: string; display_name?: string };
  models: string[] | null;
  limits: { type: string; value: number }[];
}

export interface AnthropicWorld {
  organization: { id: string; name: string };
  adminKey: string;
  /** Set by control: the admin key was revoked in the Console. */
  adminRefused: boolean;
  adminCalls: number[];
  spendLimitCalls: number[];
  /** In order of creation. */
  workspaces: Workspace[];
  keys: Key[];
  users: User[];
  spendLimits: SpendLimit[];
  rateLimits: RateLimitEntry[];
  events: Record<string, unknown>[];
}

const RESIDENCY = { workspace_geo: "us", allowed_inference_geos: "unrestricted", default_inference_geo: "global" };

/** A workspace with nothing in it. */
export function newWorkspace(name: string, createdAt: number, isDefault = false): Workspace {
  return {
    id: makeId("wrkspc"),
    isDefault,
    name,
    createdAt,
    archivedAt: null,
    displayColor: "#6C5BB9",
    tags: {},
    dataResidency: { ...RESIDENCY },
    compartmentId: randomUUID(),
    members: new Map(),
    rateLimits: new Map(),
    spentCents: new Map(),
    requests: new Map(),
  };
}

function modelGroup(display_name: string, models: string[], requestsPerMinute: number): RateLimitEntry {
  return {
    id: makeId("rl"),
    group: { id: makeId("rlg"), type: "model_group", display_name },
    models,
    limits: [
      { type: "requests_per_minute", value: requestsPerMinute },
      { type: "input_tokens_per_minute_cache_aware", value: 2_000_000 },
      { type: "output_tokens_per_minute", value: 400_000 },
    ],
  };
}

const otherGroup = (type: string, limits: RateLimitEntry["limits"]): RateLimitEntry => ({
  id: makeId("rl"),
  group: { id: makeId("rlg"), type },
  models: null,
  limits,
});

/** A fresh organization: two users, the default workspace, no keys. */
export function newWorld(adminKey: string): AnthropicWorld {
  const now = Date.now();
  return {
    organization: { id: randomUUID(), name: "Simulated organization" },
    adminKey,
    adminRefused: false,
    adminCalls: [],
    spendLimitCalls: [],
    workspaces: [newWorkspace("Default", now, true)],
    keys: [],
    users: [
      { id: makeId("user"), email: "admin@simulated.example", name: "Simulated admin", role: "admin", addedAt: now },
      { id: makeId("user"), email: "dev@simulated.example", name: "Simulated dev", role: "developer", addedAt: now },
    ],
    spendLimits: [],
    rateLimits: [
      modelGroup("Claude Opus 4.x", ["claude-opus-4-6"], 4000),
      modelGroup("Claude Sonnet 4.x", ["claude-sonnet-4-6"], 4000),
      modelGroup("Claude Haiku 4.x", ["claude-haiku-4-5"], 8000),
      otherGroup("batch", [{ type: "requests_per_minute", value: 4000 }]),
      otherGroup("token_count", [{ type: "requests_per_minute", value: 8000 }]),
      otherGroup("web_search", [{ type: "tool_uses_per_second", value: 30 }]),
    ],
    events: [],
  };
}

export const newAdminKey = () => `sk-ant-admin01-SIMULATED-${randomUrlSafe(72)}AA`;

/** Adds to the ordered log of everything that changed. */
export function note(world: AnthropicWorld, sim: SimContext, event: string, facts: Record<string, unknown>): void {
  world.events.push({ n: world.events.length + 1, at: timeOf(sim.now()), event, ...facts });
}

export const hasExpired = (key: Key, now: number) => key.expiresAt !== null && key.expiresAt <= now;

/** The status as the API shows it: an expired key says so until it is archived. */
export function shownStatus(key: Key, now: number): string {
  return key.status !== "archived" && hasExpired(key, now) ? "expired" : key.status;
}

/** Whether the secret is accepted right now, a status change that is still spreading included. */
export function isAccepted(key: Key, sim: SimContext): boolean {
  const now = sim.now();
  if (hasExpired(key, now)) return false;
  const spreads = key.before !== null && now < key.before.changedAt + settingsOf(sim).key_status_delay_ms;
  return (spreads ? key.before?.status : key.status) === "active";
}

/** Changes a key's status and notes it; nothing happens when it has that status already. */
export function setStatus(world: AnthropicWorld, sim: SimContext, key: Key, status: KeyStatus, reason: string): void {
  if (key.status === status) return;
  key.before = { status: key.status, changedAt: sim.now() };
  key.status = status;
  note(world, sim, "key.status", { id: key.id, status, reason });
}

/** First 16 and last 4 characters, as the Console shows them. */
export const hintOf = (secret: string) => `${secret.slice(0, 16)}...${secret.slice(-4)}`;

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/** Everything there is, for checks. */
export function anthropicBooks(world: AnthropicWorld, sim: SimContext, options: { secrets: boolean }): unknown {
  return {
    organization: world.organization,
    admin_key_sha256: sha256(world.adminKey),
    workspaces: world.workspaces.map((workspace) => ({
      id: workspace.id,
      name: workspace.name,
      is_default: workspace.isDefault,
      tags: workspace.tags,
      created_at: timeOf(workspace.createdAt),
      archived_at: workspace.archivedAt === null ? null : timeOf(workspace.archivedAt),
      members: Object.fromEntries(workspace.members),
      rate_limits: Object.fromEntries(
        [...workspace.rateLimits].map(([entry, limits]) => [
          entry,
          Object.fromEntries([...limits].map(([type, { value }]) => [type, value])),
        ]),
      ),
      spent_cents: Object.fromEntries(workspace.spentCents),
    })),
    keys: world.keys.map((key) => ({
      id: key.id,
      name: key.name,
      workspace_id: key.workspaceId,
      principal: key.principal,
      status: shownStatus(key, sim.now()),
      live: isAccepted(key, sim),
      hint: hintOf(key.secret),
      secret_sha256: sha256(key.secret),
      created_at: timeOf(key.createdAt),
      expires_at: key.expiresAt === null ? null : timeOf(key.expiresAt),
      ...(options.secrets && { secret: key.secret }),
    })),
    users: world.users,
    spend_limits: world.spendLimits,
    events: world.events,
  };
}
