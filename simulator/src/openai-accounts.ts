import { z } from "zod";
import {
  activeProjectOf,
  ListQuery,
  newestFirst,
  type OpenAiCall,
  ok,
  page,
  type Route,
  readBody,
  readQuery,
  refusal,
  wrong,
} from "./openai-call.ts";
import { ExpiresInSeconds, issueKey, Scopes } from "./openai-keys.ts";
import { type ApiKey, deleteKeys, listed, note, opaque, type ServiceAccount, seconds } from "./openai-state.ts";

const Create = z.strictObject({
  name: z.string().min(1),
  create_service_account_only: z.boolean().nullish(),
  expires_in_seconds: ExpiresInSeconds.nullish(),
});
const Update = z.strictObject({ name: z.string().min(1).optional(), role: z.enum(["member", "owner"]).optional() });
const CreateKey = z.strictObject({
  name: z.string().min(1).optional(),
  scopes: Scopes.optional(),
  expires_in_seconds: ExpiresInSeconds.nullish(),
});

const ACCOUNTS = "/organization/projects/{project_id}/service_accounts";
const ACCOUNT = `${ACCOUNTS}/{service_account_id}`;

const view = (account: ServiceAccount) => ({
  object: "organization.project.service_account",
  id: account.id,
  name: account.name,
  role: account.role,
  created_at: seconds(account.createdAtMs),
});

/** The only two answers that ever hold a secret are made of this. */
const viewNewKey = (key: ApiKey) => ({
  object: "organization.project.service_account.api_key",
  id: key.id,
  name: key.name,
  value: key.secret,
  created_at: seconds(key.createdAtMs),
  expires_at: key.expiresAt,
});

function accountOf(call: OpenAiCall): ServiceAccount {
  const project = activeProjectOf(call);
  const id = call.params.service_account_id;
  const account = call.state.accounts.findLast((one) => one.id === id && one.projectId === project.id);
  if (account === undefined || account.deletedAtMs !== null) throw refusal(404, `No service account '${id}' found.`);
  return account;
}

export const accountRoutes: Route[] = [
  [
    "POST",
    ACCOUNTS,
    (call) => {
      const body = readBody(call, Create);
      const { state, nowMs } = call;
      const accountOnly = body.create_service_account_only === true;
      if (accountOnly && body.expires_in_seconds != null) {
        throw wrong(call, "expires_in_seconds cannot be combined with create_service_account_only.", {
          param: "expires_in_seconds",
        });
      }
      const project = activeProjectOf(call);
      if (project.isDefault) throw refusal(400, "The default project cannot have service accounts.");
      const account: ServiceAccount = {
        ...listed(state, `svc_acct_${opaque(20)}`, nowMs),
        projectId: project.id,
        name: body.name,
        role: accountOnly ? "none" : "member",
        deletedAtMs: null,
      };
      const fields = { name: "Secret Key", scopes: [], expiresInSeconds: body.expires_in_seconds ?? null };
      // A refused key must leave no account behind, so the key's policy is asked before anything is kept.
      const key = accountOnly ? null : issueKey(call, account, fields);
      state.accounts.push(account);
      note(state, nowMs, "service_account.created", { project_id: project.id, service_account_id: account.id });
      return ok({ ...view(account), api_key: key && viewNewKey(keep(call, key)) });
    },
  ],
  [
    "GET",
    ACCOUNTS,
    (call) => {
      const query = readQuery(call, ListQuery);
      const project = activeProjectOf(call);
      const accounts = call.state.accounts.filter((account) => account.projectId === project.id);
      return page(call, newestFirst(accounts), query, (account) => account.deletedAtMs === null, view);
    },
    "query",
  ],
  ["GET", ACCOUNT, (call) => ok(view(accountOf(call)))],
  [
    "POST",
    ACCOUNT,
    (call) => {
      const body = readBody(call, Update);
      const account = accountOf(call);
      if (body.name !== undefined) account.name = body.name;
      if (body.role !== undefined) account.role = body.role;
      note(call.state, call.nowMs, "service_account.updated", {
        project_id: account.projectId,
        service_account_id: account.id,
      });
      return ok(view(account));
    },
  ],
  [
    "DELETE",
    ACCOUNT,
    (call) => {
      const { state, nowMs } = call;
      const account = accountOf(call);
      account.deletedAtMs = nowMs;
      note(state, nowMs, "service_account.deleted", { project_id: account.projectId, service_account_id: account.id });
      deleteKeys(state, nowMs, (key) => key.serviceAccountId === account.id);
      return ok({ object: "organization.project.service_account.deleted", id: account.id, deleted: true });
    },
  ],
  [
    "POST",
    `${ACCOUNT}/api_keys`,
    (call) => {
      const body = readBody(call, CreateKey);
      const account = accountOf(call);
      const key = issueKey(call, account, {
        name: body.name ?? "Secret Key",
        scopes: body.scopes ?? [],
        expiresInSeconds: body.expires_in_seconds ?? null,
      });
      return ok(viewNewKey(keep(call, key)));
    },
  ],
];

function keep({ state, nowMs }: OpenAiCall, key: ApiKey): ApiKey {
  state.keys.push(key);
  note(state, nowMs, "api_key.created", {
    project_id: key.projectId,
    api_key_id: key.id,
    ...(key.serviceAccountId !== null && { service_account_id: key.serviceAccountId }),
  });
  return key;
}
