/** How Google's APIs speak: errors with a status and details, strict bodies, times, base64 page tokens. */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";

const CODES = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ALREADY_EXISTS: 409,
  ABORTED: 409,
  RESOURCE_EXHAUSTED: 429,
} as const;

type Status = keyof typeof CODES;

interface RefusalOptions {
  /** Entries of `error.details`, each with its `@type`. */
  details?: Record<string, unknown>[];
  /** What the caller did that no correct client does; filed as a violation. */
  violation?: boolean;
}

/** An answer other than 200, thrown by whoever finds the reason. */
export class Refusal extends Error {
  readonly status: Status;
  readonly options: RefusalOptions;

  constructor(status: Status, message: string, options: RefusalOptions = {}) {
    super(message);
    this.status = status;
    this.options = options;
  }
}

/** A refusal that is the caller's mistake, and a violation. */
export const mistake = (message: string, status: Status = "INVALID_ARGUMENT") =>
  new Refusal(status, message, { violation: true });

export function refusalResponse({ status, message, options }: Refusal): SimResponse {
  const code = CODES[status];
  const details = options.details;
  return { status: code, body: { error: { code, message, status, ...(details && { details }) } } };
}

export const errorInfo = (reason: string, domain: string, metadata: Record<string, string>) => ({
  "@type": "type.googleapis.com/google.rpc.ErrorInfo",
  reason,
  domain,
  metadata,
});

/** Refused for want of a permission; says the same when the resource does not exist. */
export function denied(permission: string, resource?: string): Refusal {
  const domain = permission.startsWith("aiplatform.") ? "aiplatform.googleapis.com" : "iam.googleapis.com";
  const on = resource === undefined ? "resource" : `resource '${resource}'`;
  return new Refusal("PERMISSION_DENIED", `Permission '${permission}' denied on ${on} (or it may not exist).`, {
    details: [errorInfo("IAM_PERMISSION_DENIED", domain, { permission })],
  });
}

/** One request on its way through a handler. */
export interface GoogleCall<World> {
  world: World;
  req: SimRequest;
  sim: SimContext;
  /** The path's variable parts, decoded, in order. */
  params: string[];
  /** `serviceAccount:…`, who is calling. */
  member: string;
}

/** The body by a strict schema. Refuses what is not JSON, unknown fields included. */
export function bodyOf<T>(req: SimRequest, schema: z.ZodType<T>): T {
  if (req.rawBody !== "" && !/^application\/json\b/i.test(req.headers["content-type"] ?? "")) {
    throw mistake("The content type must be application/json.");
  }
  if (req.jsonError) throw mistake("Invalid JSON payload received.");
  const parsed = schema.safeParse(req.json ?? {});
  if (!parsed.success) throw mistake(`Invalid JSON payload received. ${z.prettifyError(parsed.error)}`);
  return parsed.data;
}

/** Refuses a body with anything in it. */
export function emptyBody(req: SimRequest): void {
  bodyOf(req, z.strictObject({}));
}

const SYSTEM_PARAMETERS = ["alt", "prettyPrint"];

/** Refuses query parameters that the call does not know. */
export function knownQuery(req: SimRequest, names: readonly string[] = []): void {
  for (const name of req.query.keys()) {
    if (!names.includes(name) && !SYSTEM_PARAMETERS.includes(name)) {
      throw mistake(`Invalid request. Unknown name "${name}": cannot bind query parameter.`);
    }
  }
}

/** RFC 3339 in UTC, whole seconds, for years up to 9999. */
export const timeOf = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

export const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

/**
 * One page of a list: `pageSize` items from the place that `pageToken` marks, then only those that are wanted.
 * So a page can be short, even empty, and still have a next one, as Google's can.
 */
export function pageOf<T>(
  req: SimRequest,
  all: readonly T[],
  sizes: { usual: number; max: number },
): { items: T[]; nextPageToken?: string } {
  const asked = req.query.get("pageSize");
  if (asked !== null && !/^\d+$/.test(asked)) throw mistake("pageSize: not a number");
  const size = Math.min(Number(asked ?? 0) || sizes.usual, sizes.max);
  const token = req.query.get("pageToken");
  const start = token === null || token === "" ? 0 : Number(Buffer.from(token, "base64url").toString("utf8"));
  if (!Number.isInteger(start) || start < 0) throw mistake("pageToken: invalid");
  const end = start + size;
  return {
    items: all.slice(start, end),
    ...(end < all.length && { nextPageToken: Buffer.from(String(end)).toString("base64url") }),
  };
}
