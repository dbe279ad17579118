import { parseTraceParent } from "@keygate/shared/trace-parent";
import { traced } from "@keygate/shared/tracing";
import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";
import type { Env } from "../env.ts";

/**
 * Each request is a span, and what it causes lies inside: the jobs that it makes remember it. A caller's own trace
 * (W3C Trace Context) goes on. Named by the route's pattern, since the path holds ids.
 */
export function traceRequests(): MiddlewareHandler<Env> {
  return (c, next) => {
    const { method } = c.req;
    const parent = parseTraceParent(c.req.header("traceparent"));
    return traced(method, { kind: "server", parent, facts: { "http.request.method": method } }, async (span) => {
      await next();
      const route = c.res.status === 404 ? "(none)" : routePath(c);
      span.rename(`${method} ${route}`);
      span.set({
        "http.route": route,
        "http.response.status_code": c.res.status,
        "keygate.request_id": c.var.requestId,
      });
      if (c.res.status >= 500) span.fail(String(c.res.status));
    });
  };
}
