import type { ProblemCode, ProblemDetails } from "@keygate/shared/contracts/problems";
import { isDatabaseOutage, isUnkeepableValue } from "@keygate/shared/db/client";
import { KeyGateError } from "@keygate/shared/errors";
import type { Context } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { Env } from "../env.ts";

const codeOfStatus: Record<number, ProblemCode> = {
  400: "request.malformed",
  404: "request.not_found",
  413: "request.too_large",
  415: "request.unsupported_media_type",
};
const defaultRetrySeconds = 5;

/** Any thrown value as one of the problems that the contract knows; what nobody foresaw says nothing about itself. */
export function problemOf(error: unknown): KeyGateError {
  if (error instanceof KeyGateError) return error;
  if (error instanceof HTTPException) {
    const code = codeOfStatus[error.status] ?? (error.status < 500 ? "request.malformed" : "service.failed");
    return new KeyGateError(code, { cause: error });
  }
  if (isDatabaseOutage(error)) return new KeyGateError("service.unavailable", { cause: error, retryAfterMs: 2_000 });
  // The net below the schemas: what they let through and the database refuses is still the caller's to change.
  if (isUnkeepableValue(error)) return new KeyGateError("request.invalid", { cause: error });
  return new KeyGateError("service.failed", { cause: error });
}

function detailsOf(problem: KeyGateError, instance: string): ProblemDetails {
  // The job's id is the one fact that the caller needs too: it is where the rest of the story can be read.
  const { jobId } = problem.facts;
  return {
    type: `urn:keygate:problem:${problem.code}`,
    title: problem.title,
    status: problem.status,
    detail: problem.detail ?? problem.title,
    code: problem.code,
    instance,
    ...(problem.errors ? { errors: problem.errors } : {}),
    ...(typeof jobId === "string" ? { job_id: jobId } : {}),
  };
}

function setProblemHeaders(c: Context<Env>, problem: KeyGateError): void {
  const { status, code } = problem;
  c.header("Cache-Control", "no-store");
  if (status === 401) {
    c.header(
      "WWW-Authenticate",
      `Bearer realm="keygate"${code === "auth.invalid_token" ? ', error="invalid_token"' : ""}`,
    );
  }
  const waits = status === 503 || status === 429 || problem.retryAfterMs !== undefined;
  if (waits) {
    const seconds = problem.retryAfterMs === undefined ? defaultRetrySeconds : Math.ceil(problem.retryAfterMs / 1000);
    c.header("Retry-After", String(Math.max(1, seconds)));
  }
}

/** Answers with a problem (RFC 9457). */
export function answerProblem(c: Context<Env>, problem: KeyGateError): Response {
  setProblemHeaders(c, problem);
  // The table of problems holds statuses that carry a body only.
  return c.body(JSON.stringify(detailsOf(problem, c.req.path)), problem.status as ContentfulStatusCode, {
    "Content-Type": "application/problem+json",
  });
}

/** For `app.onError`: what was thrown becomes a problem; the log learns why. */
export function onError(error: unknown, c: Context<Env>): Response {
  const problem = problemOf(error);
  const { code, facts } = problem;
  if (code === "service.failed") c.var.log.error({ code, facts, error: problem.cause ?? problem }, "api.problem");
  else if (problem.status >= 500 || problem.cause instanceof Error)
    c.var.log.warn({ code, facts, error: problem.cause ?? problem }, "api.problem");
  else c.var.log.debug({ code, facts }, "api.problem");
  return answerProblem(c, problem);
}

/** For `app.notFound`. */
export const onNotFound = (c: Context<Env>): Response => answerProblem(c, new KeyGateError("request.not_found"));

/** For a path that is known under other methods. */
export function onMethodNotAllowed(c: Context<Env>, methods: string[]): Response {
  const response = answerProblem(c, new KeyGateError("request.method_not_allowed"));
  response.headers.set("Allow", methods.join(", "));
  return response;
}
