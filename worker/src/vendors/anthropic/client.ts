import { KeyGateError } from "@keygate/shared/errors";
import { oneFor } from "@keygate/shared/one-for";
import type { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { VendorHttp, VendorReply } from "../http.ts";
import { classifyAnthropic, classifyGivenKey, isGone } from "./errors.ts";

/**
 * Pinned: with older versions an API key names its workspace in a field that is null for two different things, and a
 * newer one may mean something else again.
 */
export const anthropicVersion = "2026-10-21";
const spendLimitReadsBeta = "spend-limit-reads-2026-09-26";

// Shapes as far as KeyGate reads them; unknown members and unknown tags of unions are left alone.
const Time = z.iso.datetime({ offset: true });
const Organization = z.object({ id: z.string().min(1), name: z.string().nullish() });
const Workspace = z.object({
  id: z.string(),
  name: z.string().nullish(),
  created_at: Time,
  archived_at: Time.nullish(),
  tags: z.record(z.string(), z.string()).nullish(),
});
const Principal = z.object({
  type: z.string(),
  user_id: z.string().nullish(),
  service_account_id: z.string().nullish(),
});
const ApiKey = z.object({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string(),
  partial_key_hint: z.string().nullish(),
  created_at: Time,
  expires_at: Time.nullish(),
  principal: Principal.nullish(),
  scope: z.object({ type: z.string(), workspace_id: z.string().nullish() }),
});
const RateLimit = z.object({
  id: z.string(),
  group: z.object({ type: z.string(), display_name: z.string().nullish() }),
  models: z.array(z.string()).nullish(),
  limits: z.array(z.object({ type: z.string(), value: z.number().nullish() })),
});
const WorkspaceRateLimit = RateLimit.omit({ id: true }).extend({
  // The organization's entry, which stays the same when Anthropic renames the group.
  rate_limit_id: z.string().nullish(),
  limits: z.array(z.object({ type: z.string(), value: z.number().nullish(), org_limit: z.number().nullish() })),
});
// Amounts are strings of cents, some with decimals; null where a scope is listed that has no cap of its own.
const SpendLimit = z.object({
  id: z.string(),
  amount: z
    .string()
    .regex(/^\d+(\.\d+)?$/)
    .nullish(),
  currency: z.string().nullish(),
  period: z.string().nullish(),
  scope: z.object({ type: z.string(), workspace_id: z.string().nullish() }),
});
// A limit that was set is answered with an object; a page with status 200 sets none.
const Done = z.looseObject({});
const User = z.object({ id: z.string(), email: z.string(), role: z.string().nullish() });
// A gateway's page with status 200 is no answer; a list of models is one.
const Models = z.object({ data: z.array(z.unknown()) });
// A schema is compiled when it is first used: each is made once.
const pageById = oneFor(<T>(item: z.ZodType<T>) =>
  z.object({ data: z.array(item), has_more: z.boolean(), last_id: z.string().nullish() }),
);
const pageByCursor = oneFor(<T>(item: z.ZodType<T>) =>
  z.object({ data: z.array(item), next_page: z.string().nullish() }),
);

export type AnthropicWorkspace = z.infer<typeof Workspace>;
export type AnthropicApiKey = z.infer<typeof ApiKey>;
export type AnthropicRateLimit = z.infer<typeof RateLimit>;
export type AnthropicSpendLimit = z.infer<typeof SpendLimit>;

export interface AnthropicConnection {
  http: VendorHttp;
  baseUrl: string;
  adminKey: Secret;
  /** The organization that the operator expects the Admin key to belong to. */
  orgId: string | null;
  adminKeyExpiresOn: string | null;
  /** How long the lists may lag behind their writes. */
  settleMs: number;
  simulated: boolean;
}

export type AnthropicClient = ReturnType<typeof createAnthropicClient>;
type Method = "GET" | "POST" | "DELETE";

const pageSize = "1000";
// 100 active workspaces is the usual cap; keys and archived workspaces pile up over the years.
const pagesMax = 200;

/** Speaks HTTP with Anthropic's Admin API. Every call is made once; lists are read to their end. */
export function createAnthropicClient(connection: AnthropicConnection) {
  const { http, baseUrl, adminKey } = connection;
  const seg = encodeURIComponent;
  const anything = z.unknown();

  async function call<T>(
    method: Method,
    path: string,
    endpoint: string,
    expect: z.ZodType<T>,
    more: { body?: unknown; beta?: string } = {},
  ): Promise<T> {
    const headers = {
      "x-api-key": adminKey.reveal(),
      "anthropic-version": anthropicVersion,
      ...(more.beta ? { "anthropic-beta": more.beta } : {}),
    };
    const url = `${baseUrl}/organizations${path}`;
    const body = more.body === undefined ? {} : { body: more.body };
    return (
      await http.call({ method, url, headers, endpoint: `${method} ${endpoint}`, expect, ...body }, classifyAnthropic)
    ).body;
  }

  /** Lists that page by the last id. */
  async function listById<T extends { id: string }>(
    path: string,
    item: z.ZodType<T>,
    query: Record<string, string> = {},
  ): Promise<T[]> {
    const Page = pageById(item);
    const items: T[] = [];
    let after: string | null = null;
    for (let page = 0; page < pagesMax; page++) {
      const search = new URLSearchParams({ ...query, limit: pageSize, ...(after ? { after_id: after } : {}) });
      const answer: z.infer<typeof Page> = await call("GET", `${path}?${search}`, path.slice(1), Page);
      items.push(...answer.data);
      if (!answer.has_more) return items;
      const next: string | null = answer.last_id ?? answer.data.at(-1)?.id ?? null;
      // Half a list must not pass for the whole: what is not on it would count as not there.
      if (next === null || next === after) throw endless(path.slice(1));
      after = next;
    }
    throw endless(path.slice(1));
  }

  /** Lists that page by a cursor. It is bound to the filters, and a page with a cursor may be empty. */
  async function listByCursor<T>(
    path: string,
    endpoint: string,
    item: z.ZodType<T>,
    more: { query?: Record<string, string>; beta?: string } = {},
  ): Promise<T[]> {
    const Page = pageByCursor(item);
    const items: T[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < pagesMax; page++) {
      const search = new URLSearchParams({ ...more.query, ...(cursor ? { page: cursor } : {}) }).toString();
      const answer: z.infer<typeof Page> = await call("GET", search ? `${path}?${search}` : path, endpoint, Page, {
        ...(more.beta ? { beta: more.beta } : {}),
      });
      items.push(...answer.data);
      const next: string | null = answer.next_page ?? null;
      if (next === null) return items;
      if (next === cursor) throw endless(endpoint);
      cursor = next;
    }
    throw endless(endpoint);
  }

  /** The value, or null when the vendor says that it does not exist. */
  async function orGone<T>(promise: Promise<T>): Promise<T | null> {
    try {
      return await promise;
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  return {
    connection,
    /** The organization that the Admin key belongs to. */
    me: () => call("GET", "/me", "me", Organization),
    createWorkspace: (name: string, tags: Record<string, string>) =>
      call("POST", "/workspaces", "workspaces", Workspace, { body: { name, tags } }),
    /** Neither the default workspace nor archived ones. */
    listWorkspaces: () => listById("/workspaces", Workspace),
    listWorkspacesWithDefault: () => listById("/workspaces", Workspace, { include_default: "true" }),
    getWorkspace: (id: string) => orGone(call("GET", `/workspaces/${seg(id)}`, "workspaces/id", Workspace)),
    archiveWorkspace: (id: string) =>
      orGone(call("POST", `/workspaces/${seg(id)}/archive`, "workspaces/id/archive", Workspace)),
    listRateLimits: () => listByCursor("/rate_limits", "rate_limits", RateLimit),
    /** What was set for the workspace itself, with the organization's number beside it. */
    listWorkspaceRateLimits: (workspace: string) =>
      listByCursor(`/workspaces/${seg(workspace)}/rate_limits`, "workspaces/id/rate_limits", WorkspaceRateLimit),
    /** Other limits of the entry stay as they are. It takes the entry's own id, not its group's. */
    setRequestsPerMinute: (workspace: string, entryId: string, value: number) =>
      call("POST", `/workspaces/${seg(workspace)}/rate_limits/${seg(entryId)}`, "workspaces/id/rate_limits/id", Done, {
        body: { limits: [{ type: "requests_per_minute", value }] },
      }),
    /** @param cents a string of whole cents: "5000" is 50 dollars. */
    setSpendLimit: (workspace: string, cents: string) =>
      call("POST", "/spend_limits", "spend_limits", SpendLimit, {
        body: { amount: cents, scope: { type: "workspace", workspace_id: workspace }, period: "monthly" },
      }),
    /** Of one workspace, or of all scopes. */
    listSpendLimits: (workspace?: string) =>
      listByCursor("/spend_limits", "spend_limits", SpendLimit, {
        beta: spendLimitReadsBeta,
        ...(workspace ? { query: { "scope_type[]": "workspace", workspace_id: workspace } } : {}),
      }),
    deleteSpendLimit: (id: string) => orGone(call("DELETE", `/spend_limits/${seg(id)}`, "spend_limits/id", anything)),
    /** Keys of the whole organization are never among them, whatever the workspace. */
    listKeys: (workspace: string, status?: "active") =>
      orGone(listById("/api_keys", ApiKey, { workspace_id: workspace, ...(status ? { status } : {}) })),
    /** Every key of the organization, those that belong to no workspace included. */
    listAllKeys: () => listById("/api_keys", ApiKey),
    getKey: (id: string) => orGone(call("GET", `/api_keys/${seg(id)}`, "api_keys/id", ApiKey)),
    renameKey: (id: string, name: string) =>
      call("POST", `/api_keys/${seg(id)}`, "api_keys/id", ApiKey, { body: { name } }),
    setKeyStatus: (id: string, status: "inactive" | "archived") =>
      call("POST", `/api_keys/${seg(id)}`, "api_keys/id", ApiKey, { body: { status } }),
    findUsers: (email: string) => listById("/users", User, { email }),
    /**
     * One free call with a key that a person gave.
     *
     * @returns what Anthropic says about whose key it is. @throws `job.input_refused` when it does not accept the key.
     */
    async identify(secret: Secret): Promise<{ workspaceId: string | null; organizationId: string | null }> {
      const reply: VendorReply<unknown> = await http.call(
        {
          method: "GET",
          url: `${baseUrl}/models?limit=1`,
          headers: { "x-api-key": secret.reveal(), "anthropic-version": anthropicVersion },
          endpoint: "GET models",
          expect: Models,
        },
        classifyGivenKey,
      );
      return {
        workspaceId: reply.headers["anthropic-workspace-id"] ?? null,
        organizationId: reply.headers["anthropic-organization-id"] ?? null,
      };
    },
  };
}

const endless = (endpoint: string) =>
  new KeyGateError("vendor.unexpected", {
    detail: `Anthropic's list did not end within ${pagesMax} pages, or did not say how it goes on.`,
    facts: { endpoint },
  });
