import { randomUUID } from "node:crypto";
import type { Log } from "@keygate/shared/log";
import type { MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";

// What a gateway in front may send; anything else could forge log lines or grow without end.
const sane = /^[A-Za-z0-9._:-]{1,128}$/;

// Asked every few seconds by whoever watches the process: worth a line only to somebody who looks closely.
const probes = new Set(["/health", "/ready"]);

/** Names the request in every answer and log line, and logs its end: never its query, headers or body. */
export function requestId(log: Log): MiddlewareHandler<Env> {
  return async (c, next) => {
    const given = c.req.header("x-request-id");
    const id = given && sane.test(given) ? given : randomUUID();
    const startedAt = performance.now();
    c.set("requestId", id);
    c.set("log", log.child({ requestId: id }));
    c.header("X-Request-Id", id);
    await next();
    const durationMs = Math.round(performance.now() - startedAt);
    const facts = { method: c.req.method, path: c.req.path, status: c.res.status, durationMs };
    c.var.log[probes.has(c.req.path) ? "debug" : "info"](facts, "api.request");
  };
}
