import { OpenAPIHono } from "@hono/zod-openapi";
import type { UserRole } from "@keygate/shared/contracts/auth";
import type { JobId } from "@keygate/shared/contracts/ids";
import { ProblemDetails } from "@keygate/shared/contracts/problems";
import type { UserRow } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import type { Context, MiddlewareHandler } from "hono";
import type { ZodError, ZodType } from "zod";
import type { Env } from "./env.ts";

/** The security requirement of a route that takes a bearer token. */
export const bearer: { bearer: string[] }[] = [{ bearer: [] }];

const problemResponse = (description: string) => ({
  description,
  content: { "application/problem+json": { schema: ProblemDetails } },
});
type ProblemResponse = ReturnType<typeof problemResponse>;

/** What each status means, wherever it is answered. */
export const problemDescriptions = {
  400: "The request could not be read, or the e-mail is taken",
  401: "No access token, or one that is not valid",
  403: "The role, or the token's scopes, may not do this",
  404: "There is no such thing",
  409: "The state does not allow it",
  410: "Taken or used already, or its time is over",
  413: "The body is larger than 1 MiB",
  415: "The body is not application/json",
  422: "Not valid: one entry per field in `errors`",
  429: "Too many failed sign-ins, or more keys in the making than the vendor keeps up with; `Retry-After` says when",
  501: "Not available in this version",
  502: "The vendor refused",
  503: "Cannot be answered right now; `Retry-After` says when",
} as const;
type ProblemStatus = keyof typeof problemDescriptions;
const always = [401, 403, 422] as const;

/**
 * The problem answers of a route for `createRoute`: those given, and the ones that every route behind the
 * authentication has (401, 403, 422).
 */
export function problemResponses<const S extends readonly ProblemStatus[]>(...statuses: S) {
  const entries = [...always, ...statuses].map((status) => [status, problemResponse(problemDescriptions[status])]);
  // Exactly the statuses of the two lists were put in.
  return Object.fromEntries(entries) as Record<S[number] | (typeof always)[number], ProblemResponse>;
}

/**
 * The JSON body of a route. An absent body is read as `{}`, so a schema whose members all have defaults makes the body
 * optional.
 */
export const jsonBody = <T extends ZodType>(schema: T) => ({
  required: true as const,
  content: { "application/json": { schema } },
});

/** A JSON answer of a route. */
export const jsonAnswer = <T extends ZodType>(schema: T, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

function fieldErrors(error: ZodError): { field: string; message: string }[] {
  return error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code !== "unrecognized_keys") return [{ field: path.join("."), message: issue.message }];
    return issue.keys.map((key) => ({ field: [...path, key].join("."), message: "Unknown field" }));
  });
}

/** What zod found wrong, as a problem with one entry per field; `within` is put before the fields' names. */
export function invalidRequest(error: ZodError, within?: string): KeyGateError {
  const errors = fieldErrors(error).map(({ field, message }) => ({
    field: [within, field].filter(Boolean).join("."),
    message,
  }));
  return new KeyGateError("request.invalid", {
    detail: errors.map(({ field, message }) => (field ? `${field}: ${message}` : message)).join("; "),
    errors,
  });
}

/** What zod found wrong with an address. */
export const notFound = (error: ZodError): KeyGateError =>
  new KeyGateError("request.not_found", {
    detail: fieldErrors(error)
      .map(({ message }) => message)
      .join("; "),
  });

/**
 * An empty app with what all route modules share: a failed validation becomes a 422 problem, but an address that cannot
 * name anything is simply not found, like any other id that nothing has.
 */
export function newApp(): OpenAPIHono<Env> {
  return new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (result.success) return;
      throw result.target === "param" ? notFound(result.error) : invalidRequest(result.error);
    },
  });
}

const rank: Record<UserRole, number> = { auditor: 0, admin: 1, owner: 2 };

/** The person who asks. @throws auth.forbidden for a service token. */
export function personOf(c: Context<Env>): UserRow {
  const { principal } = c.var;
  if (principal.kind === "user") return principal.user;
  throw new KeyGateError("auth.forbidden", { detail: "This is for people: no service token may do it." });
}

/**
 * Lets through people who have at least this role. Every call that changes something needs `admin` anyway (see
 * authorize.ts); a route names a role only to ask for more.
 */
export function requireRole(role: UserRole): MiddlewareHandler<Env> {
  return async (c, next) => {
    const user = personOf(c);
    if (rank[user.role] < rank[role]) {
      throw new KeyGateError("auth.forbidden", {
        detail: `This takes the role ${role}; you are signed in as ${user.role}.`,
      });
    }
    await next();
  };
}

/** Names the next page of a list in the `Link` header; a relative reference, so that it holds behind any proxy. */
export function pageLink(c: Context<Env>, next: string | null): void {
  if (next === null) return;
  const url = new URL(c.req.url);
  url.searchParams.set("cursor", next);
  c.header("Link", `<${url.pathname}${url.search}>; rel="next"`);
}

/** The headers of a 202: where the job can be followed. */
export const jobLocation = (jobId: JobId | null): Record<string, string> =>
  jobId ? { Location: `/api/v1/jobs/${jobId}` } : {};
