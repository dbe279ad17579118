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

type Figures = Awaited<ReturnType<typeof readStats>>;

// Counting this many keys takes milliseconds; of more, nobody sees the difference within ten seconds.
const countedEachTimeMax = 20_000;
const keptMs = 10_000;

/**
 * Reads the figures for everybody who asks. Counts have to visit what they count: in a large installation one count
 * serves all overview pages for a while, and those that ask meanwhile wait for the one that is under way.
 */
export function createFigures(
  read: () => Promise<Figures>,
  now: () => number = () => performance.now(),
): () => Promise<Figures> {
  let counting: Promise<Figures> | null = null;
  let kept: { figures: Figures; until: number } | null = null;
  return () => {
    if (kept && now() < kept.until) return Promise.resolve(kept.figures);
    if (kept && counting) return counting;
    const mine = read()
      .then((figures) => {
        const isLarge = figures.active_keys + figures.total_developers > countedEachTimeMax;
        kept = isLarge ? { figures, until: now() + keptMs } : null;
        return figures;
      })
      .finally(() => {
        if (counting === mine) counting = null;
      });
    counting = mine;
    return mine;
  };
}

export function statsRoutes(deps: ApiDeps): OpenAPIHono<Env> {
  const readFigures = createFigures(() => readStats(deps.db));
  return newApp().openapi(stats, async (c) => {
    const [figures, events] = await Promise.all([readFigures(), auditRows(deps.db).list({ limit: recentEvents })]);
    return c.json({ ...figures, recent_events: events.items }, 200);
  });
}
