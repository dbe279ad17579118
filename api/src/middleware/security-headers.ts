import type { MiddlewareHandler } from "hono";
import { secureHeaders } from "hono/secure-headers";
import type { Env } from "../env.ts";

/** What a page may load: pages name what they need beyond themselves. */
export function contentSecurityPolicy(extra: Record<string, string> = {}): string {
  const directives = {
    "default-src": "'self'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    ...extra,
  };
  return Object.entries(directives)
    .map(([name, value]) => `${name} ${value}`)
    .join("; ");
}

/** Headers against framing, sniffing and caching; a page that sets its own policy keeps it. */
export function securityHeaders(publicUrl: string | null): MiddlewareHandler<Env>[] {
  const headers = secureHeaders({
    contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
    // Only for this host: what else lives on the domain is not ours to decide.
    strictTransportSecurity: publicUrl?.startsWith("https:") ? "max-age=15552000" : false,
    xFrameOptions: "DENY",
    overwrite: false,
  });
  const neverStore: MiddlewareHandler<Env> = async (c, next) => {
    await next();
    // Keys, tokens and who has them: no browser or proxy keeps an answer of the API.
    if (c.req.path.startsWith("/api/")) c.res.headers.set("Cache-Control", "no-store");
  };
  return [headers, neverStore];
}
