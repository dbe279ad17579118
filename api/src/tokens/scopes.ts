import { JobId } from "@keygate/shared/contracts/ids";
import type { Scope } from "@keygate/shared/contracts/tokens";
import { jobRows } from "@keygate/shared/db/jobs";
import type { ServiceTokenRow } from "@keygate/shared/db/service-tokens";
import { KeyGateError } from "@keygate/shared/errors";
import type { Context } from "hono";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";

/**
 * What a service token needs for each call that changes something: any one of the scopes. A call that does not stand
 * here is for people: whoever adds a route says here that programs may use it.
 */
const rules: readonly (readonly [method: string, path: string, ...scopes: Scope[]])[] = [
  ["POST", "/keys/provision", "keys:provision"],
  ["POST", "/keys/{id}/rotate", "keys:rotate"],
  ["POST", "/keys/{id}/revoke", "keys:revoke"],
  ["POST", "/keys/revoke", "keys:revoke"],
  ["POST", "/keys/find-by-secret", "keys:revoke"],
  ["POST", "/jobs/{id}/claim", "keys:provision", "keys:rotate"],
  ["PUT", "/jobs/{id}/receiver", "keys:provision", "keys:rotate"],
  ["POST", "/jobs/{id}/input", "jobs:write"],
  ["POST", "/jobs/{id}/retry", "jobs:write"],
  ["POST", "/jobs/{id}/cancel", "jobs:write"],
  ["POST", "/developers", "developers:write"],
  ["PATCH", "/developers/{id}", "developers:write"],
  ["DELETE", "/developers/{id}", "developers:write"],
  ["PUT", "/developers/{id}/role", "developers:write"],
  ["POST", "/members/invite", "developers:write"],
  ["PUT", "/members/{id}/role", "developers:write"],
  ["POST", "/members/{id}/suspend", "developers:write"],
  ["POST", "/workspaces", "workspaces:write"],
  ["PUT", "/workspaces/{id}", "workspaces:write"],
  ["POST", "/workspaces/{id}/archive", "workspaces:write"],
  ["POST", "/workspaces/{id}/members", "workspaces:write"],
  ["DELETE", "/workspaces/{id}/members/{dev}", "workspaces:write"],
  ["PUT", "/workspaces/{id}/members/{dev}/role", "workspaces:write"],
  ["POST", "/vendors/configure", "vendors:write"],
  ["POST", "/vendors/{vendor}/check", "vendors:write"],
  ["DELETE", "/vendors/{vendor}", "vendors:write"],
  ["POST", "/debt/{job_id}/retry", "operations:write"],
  ["POST", "/debt/{job_id}/write-off", "operations:write"],
  ["POST", "/reconcile", "operations:write"],
  ["POST", "/reconcile/{id}/adopt", "operations:write"],
  ["POST", "/reconcile/{id}/remove", "operations:write"],
];

const patterns = rules.map(([method, path, ...scopes]) => ({
  method,
  pattern: new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`),
  scopes,
}));

const isRead = (method: string) => method === "GET" || method === "HEAD";

/**
 * The scopes of which a service token needs one for a call; null for what is for people alone.
 *
 * @param path below `/api/v1`, as a template or with real ids.
 */
export function scopesFor(method: string, path: string): readonly Scope[] | null {
  if (isRead(method)) return ["read"];
  return patterns.find((one) => one.method === method && one.pattern.test(path))?.scopes ?? null;
}

const missing = (needed: readonly Scope[]) =>
  new KeyGateError("auth.scope_missing", {
    detail: `This takes a token with the scope ${needed.join(" or ")}.`,
  });

/** Whoever may begin a job may also see how far it is. */
async function asksAfterItsOwnJob(deps: ApiDeps, path: string, token: ServiceTokenRow): Promise<boolean> {
  const id = JobId.safeParse(/^\/jobs\/([^/]+)(?:\/events)?$/.exec(path)?.[1]);
  return id.success && (await jobRows(deps.db).find(id.data))?.requested_by_id === token.id;
}

/** @throws auth.scope_missing, auth.forbidden for what only people may do. */
export async function demandScope(deps: ApiDeps, c: Context<Env>, token: ServiceTokenRow): Promise<void> {
  const path = c.req.path.replace(/^\/api\/v1/, "");
  // Every token may ask who it is.
  if (isRead(c.req.method) && path === "/auth/me") return;
  const needed = scopesFor(c.req.method, path);
  if (!needed) {
    throw new KeyGateError("auth.forbidden", { detail: "This is for people: no service token may do it." });
  }
  if (needed.some((scope) => token.scopes.includes(scope))) return;
  if (isRead(c.req.method) && (await asksAfterItsOwnJob(deps, path, token))) return;
  throw missing(needed);
}
