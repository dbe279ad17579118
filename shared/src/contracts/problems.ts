import { z } from "zod";

/** What the two processes do about a failure; one word decides for both. */
export type ProblemKind =
  | "retryable"
  | "rate_limited"
  | "ambiguous"
  | "permanent"
  | "needs_input"
  | "credentials"
  | "conflict";

export interface Problem {
  kind: ProblemKind;
  /** HTTP status when it reaches a caller. */
  status: number;
  title: string;
}

/**
 * Every failure that KeyGate knows by name. The code is the stable part of the contract: clients branch on it,
 * titles may be reworded.
 */
export const problems = {
  "request.invalid": { kind: "permanent", status: 422, title: "The request is not valid" },
  "request.malformed": { kind: "permanent", status: 400, title: "The request could not be read" },
  "request.unsupported_media_type": { kind: "permanent", status: 415, title: "The body must be application/json" },
  "request.too_large": { kind: "permanent", status: 413, title: "The body is larger than 1 MiB" },
  "request.throttled": { kind: "rate_limited", status: 429, title: "Too many requests" },
  "request.not_found": { kind: "permanent", status: 404, title: "There is nothing at this address" },
  "request.misdirected": { kind: "permanent", status: 421, title: "This KeyGate does not answer to that host name" },
  "request.method_not_allowed": { kind: "permanent", status: 405, title: "This address does not take that method" },
  "auth.required": { kind: "permanent", status: 401, title: "Sign in first" },
  "auth.invalid_token": { kind: "permanent", status: 401, title: "The access token is not valid" },
  "auth.invalid_credentials": { kind: "permanent", status: 401, title: "The e-mail or the password is wrong" },
  "auth.forbidden": { kind: "permanent", status: 403, title: "Your role may not do this" },
  "auth.scope_missing": { kind: "permanent", status: 403, title: "The service token lacks the scope for this" },
  "auth.throttled": { kind: "rate_limited", status: 429, title: "Too many failed sign-ins" },
  "idempotency.mismatch": { kind: "permanent", status: 422, title: "This Idempotency-Key was used with another body" },
  "idempotency.in_flight": { kind: "conflict", status: 409, title: "The first request with this key is still running" },
  "user.not_found": { kind: "permanent", status: 404, title: "No such user" },
  "user.email_taken": { kind: "conflict", status: 409, title: "Another user has this e-mail" },
  "user.last_owner": { kind: "conflict", status: 409, title: "KeyGate needs one owner at least" },
  "user.removed": { kind: "conflict", status: 409, title: "The user was removed" },
  "link.gone": { kind: "permanent", status: 410, title: "This link was used already, or its time is over" },
  "token.not_found": { kind: "permanent", status: 404, title: "No such service token" },
  "token.name_taken": { kind: "conflict", status: 409, title: "Another service token has this name" },
  "developer.not_found": { kind: "permanent", status: 404, title: "No such developer" },
  "developer.email_taken": { kind: "permanent", status: 400, title: "Another developer has this e-mail" },
  "developer.inactive": { kind: "conflict", status: 409, title: "The developer is deactivated" },
  "workspace.not_found": { kind: "permanent", status: 404, title: "No such workspace" },
  "workspace.archived": { kind: "conflict", status: 409, title: "The workspace is archived" },
  "workspace.name_taken": { kind: "conflict", status: 409, title: "Another workspace has this name" },
  "workspace.member_exists": { kind: "conflict", status: 409, title: "Already a member of this workspace" },
  "workspace.member_not_found": { kind: "permanent", status: 404, title: "Not a member of this workspace" },
  "workspace.not_a_member": { kind: "conflict", status: 409, title: "The developer is not a member of the workspace" },
  "workspace.limit_exceeded": { kind: "conflict", status: 409, title: "The workspace's limit would be exceeded" },
  "workspace.has_live_keys": { kind: "conflict", status: 409, title: "The workspace still has live keys" },
  "vendor.not_configured": { kind: "conflict", status: 409, title: "The vendor is not configured" },
  "vendor.not_found": { kind: "permanent", status: 404, title: "No such vendor is configured" },
  "vendor.has_live_keys": { kind: "conflict", status: 409, title: "The vendor still has live keys" },
  "vendor.from_environment": { kind: "conflict", status: 409, title: "The vendor is configured by the environment" },
  "vendor.unavailable": { kind: "retryable", status: 503, title: "The vendor did not answer" },
  "vendor.no_answer": { kind: "ambiguous", status: 503, title: "The vendor's answer was lost" },
  "vendor.throttled": { kind: "rate_limited", status: 503, title: "The vendor asks us to slow down" },
  "vendor.refused_us": { kind: "credentials", status: 502, title: "The vendor refused the admin credential" },
  "vendor.refused": { kind: "permanent", status: 502, title: "The vendor refused the request" },
  "vendor.unexpected": { kind: "retryable", status: 502, title: "The vendor's answer made no sense" },
  "vendor.not_ready": { kind: "retryable", status: 503, title: "The vendor is still working on it" },
  "vendor.limits_unsupported": { kind: "permanent", status: 422, title: "The vendor cannot do this" },
  "key.not_found": { kind: "permanent", status: 404, title: "No such key" },
  "key.not_active": { kind: "conflict", status: 409, title: "The key is not active" },
  "key.moved_on": { kind: "conflict", status: 409, title: "The key changed meanwhile" },
  "job.not_found": { kind: "permanent", status: 404, title: "No such job" },
  "job.moved_on": { kind: "conflict", status: 409, title: "The job changed meanwhile" },
  "job.lease_lost": { kind: "conflict", status: 409, title: "Another worker has taken the job over" },
  "job.not_retryable": { kind: "conflict", status: 409, title: "The job is not in a state to be retried" },
  "job.not_cancellable": { kind: "conflict", status: 409, title: "The job is not in a state to be cancelled" },
  "job.not_waiting_for_input": { kind: "conflict", status: 409, title: "The job does not wait for input" },
  "job.cancelled": { kind: "permanent", status: 409, title: "The job was cancelled" },
  "job.input_refused": { kind: "needs_input", status: 422, title: "The key that was given is not the right one" },
  "job.input_required": { kind: "needs_input", status: 409, title: "The job waits for a person" },
  "job.failed": { kind: "permanent", status: 502, title: "The job failed" },
  "job.not_debt": { kind: "conflict", status: 409, title: "The job is no debt" },
  "finding.not_found": { kind: "permanent", status: 404, title: "No such finding" },
  "finding.not_adoptable": { kind: "conflict", status: 409, title: "This cannot be adopted" },
  "finding.not_removable": { kind: "conflict", status: 409, title: "This is not removed by KeyGate" },
  "finding.resolved": { kind: "conflict", status: 409, title: "The finding is resolved already" },
  "claim.gone": { kind: "permanent", status: 410, title: "The key was taken already, or its time is over" },
  "claim.not_ready": { kind: "conflict", status: 409, title: "There is no key to take yet" },
  "claim.wrong_token": { kind: "permanent", status: 403, title: "This claim token does not open this key" },
  "audit.not_verifiable": { kind: "permanent", status: 501, title: "The audit log is not sealed yet" },
  "service.unavailable": { kind: "retryable", status: 503, title: "KeyGate cannot answer right now" },
  "service.failed": { kind: "retryable", status: 500, title: "Something went wrong inside KeyGate" },
} as const satisfies Record<string, Problem>;

export type ProblemCode = keyof typeof problems;

/** RFC 9457 problem details, the body of every answer that is not a success. */
export const ProblemDetails = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    instance: z.string().optional(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
    job_id: z.string().optional(),
  })
  .meta({ id: "Problem" });
export type ProblemDetails = z.infer<typeof ProblemDetails>;
