import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import type { Env } from "../env.ts";

/** Lets pages of the configured origins call the API. Tokens travel in a header, so no cookie is ever allowed. */
export function crossOrigin(origins: readonly string[]): MiddlewareHandler<Env> {
  if (origins.length === 0) return (_c, next) => next();
  return cors({
    origin: origins.includes("*") ? "*" : origins.map((origin) => new URL(origin).origin),
    allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "Prefer", "X-Request-Id", "Last-Event-ID"],
    exposeHeaders: [
      "Link",
      "Location",
      "Retry-After",
      "X-Request-Id",
      "Idempotency-Replayed",
      "Preference-Applied",
      "WWW-Authenticate",
    ],
    maxAge: 600,
  });
}
