/** What a project may use, and how fast: rate limits, models, hosted tools, service tiers. */
import { z } from "zod";
import {
  activeProjectOf,
  CursorsQuery,
  intParam,
  type OpenAiCall,
  ok,
  page,
  projectOf,
  type Route,
  readBody,
  readQuery,
  refusal,
  wrong,
} from "./openai-call.ts";
import { isRelevant, organizationLimits, rateLimitsOf } from "./openai-models.ts";
import { HOSTED_TOOLS, LIMIT_FIELDS, note, type Project, type RateLimit } from "./openai-state.ts";

const PROJECT = "/organization/projects/{project_id}";

const LimitsQuery = CursorsQuery.extend({ limit: intParam(1, 100).default(100) });
const limitField = z.int().min(0).optional();
const RateLimitBody = z.strictObject({
  max_requests_per_1_minute: limitField,
  max_tokens_per_1_minute: limitField,
  max_images_per_1_minute: limitField,
  max_audio_megabytes_per_1_minute: limitField,
  max_requests_per_1_day: limitField,
  batch_1_day_max_input_tokens: limitField,
});
const PermissionsBody = z.strictObject({
  mode: z.enum(["allow_list", "deny_list"]),
  model_ids: z.array(z.string().min(1)),
});
const tool = z.strictObject({ enabled: z.boolean() }).nullish();
const ToolsBody = z.strictObject({
  file_search: tool,
  web_search: tool,
  image_generation: tool,
  mcp: tool,
  code_interpreter: tool,
});
const TiersBody = z
  .strictObject({
    default: z.enum(["standard", "fast", "scale"]).optional(),
    enabled_tiers: z.union([z.literal("all"), z.array(z.enum(["flex", "fast", "ultrafast"]))]).optional(),
  })
  .refine((body) => Object.keys(body).length > 0, { error: "at least one field is required" });

function noteFor(call: OpenAiCall, type: string, project: Project, ids: Record<string, string> = {}): void {
  note(call.state, call.nowMs, type, { project_id: project.id, ...ids });
}

const viewRateLimit = (row: RateLimit) => ({
  object: "project.rate_limit",
  id: row.id,
  model: row.model,
  ...row.limits,
});
const viewTools = (project: Project) =>
  Object.fromEntries(HOSTED_TOOLS.map((name) => [name, { enabled: project.hostedTools[name] }]));
const viewTiers = (project: Project) => ({ object: "project.service_tier_settings", ...project.serviceTier });

const rateLimitRoutes: Route[] = [
  [
    "GET",
    `${PROJECT}/rate_limits`,
    (call) => {
      const query = readQuery(call, LimitsQuery);
      const rows = rateLimitsOf(call.state, projectOf(call), call.settings.models);
      return page(call, rows, query, () => true, viewRateLimit);
    },
    "query",
  ],
  [
    "POST",
    `${PROJECT}/rate_limits/{rate_limit_id}`,
    (call) => {
      const body = readBody(call, RateLimitBody);
      const project = activeProjectOf(call);
      const id = call.params.rate_limit_id;
      const row = rateLimitsOf(call.state, project, call.settings.models).find((one) => one.id === id);
      if (row === undefined) throw refusal(404, `No rate limit '${id}' found in this project.`);
      for (const field of LIMIT_FIELDS) checkLimit(call, row.model, field, body[field]);
      for (const field of LIMIT_FIELDS) {
        const value = body[field];
        if (value !== undefined) row.limits[field] = value;
      }
      noteFor(call, "rate_limit.updated", project, { rate_limit_id: row.id, model: row.model });
      return ok(viewRateLimit(row));
    },
  ],
];

function checkLimit(
  call: OpenAiCall,
  model: string,
  field: (typeof LIMIT_FIELDS)[number],
  value: number | undefined,
): void {
  if (value === undefined) return;
  if (!isRelevant(model, field)) throw wrong(call, `${field} is not relevant for ${model}.`, { param: field });
  const max = organizationLimits(model)[field];
  if (max === undefined || value <= max || !call.settings.refuse_rate_limits_above_organization) return;
  // No violation: the organization's own limits are not readable, so a caller cannot know better.
  throw refusal(400, `${field} cannot exceed the organization's limit of ${max} for ${model}.`, { param: field });
}

export const permissionRoutes: Route[] = [
  ...rateLimitRoutes,
  [
    "GET",
    `${PROJECT}/model_permissions`,
    (call) => {
      const { modelPermissions } = projectOf(call);
      if (modelPermissions === null) throw refusal(404, "No model permissions are configured for this project.");
      return ok({ object: "project.model_permissions", ...modelPermissions });
    },
  ],
  [
    "POST",
    `${PROJECT}/model_permissions`,
    (call) => {
      const body = readBody(call, PermissionsBody);
      const project = activeProjectOf(call);
      project.modelPermissions = body;
      noteFor(call, "model_permissions.set", project);
      return ok({ object: "project.model_permissions", ...body });
    },
  ],
  [
    "DELETE",
    `${PROJECT}/model_permissions`,
    (call) => {
      const project = activeProjectOf(call);
      if (project.modelPermissions === null)
        throw refusal(404, "No model permissions are configured for this project.");
      project.modelPermissions = null;
      noteFor(call, "model_permissions.deleted", project);
      return ok({ object: "project.model_permissions.deleted", deleted: true });
    },
  ],
  ["GET", `${PROJECT}/hosted_tool_permissions`, (call) => ok(viewTools(projectOf(call)))],
  [
    "POST",
    `${PROJECT}/hosted_tool_permissions`,
    (call) => {
      const body = readBody(call, ToolsBody);
      const project = activeProjectOf(call);
      for (const name of HOSTED_TOOLS) project.hostedTools[name] = body[name]?.enabled ?? project.hostedTools[name];
      noteFor(call, "hosted_tool_permissions.set", project);
      return ok(viewTools(project));
    },
  ],
  ["GET", `${PROJECT}/service_tier_settings`, (call) => ok(viewTiers(projectOf(call)))],
  [
    "POST",
    `${PROJECT}/service_tier_settings`,
    (call) => {
      const body = readBody(call, TiersBody);
      const project = activeProjectOf(call);
      project.serviceTier = {
        default: body.default ?? project.serviceTier.default,
        enabled_tiers: body.enabled_tiers ?? project.serviceTier.enabled_tiers,
      };
      noteFor(call, "service_tier_settings.set", project);
      return ok(viewTiers(project));
    },
  ],
];
