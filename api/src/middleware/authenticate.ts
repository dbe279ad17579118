import { userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import type { Context, MiddlewareHandler } from "hono";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { isOurDashboard, sessionToken } from "../auth/session.ts";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";

/**
 * Taking a key is open to whoever holds its claim token: developers have no account here. The verb itself asks for the
 * token, or for the user who asked for the key.
 */
export const isClaim = (c: Context<Env>): boolean =>
  c.req.method === "POST" && /^\/api\/v1\/jobs\/[^/]+\/claim$/.test(c.req.path);

/**
 * Lets through who brings a valid bearer token or the dashboard's cookie, and sets `user` and `actor`. The user's row is
 * read for each request, so that deactivation and a new password end every token at once.
 *
 * A browser sends the cookie along whoever makes it ask, so with the cookie alone nothing is changed unless the request
 * shows that our own page sent it.
 */
export function authenticate(deps: ApiDeps, tokens: AccessTokens, sessions: AccessTokens): MiddlewareHandler<Env> {
  const userOf = async (by: AccessTokens, token: string) => {
    const claims = await by.verify(token);
    const user = claims && (await userRows(deps.db).find(claims.userId));
    return user?.is_active && user.token_version === claims?.tokenVersion ? user : null;
  };
  const userOfHeader = async (header: string) => {
    const [scheme = "", token] = header.split(/\s+/);
    if (scheme.toLowerCase() !== "bearer" || !token) throw new KeyGateError("auth.required");
    const user = await userOf(tokens, token);
    if (!user) throw new KeyGateError("auth.invalid_token");
    return user;
  };
  const userOfCookie = async (c: Context<Env>) => {
    const token = sessionToken(c);
    const mayChange = c.req.method === "GET" || c.req.method === "HEAD" || isOurDashboard(c);
    const user = token && mayChange ? await userOf(sessions, token) : null;
    if (user || isClaim(c)) return user;
    if (token && !mayChange) {
      throw new KeyGateError("auth.forbidden", { detail: "The request did not come from KeyGate's own page." });
    }
    throw new KeyGateError("auth.required");
  };

  return async (c, next) => {
    const header = c.req.header("authorization")?.trim() ?? "";
    const user = header === "" ? await userOfCookie(c) : await userOfHeader(header);
    if (user) {
      c.set("user", user);
      c.set("actor", { name: user.email, id: user.id, ipAddress: c.var.address });
    }
    return next();
  };
}
