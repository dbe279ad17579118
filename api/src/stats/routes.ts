import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import { DashboardStats } from "@keygate/shared/contracts/stats";
import { auditRows } from "@keygate/shared/db/audit";
import { readStats } from "@keygate/shared/db/stats";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { bearer, jsonAnswer, newApp, problemResponses } from "../route.ts";

const recentEvents = 10;

const stats = createRoute({
  method: "get",
  path: "/dashboard/stats",
  tags: ["Overview"],
  security: bearer,
  summary: "Figures of the overview page",
  responses: { 200: jsonAnswer(DashboardStats, "The figures"), ...problemResponses() },
});

export function statsRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  return newApp().openapi(stats, async (c) => {
    const [figures, events] = await Promise.all([readStats(deps.db), auditRows(deps.db).list({ limit: recentEvents })]);
    return c.json({ ...figures, recent_events: events.items }, 200);
  });
}
