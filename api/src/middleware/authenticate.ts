import { serviceTokenPrefix } from "@keygate/shared/contracts/tokens";
import { hashRandomToken } from "@keygate/shared/crypto/random-token";
import type { Actor } from "@keygate/shared/db/audit";
import { serviceTokenRows } from "@keygate/shared/db/service-tokens";
import { findUser } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { Context, MiddlewareHandler } from "hono";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { isOurDashboard, sessionToken } from "../auth/session.ts";
import { hasSignedOut } from "../auth/sign-out.ts";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import type { Principal } from "../principal.ts";

/**
 * Taking a key is open to whoever holds its claim token: developers have no account here. The verb itself asks for the
 * token, or for the user who asked for the key.
 */
export const isClaim = (c: Context<Env>): boolean =>
  c.req.method === "POST" && /^\/api\/v1\/jobs\/[^/]+\/claim$/.test(c.req.path);

// Short enough to promise that what was revoked works no longer than a second.
const trustedMs = 1_000;
// A service token's last use is noted to the minute.
const useNotedMs = 60_000;

const isSame = (before: Principal, now: Principal | null): boolean =>
  before.kind === "token" || (now?.kind === "user" && now.user.role === before.user.role);

function actorOf(principal: Principal, ipAddress: string | null): Actor {
  if (principal.kind === "user") return { name: principal.user.email, id: principal.user.id, ipAddress };
  return { name: `token:${principal.token.name}`, id: principal.token.id, ipAddress };
}

/**
 * Lets through who brings a valid access token, a service token or the dashboard's cookie, and sets `principal` and
 * `actor`. The row behind it is read for each request, so that revoking, removal and a new password end it at once, in
 * every process.
 *
 * A browser sends the cookie along whoever makes it ask, so with the cookie alone nothing is changed unless the request
 * shows that our own page sent it.
 */
export function authenticate(deps: ApiDeps, tokens: AccessTokens, sessions: AccessTokens): MiddlewareHandler<Env> {
  const byAccessToken = async (by: AccessTokens, token: string): Promise<Principal | null> => {
    const claims = await by.verify(token);
    const user = claims && (await findUser(deps.db)(claims.userId));
    return user?.is_active && user.token_version === claims?.tokenVersion ? { kind: "user", user } : null;
  };
  const byServiceToken = async (text: string, address: string | null): Promise<Principal | null> => {
    const rows = serviceTokenRows(deps.db);
    const token = await rows.findWorking(hashRandomToken(new Secret(text)));
    if (!token) return null;
    if (!token.last_used_at || Date.now() - token.last_used_at.getTime() > useNotedMs) {
      await rows.noteUse(token.id, address);
    }
    return { kind: "token", token };
  };
  const byHeader = async (header: string, address: string | null): Promise<Principal> => {
    const [scheme = "", token] = header.split(/\s+/);
    if (scheme.toLowerCase() !== "bearer" || !token) throw new KeyGateError("auth.required");
    const isServiceToken = token.startsWith(serviceTokenPrefix);
    const principal = isServiceToken ? await byServiceToken(token, address) : await byAccessToken(tokens, token);
    if (!principal) throw new KeyGateError("auth.invalid_token");
    return principal;
  };
  const byCookie = async (c: Context<Env>): Promise<Principal | null> => {
    const token = sessionToken(c);
    const mayChange = c.req.method === "GET" || c.req.method === "HEAD" || isOurDashboard(c);
    const holder = token && mayChange ? await byAccessToken(sessions, token) : null;
    const principal = holder && token && !(await hasSignedOut(deps, token)) ? holder : null;
    if (principal || isClaim(c)) return principal;
    if (token && !mayChange) {
      throw new KeyGateError("auth.forbidden", { detail: "The request did not come from KeyGate's own page." });
    }
    throw new KeyGateError("auth.required");
  };

  return async (c, next) => {
    const header = c.req.header("authorization")?.trim() ?? "";
    const look = () => (header === "" ? byCookie(c) : byHeader(header, c.var.address));
    const principal = await look();
    if (principal) {
      let trustedUntil = performance.now() + trustedMs;
      c.set("stillHolds", async () => {
        if (performance.now() < trustedUntil) return true;
        const now = await look().catch((error: unknown) => {
          if (error instanceof KeyGateError) return null;
          throw error;
        });
        trustedUntil = performance.now() + trustedMs;
        return now !== null && isSame(principal, now);
      });
      c.set("principal", principal);
      c.set("actor", actorOf(principal, c.var.address));
    }
    return next();
  };
}
