/** Anthropic's Admin API for limits: rate limits of organization and workspaces, and spend limits. */
import { z } from "zod";
import {
  type AnthropicCall,
  bodyOf,
  CURSOR_PAGE_QUERY,
  choiceOf,
  flagOf,
  knownQuery,
  makeId,
  mistake,
  noBody,
  notFound,
  pageByCursor,
  Refusal,
  timeOf,
} from "./anthropic-http.ts";
import { findChangeable, findWorkspace } from "./anthropic-workspaces.ts";
import {
  type AnthropicWorld,
  note,
  type RateLimitEntry,
  type SpendLimit,
  settingsOf,
  type Workspace,
} from "./anthropic-world.ts";

type Call = AnthropicCall<AnthropicWorld>;

const GROUP_TYPES = ["model_group", "batch", "token_count", "files", "skills", "web_search"] as const;

export function listOrganizationRateLimits({ world, req }: Call): unknown {
  knownQuery(req, [...CURSOR_PAGE_QUERY, "group_type", "model"]);
  const groupType = choiceOf(req, "group_type", GROUP_TYPES);
  const model = req.query.get("model");
  const entries = world.rateLimits
    .filter(({ group }) => groupType === null || group.type === groupType)
    .filter(({ models }) => model === null || models?.includes(model));
  return pageByCursor(
    req,
    entries.map((entry) => ({ type: "rate_limit", ...entry })),
  );
}

function entryView(workspace: Workspace, entry: RateLimitEntry, withInherited: boolean): { limits: unknown[] } {
  const overrides = workspace.rateLimits.get(entry.id) ?? new Map<string, { value: number }>();
  const orgLimit = (type: string) => entry.limits.find((limit) => limit.type === type)?.value ?? null;
  const own = [...overrides].map(([type, { value }]) => ({
    type,
    value,
    org_limit: orgLimit(type),
    source: { type: "workspace" },
  }));
  const inherited = entry.limits
    .filter(({ type }) => !overrides.has(type))
    .map(({ type, value }) => ({ type, value, org_limit: value, source: { type: "organization" } }));
  return {
    ...{ type: "workspace_rate_limit", rate_limit_id: entry.id, workspace_id: workspace.id },
    ...{ group: entry.group, models: entry.models },
    limits: withInherited ? [...own, ...inherited] : own,
  };
}

export function listWorkspaceRateLimits({ world, req, params }: Call): unknown {
  knownQuery(req, [...CURSOR_PAGE_QUERY, "group_type", "include_inherited"]);
  const groupType = choiceOf(req, "group_type", GROUP_TYPES);
  const withInherited = flagOf(req, "include_inherited");
  const workspace = findWorkspace(world, params[0]);
  const entries = world.rateLimits
    .filter(({ group }) => groupType === null || group.type === groupType)
    .map((entry) => entryView(workspace, entry, withInherited))
    .filter(({ limits }) => limits.length > 0);
  return pageByCursor(req, entries);
}

const RateLimitChanges = z.strictObject({
  limits: z
    .array(
      z.strictObject({
        type: z.enum([
          "fast_itpmca",
          "fast_otpm",
          "input_tokens_per_minute",
          "input_tokens_per_minute_cache_aware",
          "output_tokens_per_minute",
          "requests_per_minute",
          "tokens_per_day",
          "tokens_per_minute",
          "tool_uses_per_second",
        ]),
        value: z.int().min(0).nullable(),
      }),
    )
    .min(1),
});

/** Merges by type: what is not named stays, `null` clears. A value above the organization's is stored all the same. */
export function setWorkspaceRateLimits({ world, req, sim, params }: Call): unknown {
  knownQuery(req, []);
  const { limits } = bodyOf(req, RateLimitChanges);
  const workspace = findChangeable(world, params[0]);
  const entry = world.rateLimits.find(({ id }) => id === params[1]);
  if (entry === undefined) {
    const isGroup = world.rateLimits.some(({ group }) => group.id === params[1]);
    throw isGroup ? mistake("rate_limit_id: this is a group's id, not an entry's", 404) : notFound("Rate limit");
  }
  const overrides = workspace.rateLimits.get(entry.id) ?? new Map<string, { value: number; setAt: number }>();
  for (const { type, value } of limits) {
    if (value === null) overrides.delete(type);
    else overrides.set(type, { value, setAt: sim.now() });
  }
  workspace.rateLimits.set(entry.id, overrides);
  note(world, sim, "rate_limits.set", { workspace_id: workspace.id, rate_limit_id: entry.id, limits });
  return entryView(workspace, entry, false);
}

