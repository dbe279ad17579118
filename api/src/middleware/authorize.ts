import type { MiddlewareHandler } from "hono";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { requireRole } from "../route.ts";
import { demandScope } from "../tokens/scopes.ts";
import { isClaim } from "./authenticate.ts";

// A password is everybody's own affair, an auditor's too.
const isOwnAffair = (path: string) => path === "/api/v1/auth/password";

/**
 * Auditors read, service tokens do what their scopes say. Asked here, once, so that no route can forget it. A claim
 * asks for itself: whoever holds the claim token needs nothing else.
 */
export function authorize(deps: ApiDeps): MiddlewareHandler<Env> {
  const asAdmin = requireRole("admin");
  return async (c, next) => {
    if (isClaim(c)) return next();
    const { principal } = c.var;
    if (principal.kind === "token") {
      await demandScope(deps, c, principal.token);
      return next();
    }
    const isRead = c.req.method === "GET" || c.req.method === "HEAD";
    return isRead || isOwnAffair(c.req.path) ? next() : asAdmin(c, next);
  };
}
