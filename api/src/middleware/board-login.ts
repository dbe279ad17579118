import { type UserRow, userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { Context, MiddlewareHandler } from "hono";
import { getCookie, setCookie } from "hono/cookie";
import type { AccessTokens } from "../auth/access-tokens.ts";
import { sessionToken } from "../auth/session.ts";
import type { SignIn } from "../auth/sign-in.ts";
import { hasSignedOut } from "../auth/sign-out.ts";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";

export interface BoardLogin {
  deps: ApiDeps;
  signIn: SignIn;
  /** For the board only: its cookie is no access token of the API. */
  tokens: AccessTokens;
  /** Whoever is signed in to the dashboard is not asked again. */
  sessions: AccessTokens;
}

const cookieName = "keygate_queues";

function readBasic(header: string | undefined): { email: string; password: Secret } | null {
  const encoded = /^basic ([A-Za-z0-9+/=_-]+)$/i.exec(header?.trim() ?? "")?.[1];
  if (!encoded || encoded.length > 4096) return null;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  if (colon < 1 || text.includes("\0")) return null;
  return { email: text.slice(0, colon), password: new Secret(text.slice(colon + 1)) };
}

const speaksTls = ({ config }: ApiDeps) => config.http.publicUrl?.startsWith("https:") ?? false;

async function userOfCookie(c: Context<Env>, { deps, tokens, sessions }: BoardLogin): Promise<UserRow | null> {
  const own = speaksTls(deps) ? getCookie(c, cookieName, "host") : getCookie(c, cookieName);
  const byBasic = await tokens.verify(own ?? "");
  const session = byBasic ? undefined : sessionToken(c);
  const claims = byBasic ?? (session ? await sessions.verify(session) : null);
  const user = claims && (await userRows(deps.db).find(claims.userId));
  if (!user?.is_active || user.token_version !== claims?.tokenVersion) return null;
  return session && (await hasSignedOut(deps, session)) ? null : user;
}

async function userOfBasic(c: Context<Env>, { deps, signIn, tokens }: BoardLogin): Promise<UserRow | null> {
  const given = readBasic(c.req.header("authorization"));
  if (!given) return null;
  const user = await signIn({ ...given, address: c.var.address, door: "queues" });
  // The board asks every few seconds: with the cookie each answer does not cost a password hash and an audit row.
  // Without TLS a browser would not take the prefix, which in turn insists on the whole path.
  const attributes = { httpOnly: true, sameSite: "Strict" } as const;
  const where = speaksTls(deps)
    ? ({ path: "/", secure: true, prefix: "host" } as const)
    : ({ path: "/queues", secure: false } as const);
  setCookie(c, cookieName, await tokens.issue(user), { ...attributes, ...where });
  return user;
}

/** Asks for e-mail and password as browsers and curl know it (HTTP Basic), and sets `principal`. */
export function boardLogin(login: BoardLogin): MiddlewareHandler<Env> {
  return async (c, next) => {
    try {
      const user = (await userOfCookie(c, login)) ?? (await userOfBasic(c, login));
      if (!user) throw new KeyGateError("auth.required");
      c.set("principal", { kind: "user", user });
    } catch (error) {
      if (!(error instanceof KeyGateError) || error.status !== 401) throw error;
      const challenge = { "WWW-Authenticate": 'Basic realm="KeyGate queues", charset="UTF-8"' };
      return c.text(`${error.title}: your KeyGate e-mail and password.\n`, 401, challenge);
    }
    return next();
  };
}

/** A browser sends the sign-in along whoever makes it ask: other sites may look for nothing and change nothing. */
export function sameSiteOnly(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const site = c.req.header("sec-fetch-site");
    const origin = c.req.header("origin");
    const host = c.req.header("host");
    const isOurs = site ? site === "same-origin" || site === "none" : !origin || URL.parse(origin)?.host === host;
    if (c.req.method !== "GET" && c.req.method !== "HEAD" && !isOurs) throw new KeyGateError("auth.forbidden");
    await next();
  };
}
