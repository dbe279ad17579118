import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { jsonAnswer, newApp } from "../route.ts";
import { version } from "../version.ts";
import { readiness } from "./health.ts";

const tags = ["Operations"];
const Outcome = z.enum(["ok", "failed"]);

const Health = z
  .object({ status: z.literal("healthy"), service: z.literal("keygate"), version: z.string() })
  .meta({ id: "Health" });
const Ready = z
  .object({
    status: z.enum(["ready", "not_ready"]),
    checks: z.object({ database: Outcome, queue: Outcome, credentials: Outcome }),
    /** Names of what `ENCRYPTION_KEY` no longer decrypts; absent when there is nothing such. */
    unreadable: z.array(z.string()).optional(),
  })
  .meta({ id: "Ready" });

const health = createRoute({
  method: "get",
  path: "/health",
  tags,
  summary: "Whether the process runs; checks nothing else",
  responses: { 200: jsonAnswer(Health, "It runs") },
});

const ready = createRoute({
  method: "get",
  path: "/ready",
  tags,
  summary: "Whether it can serve: database, queue, and that stored credentials decrypt",
  responses: { 200: jsonAnswer(Ready, "It can"), 503: jsonAnswer(Ready, "It cannot: see `checks`") },
});

export function opsRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp()
    .openapi(health, (c) => c.json({ status: "healthy" as const, service: "keygate" as const, version }, 200))
    .openapi(ready, async (c) => {
      const { checks, unreadable } = await readiness(deps);
      const isReady = Object.values(checks).every((outcome) => outcome === "ok");
      c.header("Cache-Control", "no-store");
      return isReady
        ? c.json({ status: "ready" as const, checks }, 200)
        : c.json({ status: "not_ready" as const, checks, ...(unreadable.length > 0 ? { unreadable } : {}) }, 503);
    });
}
