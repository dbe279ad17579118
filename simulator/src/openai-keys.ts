import { z } from "zod";
import {
  ListQuery,
  newestFirst,
  type OpenAiCall,
  ok,
  page,
  projectOf,
  type Route,
  readBody,
  readQuery,
  refusal,
} from "./openai-call.ts";
import {
  type ApiKey,
  deleteKeys,
  hasExpired,
  listed,
  note,
  type OpenAiState,
  opaque,
  redacted,
  type ServiceAccount,
  seconds,
} from "./openai-state.ts";

/** At most a year of 365 days. */
export const ExpiresInSeconds = z.int().min(1).max(31_536_000);
/** The dashboard's identifiers. An empty list means no restriction. */
export const Scopes = z.array(z.string().regex(/^[a-z0-9_]+(\.[a-z0-9_]+)+$/));

const Update = z
  .strictObject({ scopes: Scopes.optional(), expires_in_seconds: ExpiresInSeconds.optional() })
  .refine((body) => body.scopes !== undefined || body.expires_in_seconds !== undefined, {
    error: "at least one of scopes and expires_in_seconds is required",
  });

const KeysQuery = ListQuery.extend({ owner_project_access: z.enum(["active", "inactive", "any"]).default("active") });

const KEYS = "/organization/projects/{project_id}/api_keys";
const KEY = `${KEYS}/{api_key_id}`;

interface NewKey {
  name: string;
  scopes: string[];
  expiresInSeconds: number | null;
}

/** A key for an account, not yet kept; refused when the organization's key policy forbids it. */
export function issueKey(call: OpenAiCall, account: ServiceAccount, wanted: NewKey): ApiKey {
  const { state, settings, nowMs } = call;
  if (settings.policy_forbids_keys) {
    throw refusal(400, "Creating API keys is disabled by your organization's API key policy.");
  }
  checkExpiryPolicy(call, wanted.expiresInSeconds);
  return {
    ...listed(state, `key_${opaque(16)}`, nowMs),
    projectId: account.projectId,
    serviceAccountId: account.id,
    name: wanted.name,
    secret: `sk-svcacct-SIMULATED-${opaque(48)}`,
    scopes: wanted.scopes,
    expiresAt: wanted.expiresInSeconds === null ? null : seconds(nowMs) + wanted.expiresInSeconds,
    lastUsedAtMs: null,
    deletedAtMs: null,
  };
}

/** No violation: the policy cannot be read through the API, so a caller learns of it by being refused. */
function checkExpiryPolicy({ settings }: OpenAiCall, expiresInSeconds: number | null): void {
  const max = settings.policy_max_expiry_seconds;
  if (max === null || (expiresInSeconds !== null && expiresInSeconds <= max)) return;
  throw refusal(400, `Your organization's API key policy requires an expiry of at most ${max} seconds.`, {
    param: "expires_in_seconds",
  });
}

const roleOf = (state: OpenAiState, key: ApiKey) =>
  key.serviceAccountId === null
    ? "member"
    : (state.accounts.findLast(({ id }) => id === key.serviceAccountId)?.role ?? "none");

function view(state: OpenAiState, key: ApiKey) {
  const account = state.accounts.findLast(({ id }) => id === key.serviceAccountId);
  return {
    object: "organization.project.api_key",
    id: key.id,
    name: key.name,
    redacted_value: redacted(key.secret),
    created_at: seconds(key.createdAtMs),
    last_used_at: key.lastUsedAtMs === null ? null : seconds(key.lastUsedAtMs),
    expires_at: key.expiresAt,
    owner_project_access: roleOf(state, key) === "none" ? "inactive" : "active",
    owner: account
      ? {
          type: "service_account",
          service_account: {
            id: account.id,
            name: account.name,
            created_at: seconds(account.createdAtMs),
            role: account.role,
          },
        }
      : { type: "user", user: PERSON },
  };
}

const PERSON = {
  id: "user-simulated",
  email: "person@example.com",
  name: "A person",
  created_at: 1_700_000_000,
  role: "member",
};

function keyOf(call: OpenAiCall): ApiKey {
  const project = projectOf(call);
  const id = call.params.api_key_id;
  const key = call.state.keys.findLast((one) => one.id === id && one.projectId === project.id);
  if (key === undefined || key.deletedAtMs !== null) throw refusal(404, `No API key '${id}' found.`);
  return key;
}

export const keyRoutes: Route[] = [
  [
    "GET",
    KEYS,
    (call) => {
      // Left out, the vendor applies visibility rules that hide keys whose owner has no access.
      const query = readQuery(call, KeysQuery);
      const project = projectOf(call);
      const keys = call.state.keys.filter((key) => key.projectId === project.id);
      const shown = (key: ApiKey) =>
        key.deletedAtMs === null &&
        (query.owner_project_access === "any" ||
          view(call.state, key).owner_project_access === query.owner_project_access);
      return page(call, newestFirst(keys), query, shown, (key) => view(call.state, key));
    },
    "query",
  ],
  ["GET", KEY, (call) => ok(view(call.state, keyOf(call)))],
  [
    "POST",
    KEY,
    (call) => {
      const body = readBody(call, Update);
      const key = keyOf(call);
      if (hasExpired(key, call.nowMs)) throw refusal(400, "An expired API key cannot be updated.");
      if (body.expires_in_seconds !== undefined) {
        checkExpiryPolicy(call, body.expires_in_seconds);
        key.expiresAt = seconds(call.nowMs) + body.expires_in_seconds;
      }
      if (body.scopes !== undefined) key.scopes = body.scopes;
      note(call.state, call.nowMs, "api_key.updated", { project_id: key.projectId, api_key_id: key.id });
      return ok(view(call.state, key));
    },
  ],
  [
    "DELETE",
    KEY,
    (call) => {
      const key = keyOf(call);
      if (call.settings.refuse_service_account_key_delete && key.serviceAccountId !== null) {
        throw refusal(400, "API keys of service accounts cannot be deleted. Delete the service account instead.");
      }
      deleteKeys(call.state, call.nowMs, ({ id }) => id === key.id);
      return ok({ object: "organization.project.api_key.deleted", id: key.id, deleted: true });
    },
  ],
];
