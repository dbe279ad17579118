import { addFigures, addProcess, serveMetrics } from "@keygate/shared/metrics";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import { Histogram, Registry } from "prom-client";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";
import { version } from "../version.ts";

const requestSeconds = new Histogram({
  name: "keygate_http_request_seconds",
  help: "Requests by method, route and status",
  labelNames: ["method", "route", "status"],
  // The long ones wait for a job on purpose, for 60 s at most.
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60],
  registers: [],
});

/**
 * Measures every request. The label is the pattern of the route that answered (the last one that was entered): the path
 * itself holds ids, and would grow without end.
 */
export function measureRequests(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const begun = performance.now();
    await next();
    const route = c.res.status === 404 ? "(none)" : routePath(c);
    const labels = { method: c.req.method, route, status: c.res.status };
    requestSeconds.observe(labels, (performance.now() - begun) / 1000);
  };
}

/** Serves the API's metrics where the configuration says; see `serveMetrics`. */
export function startApiMetrics({ config, db, log }: ApiDeps): ReturnType<typeof serveMetrics> {
  const registry = new Registry();
  registry.registerMetric(requestSeconds);
  addProcess(registry, "api", version);
  return serveMetrics(config.metrics, { registry, refresh: addFigures(registry, db, log) }, log);
}
