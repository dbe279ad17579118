import { KeyGateError } from "@keygate/shared/errors";
import { oneFor } from "@keygate/shared/one-for";
import type { Secret } from "@keygate/shared/secret";
import { Secret as SecretValue } from "@keygate/shared/secret";
import { z } from "zod";
import type { VendorHttp } from "../http.ts";
import { classifyOpenAi, isGone } from "./errors.ts";

// Shapes as far as KeyGate reads them; unknown members are left alone. Only id and created_at are promised for projects.
const Project = z.object({
  id: z.string(),
  name: z.string().nullish(),
  status: z.string().nullish(),
  created_at: z.number(),
  archived_at: z.number().nullish(),
});
const ServiceAccount = z.object({ id: z.string(), name: z.string(), created_at: z.number().nullish() });
const CreatedKey = z.object({ id: z.string(), value: z.string().min(8), expires_at: z.number().nullish() });
const ApiKey = z.object({
  id: z.string(),
  name: z.string().nullish(),
  redacted_value: z.string().nullish(),
  expires_at: z.number().nullish(),
  owner: z.object({ service_account: z.object({ id: z.string() }).nullish() }).nullish(),
});
const RateLimit = z.object({ id: z.string(), model: z.string(), max_requests_per_1_minute: z.number().nullish() });
const SpendLimit = z.object({ threshold_amount: z.number() });
const ModelPermissions = z.object({ mode: z.string(), model_ids: z.array(z.string()) });
const AdminKey = z.object({ redacted_value: z.string().nullish(), expires_at: z.number().nullish() });
const CreatedAccount = z.object({ id: z.string(), name: z.string(), api_key: CreatedKey });
const Costs = z.object({ data: z.array(z.unknown()) });
const AdminKeys = z.object({ data: z.array(AdminKey) });
// A schema is compiled when it is first used: each is made once.
const pageOf = oneFor(<T extends z.ZodType>(item: T) =>
  z.object({ data: z.array(item), has_more: z.boolean(), last_id: z.string().nullish() }),
);

export type OpenAiProject = z.infer<typeof Project>;
/** The status may be left out; so may the time, while a project is active. Either tells. */
export const isArchived = ({ status, archived_at }: OpenAiProject): boolean =>
  status === "archived" || typeof archived_at === "number";
export type OpenAiApiKey = z.infer<typeof ApiKey>;
export type OpenAiRateLimit = z.infer<typeof RateLimit>;

export interface OpenAiConnection {
  http: VendorHttp;
  baseUrl: string;
  adminKey: Secret;
  orgId: string | null;
}

export type OpenAiClient = ReturnType<typeof createOpenAiClient>;

// 2,000 projects are the published cap of an organization; archived ones come on top.
const pagesMax = 100;

