/** The simulated OpenAI's own view of itself, and what control can make happen in it. */
import { z } from "zod";
import type { SimContext, SimResponse } from "./core.ts";
import { rateLimitsOf } from "./openai-models.ts";
import type { OpenAiSettings } from "./openai-settings.ts";
import {
  isLive,
  listed,
  type ModelPermissions,
  note,
  type OpenAiEvent,
  type OpenAiState,
  opaque,
  redacted,
  type SpendLimit,
  seconds,
  sha256,
  spentThisMonthCents,
} from "./openai-state.ts";

/** Times are Unix seconds, as the vendor tells them; `at` of an event is in ms. What was deleted stays in the books. */
export interface OpenAiBooks {
  organization: { id: string; spend_limit: SpendLimit | null };
  projects: {
    id: string;
    name: string | null;
    status: "active" | "archived";
    default: boolean;
    created_at: number;
    spend_limit: SpendLimit | null;
    spent_cents_this_month: number;
    spend_alerts: { id: string; threshold_amount: number; recipients: string[] }[];
    model_permissions: ModelPermissions | null;
    rate_limits: ({ id: string; model: string } & Record<string, number | string>)[];
    hosted_tools: Record<string, boolean>;
    service_tier: { default: string; enabled_tiers: string | string[] };
  }[];
  accounts: {
    id: string;
    project_id: string;
    name: string;
    role: string;
    created_at: number;
    deleted_at: number | null;
  }[];
  keys: {
    id: string;
    project_id: string;
    service_account_id: string | null;
    name: string;
    live: boolean;
    secret_sha256: string;
    redacted_value: string;
    scopes: string[];
    created_at: number;
    expires_at: number | null;
    last_used_at: number | null;
    deleted_at: number | null;
    /** Only when asked for. */
    secret?: string;
  }[];
  /** In order, so that "the limits were there before the key" can be proved. */
  events: OpenAiEvent[];
}

const secondsOrNull = (ms: number | null) => (ms === null ? null : seconds(ms));

/** The books as of now. */
export function openAiBooks(
  state: OpenAiState,
  nowMs: number,
  settings: OpenAiSettings,
  withSecrets: boolean,
): OpenAiBooks {
  return structuredClone({
    organization: { id: state.organizationId, spend_limit: state.organizationSpendLimit },
    projects: state.projects.map((project) => ({
      id: project.id,
      name: project.name,
      status: project.archivedAtMs === null ? ("active" as const) : ("archived" as const),
      default: project.isDefault,
      created_at: seconds(project.createdAtMs),
      spend_limit: project.spendLimit,
      spent_cents_this_month: spentThisMonthCents(state, nowMs, project.id),
      spend_alerts: project.alerts.map(({ id, threshold_amount, notification_channel }) => ({
        id,
        threshold_amount,
        recipients: notification_channel.recipients,
      })),
      model_permissions: project.modelPermissions,
      rate_limits: rateLimitsOf(state, project, settings.models).map(({ id, model, limits }) => ({
        id,
        model,
        ...limits,
      })),
      hosted_tools: project.hostedTools,
      service_tier: project.serviceTier,
    })),
    accounts: state.accounts.map((account) => ({
      id: account.id,
      project_id: account.projectId,
      name: account.name,
      role: account.role,
      created_at: seconds(account.createdAtMs),
      deleted_at: secondsOrNull(account.deletedAtMs),
    })),
    keys: state.keys.map((key) => ({
      id: key.id,
      project_id: key.projectId,
      service_account_id: key.serviceAccountId,
      name: key.name,
      live: isLive(key, nowMs, settings),
      secret_sha256: sha256(key.secret),
      redacted_value: redacted(key.secret),
      scopes: key.scopes,
      created_at: seconds(key.createdAtMs),
      expires_at: key.expiresAt,
      last_used_at: secondsOrNull(key.lastUsedAtMs),
      deleted_at: secondsOrNull(key.deletedAtMs),
      ...(withSecrets && { secret: key.secret }),
    })),
    events: state.events,
  });
}

const SpendBody = z.strictObject({
  project_id: z.string(),
  cents: z.number().positive(),
  api_key_id: z.string().optional(),
  line_item: z.string().optional(),
});
const UserKeyBody = z.strictObject({ project_id: z.string(), name: z.string().min(1).default("My key") });

/**
 * `spend` records money spent by a project; `create_user_key` makes a key as a person does in the dashboard.
 * Throws a ZodError or an Error for bad input.
 */
export function openAiControl(
  state: OpenAiState,
  action: string,
  body: unknown,
  sim: SimContext,
): SimResponse | undefined {
  const projectId = (id: string) => {
    if (!state.projects.some((project) => project.id === id)) throw new Error(`there is no project ${id}`);
    return id;
  };
  if (action === "spend") {
    const { project_id, cents, api_key_id = null, line_item = null } = SpendBody.parse(body);
    const spend = { projectId: projectId(project_id), apiKeyId: api_key_id, lineItem: line_item, cents };
    state.spends.push({ atMs: sim.now(), ...spend });
    return { status: 200, body: { spent_cents_this_month: spentThisMonthCents(state, sim.now(), project_id) } };
  }
  if (action === "create_user_key") {
    const { project_id, name } = UserKeyBody.parse(body);
    const key = {
      ...listed(state, `key_${opaque(16)}`, sim.now()),
      projectId: projectId(project_id),
      serviceAccountId: null,
      name,
      secret: `sk-proj-SIMULATED-${opaque(48)}`,
      scopes: [],
      expiresAt: null,
      lastUsedAtMs: null,
      deletedAtMs: null,
    };
    state.keys.push(key);
    note(state, sim.now(), "api_key.created", { project_id, api_key_id: key.id });
    return { status: 200, body: { id: key.id } };
  }
  return undefined;
}