const READS_BETA = "spend-limit-reads-2026-09-26";

/** The endpoints share 60 requests a minute, and only exist for organizations in the preview. */
function enterSpendLimits({ world, sim }: Call): void {
  const now = sim.now();
  world.spendLimitCalls = world.spendLimitCalls.filter((at) => at > now - 60_000);
  if (world.spendLimitCalls.length >= 60) {
    throw new Refusal(429, "Too many spend limit requests.", { headers: { "retry-after": "60" } });
  }
  world.spendLimitCalls.push(now);
  if (settingsOf(sim).spend_limits === "disabled") {
    const details = { error_code: "spend_limits_admin_api_writes_not_enabled" };
    throw new Refusal(403, "Spend limits through the Admin API are not enabled for this organization.", { details });
  }
}

const spendLimitView = ({ id, amount, scope, createdAt, updatedAt }: SpendLimit) => ({
  ...{ id, type: "spend_limit", amount, currency: "USD", is_enabled: true, period: "monthly", scope },
  ...{ created_at: timeOf(createdAt), updated_at: timeOf(updatedAt) },
});

/** Newest first. */
export function listSpendLimits(call: Call): unknown {
  const { world, req } = call;
  // Before the preview's own check: without the header the endpoint is not there for anybody.
  const betas = (req.headers["anthropic-beta"] ?? "").split(",").map((beta) => beta.trim());
  if (!betas.includes(READS_BETA)) throw mistake(`anthropic-beta: ${READS_BETA} is required`);
  knownQuery(req, [...CURSOR_PAGE_QUERY, "scope_type[]", "workspace_id"]);
  enterSpendLimits(call);
  const types = req.query.getAll("scope_type[]");
  const workspaceId = req.query.get("workspace_id");
  const limits = world.spendLimits
    .toReversed()
    .filter(({ scope }) => types.length === 0 || types.includes(scope.type))
    .filter(({ scope }) => workspaceId === null || (scope.type === "workspace" && scope.workspace_id === workspaceId));
  return pageByCursor(req, limits.map(spendLimitView));
}

const NewSpendLimit = z.strictObject({
  amount: z.string().regex(/^\d+$/, "a string of whole cents"),
  scope: z.discriminatedUnion("type", [
    z.strictObject({ type: z.literal("organization") }),
    z.strictObject({ type: z.literal("workspace"), workspace_id: z.string() }),
  ]),
  period: z.literal("monthly").default("monthly"),
});

const scopeKey = (scope: SpendLimit["scope"]) => (scope.type === "workspace" ? scope.workspace_id : scope.type);

/** One limit per scope: setting it again overwrites it in place. */
export function setSpendLimit(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req, []);
  const { amount, scope } = bodyOf(req, NewSpendLimit);
  enterSpendLimits(call);
  if (scope.type === "workspace") findChangeable(world, scope.workspace_id);
  const now = sim.now();
  const known = world.spendLimits.find((limit) => scopeKey(limit.scope) === scopeKey(scope));
  const limit = known ?? { id: makeId("spl"), amount, scope, createdAt: now, updatedAt: now };
  limit.amount = amount;
  limit.updatedAt = now;
  if (known === undefined) world.spendLimits.push(limit);
  note(world, sim, "spend_limit.set", { id: limit.id, scope, amount });
  return spendLimitView(limit);
}

export function deleteSpendLimit(call: Call): unknown {
  const { world, req, sim, params } = call;
  knownQuery(req, []);
  noBody(req);
  enterSpendLimits(call);
  const limit = world.spendLimits.find(({ id }) => id === params[0]);
  if (limit === undefined) throw notFound("Spend limit");
  world.spendLimits = world.spendLimits.filter(({ id }) => id !== limit.id);
  note(world, sim, "spend_limit.deleted", { id: limit.id });
  return { id: limit.id, type: "spend_limit_deleted" };
}