/** Speaks HTTP with OpenAI's organization API. Every call is made once; lists are read to their end. */
export function createOpenAiClient({ http, baseUrl, adminKey, orgId }: OpenAiConnection) {
  const headers = {
    authorization: `Bearer ${adminKey.reveal()}`,
    ...(orgId ? { "openai-organization": orgId } : {}),
  };
  const seg = encodeURIComponent;

  async function call<T>(
    method: "GET" | "POST" | "DELETE",
    path: string,
    endpoint: string,
    expect: z.ZodType<T>,
    body?: unknown,
  ): Promise<T> {
    const url = `${baseUrl}/organization${path}`;
    const reply = await http.call(
      { method, url, headers, endpoint: `${method} ${endpoint}`, expect, ...(body === undefined ? {} : { body }) },
      classifyOpenAi,
    );
    return reply.body;
  }

  async function list<T extends { id?: string }>(
    path: string,
    endpoint: string,
    item: z.ZodType<T>,
    query: Record<string, string> = {},
  ): Promise<T[]> {
    const items: T[] = [];
    let after: string | null = null;
    for (let page = 0; page < pagesMax; page++) {
      const search = new URLSearchParams({ limit: "100", ...query, ...(after ? { after } : {}) });
      const answer: { data: T[]; has_more: boolean; last_id?: string | null | undefined } = await call(
        "GET",
        `${path}?${search}`,
        endpoint,
        pageOf(item),
      );
      items.push(...answer.data);
      // last_id may be null or absent; the last item's id is the same cursor.
      const next: string | null = answer.last_id ?? answer.data.at(-1)?.id ?? null;
      if (!answer.has_more || next === null || next === after) return items;
      after = next;
    }
    throw new KeyGateError("vendor.unexpected", {
      detail: "OpenAI's list did not end within 10,000 entries.",
      facts: { endpoint },
    });
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

  const anything = z.unknown();

  return {
    baseUrl,
    createProject: (name: string) => call("POST", "/projects", "projects", Project, { name }),
    listProjects: (includeArchived: boolean) =>
      list("/projects", "projects", Project, { include_archived: String(includeArchived) }),
    /** One page of 100, without archived ones. */
    async projectsPage(after: string | null) {
      const search = new URLSearchParams({ limit: "100", ...(after ? { after } : {}) });
      const page = await call("GET", `/projects?${search}`, "projects", pageOf(Project));
      const next = page.has_more ? (page.last_id ?? page.data.at(-1)?.id ?? null) : null;
      return { projects: page.data, next: next === after ? null : next };
    },
    getProject: (id: string) => orGone(call("GET", `/projects/${seg(id)}`, "projects/id", Project)),
    archiveProject: (id: string) =>
      orGone(call("POST", `/projects/${seg(id)}/archive`, "projects/id/archive", anything)),
    setSpendLimit: (project: string, cents: number) =>
      call("POST", `/projects/${seg(project)}/spend_limit`, "spend_limit", SpendLimit, {
        threshold_amount: cents,
        currency: "USD",
        interval: "month",
      }),
    /** In cents; null when there is none. */
    async getSpendLimit(project: string): Promise<number | null> {
      const found = await orGone(call("GET", `/projects/${seg(project)}/spend_limit`, "spend_limit", SpendLimit));
      // A limit of nothing is how some organizations say that there is none.
      return found && found.threshold_amount > 0 ? found.threshold_amount : null;
    },
    getModelPermissions: (project: string) =>
      orGone(call("GET", `/projects/${seg(project)}/model_permissions`, "model_permissions", ModelPermissions)),
    allowModels: (project: string, models: readonly string[]) =>
      call("POST", `/projects/${seg(project)}/model_permissions`, "model_permissions", ModelPermissions, {
        mode: "allow_list",
        model_ids: models,
      }),
    listRateLimits: (project: string) => list(`/projects/${seg(project)}/rate_limits`, "rate_limits", RateLimit),
    setRateLimit: (project: string, id: string, requestsPerMinute: number) =>
      call("POST", `/projects/${seg(project)}/rate_limits/${seg(id)}`, "rate_limits/id", RateLimit, {
        max_requests_per_1_minute: requestsPerMinute,
      }),
    async createServiceAccount(project: string, name: string, expiresInSeconds: number | null) {
      const path = `/projects/${seg(project)}/service_accounts`;
      const body = { name, ...(expiresInSeconds === null ? {} : { expires_in_seconds: expiresInSeconds }) };
      const made = await call("POST", path, "service_accounts", CreatedAccount, body);
      return { id: made.id, keyId: made.api_key.id, secret: new SecretValue(made.api_key.value) };
    },
    listServiceAccounts: (project: string) =>
      orGone(list(`/projects/${seg(project)}/service_accounts`, "service_accounts", ServiceAccount)),
    getServiceAccount: (project: string, id: string) =>
      orGone(
        call("GET", `/projects/${seg(project)}/service_accounts/${seg(id)}`, "service_accounts/id", ServiceAccount),
      ),
    deleteServiceAccount: (project: string, id: string) =>
      orGone(call("DELETE", `/projects/${seg(project)}/service_accounts/${seg(id)}`, "service_accounts/id", anything)),
    async createApiKey(project: string, account: string, name: string, expiresInSeconds: number | null) {
      const path = `/projects/${seg(project)}/service_accounts/${seg(account)}/api_keys`;
      const body = { name, ...(expiresInSeconds === null ? {} : { expires_in_seconds: expiresInSeconds }) };
      const made = await call("POST", path, "service_accounts/id/api_keys", CreatedKey, body);
      return { id: made.id, secret: new SecretValue(made.value) };
    },
    // Without `any`, keys whose owner lost access are hidden.
    listApiKeys: (project: string) =>
      orGone(list(`/projects/${seg(project)}/api_keys`, "api_keys", ApiKey, { owner_project_access: "any" })),
    getApiKey: (project: string, id: string) =>
      orGone(call("GET", `/projects/${seg(project)}/api_keys/${seg(id)}`, "api_keys/id", ApiKey)),
    deleteApiKey: (project: string, id: string) =>
      orGone(call("DELETE", `/projects/${seg(project)}/api_keys/${seg(id)}`, "api_keys/id", anything)),
    probeManagementRead: () => call("GET", "/projects?limit=1", "projects", pageOf(Project)),
    probeUsageRead: (startTime: number) => call("GET", `/costs?start_time=${startTime}&limit=1`, "costs", Costs),
    listAdminKeys: () => call("GET", "/admin_api_keys?limit=100", "admin_api_keys", AdminKeys),
  };
}
