/** What concerns the organization as a whole: costs and admin keys. */
import { z } from "zod";
import {
  intParam,
  ListQuery,
  type OpenAiCall,
  ok,
  order,
  page,
  type Route,
  readQuery,
  refusal,
} from "./openai-call.ts";
import { type OpenAiState, redacted, type Spend, seconds } from "./openai-state.ts";

const DAY = 86_400;
const unixTime = intParam(0, 9_999_999_999);
const Group = z.enum(["project_id", "user_id", "line_item", "api_key_id", "api_source"]);

const OrderedQuery = ListQuery.extend({ order: order.default("asc") });
const CostsQuery = z.strictObject({
  start_time: unixTime,
  end_time: unixTime.optional(),
  bucket_width: z.literal("1d").optional(),
  limit: intParam(1, 180).default(7),
  page: z
    .string()
    .regex(/^page_\d+$/)
    .optional(),
  project_ids: z.array(z.string()).optional(),
  api_key_ids: z.array(z.string()).optional(),
  line_items: z.array(z.string()).optional(),
  group_by: z.array(Group).default([]),
});
const ARRAYS = ["project_ids", "api_key_ids", "line_items", "group_by"];

type Grouping = z.output<typeof Group>[];

/** One result per group; only the fields that are grouped by are filled. The amount is in dollars, unlike every limit. */
function results(spends: Spend[], groupBy: Grouping) {
  const shown = (spend: Spend) => ({
    project_id: groupBy.includes("project_id") ? spend.projectId : null,
    api_key_id: groupBy.includes("api_key_id") ? spend.apiKeyId : null,
    line_item: groupBy.includes("line_item") ? spend.lineItem : null,
  });
  const groups = Map.groupBy(spends, (spend) => JSON.stringify(shown(spend)));
  return [...groups.values()].map((group) => ({
    object: "organization.costs.result",
    amount: { value: group.reduce((sum, spend) => sum + spend.cents, 0) / 100, currency: "usd" },
    ...shown(group[0] as Spend),
    user_id: null,
    quantity: null,
    quantity_unit: null,
    api_source: null,
  }));
}

function costs(call: OpenAiCall) {
  const query = readQuery(call, CostsQuery, ARRAYS);
  const { state, nowMs, settings } = call;
  const end = query.end_time ?? seconds(nowMs);
  if (end <= query.start_time) throw refusal(400, "end_time must be after start_time.", { param: "end_time" });
  const matches = (spend: Spend) =>
    nowMs - spend.atMs >= settings.costs_lag_ms &&
    (query.project_ids?.includes(spend.projectId) ?? true) &&
    (query.api_key_ids?.includes(spend.apiKeyId ?? "") ?? true) &&
    (query.line_items?.includes(spend.lineItem ?? "") ?? true);
  const spends = state.spends.filter(matches);

  const first = query.page === undefined ? query.start_time - (query.start_time % DAY) : Number(query.page.slice(5));
  const data = [];
  let start = first;
  for (; start < end && data.length < query.limit; start += DAY) {
    const inBucket = spends.filter(({ atMs }) => seconds(atMs) >= start && seconds(atMs) < start + DAY);
    data.push({
      object: "bucket",
      start_time: start,
      end_time: start + DAY,
      results: results(inBucket, query.group_by),
    });
  }
  const hasMore = start < end;
  return ok({ object: "page", data, has_more: hasMore, next_page: hasMore ? `page_${start}` : null });
}

function viewAdminKey(state: OpenAiState, expiresAt: number | null) {
  const { adminKey } = state;
  return {
    object: "organization.admin_api_key",
    id: adminKey.id,
    name: "Simulated admin key",
    redacted_value: redacted(adminKey.secret),
    created_at: seconds(adminKey.createdAtMs),
    expires_at: expiresAt,
    last_used_at: adminKey.lastUsedAtMs === null ? null : seconds(adminKey.lastUsedAtMs),
    owner: {
      type: "user",
      object: "organization.user",
      id: "user-simulated-owner",
      name: "An owner",
      created_at: 1_700_000_000,
      role: "owner",
    },
  };
}

export const organizationRoutes: Route[] = [
  ["GET", "/organization/costs", costs, "query"],
  [
    "GET",
    "/organization/admin_api_keys",
    (call) => {
      const query = readQuery(call, OrderedQuery);
      const expiresAt = call.settings.admin_key_expires_at;
      // The admin key is as old as the organization, so no list lag can hide it.
      const key = { ...call.state.adminKey, createdAtMs: 0 };
      return page(
        call,
        [key],
        query,
        () => true,
        () => viewAdminKey(call.state, expiresAt),
      );
    },
    "query",
  ],
];
