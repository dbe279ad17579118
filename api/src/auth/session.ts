import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { Env } from "../env.ts";

// With the prefix browsers insist on Secure, this host alone and the whole path; localhost counts as secure.
const name = "keygate";
const attributes = { path: "/", secure: true, httpOnly: true, sameSite: "Strict" } as const;

/** How long a sign-in to the dashboard lasts. */
export const sessionMinutes = 12 * 60;

const deviceName = "keygate_device";
/** How long a browser counts as one that its owner signed in from. */
export const deviceMinutes = 90 * 24 * 60;

/** What shows that somebody signed in from this browser before: it opens nothing, and is asked for its own guesses only. */
export const deviceToken = (c: Context<Env>): string | undefined => getCookie(c, deviceName, "host");

export const rememberDevice = (c: Context<Env>, token: string): void =>
  setCookie(c, deviceName, token, { ...attributes, maxAge: deviceMinutes * 60, prefix: "host" });

/** What the dashboard's cookie holds, if there is one. */
export const sessionToken = (c: Context<Env>): string | undefined => getCookie(c, name, "host");

/** Lasts until the browser is closed, and no longer than its token. */
export const startSession = (c: Context<Env>, token: string): void =>
  setCookie(c, name, token, { ...attributes, prefix: "host" });

export const endSession = (c: Context<Env>): void => {
  deleteCookie(c, name, { ...attributes, prefix: "host" });
};

/**
 * Whether our own page sent the request: a header that no other site can set without our consent (CORS), and what the
 * browser says of the page's origin.
 */
export function isOurDashboard(c: Context<Env>): boolean {
  if (c.req.header("x-requested-by") !== "keygate-dashboard") return false;
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined) return site === "same-origin";
  const origin = c.req.header("origin");
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === c.req.header("host"));
}
