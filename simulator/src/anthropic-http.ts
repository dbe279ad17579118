/** How Anthropic's APIs speak: refusals, strict input, ids, times and the two kinds of paging. */
import { randomInt, randomUUID } from "node:crypto";
import { z } from "zod";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";

const ERROR_TYPES: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  402: "billing_error",
  403: "permission_error",
  404: "not_found_error",
  405: "invalid_request_error",
  409: "conflict_error",
  413: "request_too_large",
  429: "rate_limit_error",
  529: "overloaded_error",
};

interface RefusalOptions {
  /** Sent as `error.details`. */
  details?: { error_code: string };
  /** What the caller did that no correct client does; filed as a violation. */
  violation?: boolean;
  headers?: Record<string, string>;
}

/** An answer other than 200, thrown by whoever finds the reason. */
export class Refusal extends Error {
  readonly status: number;
  readonly options: RefusalOptions;

  constructor(status: number, message: string, options: RefusalOptions = {}) {
    super(message);
    this.status = status;
    this.options = options;
  }
}

/** A refusal that is the caller's mistake: 400 unless said otherwise, and a violation. */
export const mistake = (message: string, status = 400) => new Refusal(status, message, { violation: true });

export const notFound = (what: string) => new Refusal(404, `${what} was not found.`);

/** The envelope of every refusal. */
export function refusalResponse(refusal: Refusal, requestId: string): SimResponse {
  const { details, headers } = refusal.options;
  const type = ERROR_TYPES[refusal.status] ?? "api_error";
  return {
    status: refusal.status,
    headers: { ...headers, "request-id": requestId },
    body: {
      type: "error",
      error: { type, message: refusal.message, ...(details && { details }) },
      request_id: requestId,
    },
  };
}

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function randomText(length: number, alphabet: string): string {
  return Array.from({ length }, () => alphabet.charAt(randomInt(alphabet.length))).join("");
}

/** An id as Anthropic makes them: `wrkspc_01…`. */
export const makeId = (prefix: string) => `${prefix}_01${randomText(22, BASE58)}`;

export const makeRequestId = () => `req_01${randomUUID().replaceAll("-", "").slice(0, 22)}`;

/** Text of url-safe characters, for secrets. */
export const randomUrlSafe = (length: number) => randomText(length, URL_SAFE);

/** RFC 3339 in UTC with microseconds. */
export const timeOf = (ms: number) => new Date(ms).toISOString().replace("Z", "000Z");

/** One request on its way through a handler. */
export interface AnthropicCall<World> {
  world: World;
  req: SimRequest;
  sim: SimContext;
  /** The value of `anthropic-version`. */
  version: string;
  /** The path's variable parts, decoded, in order. */
  params: string[];
}

/** The key that a request carries, in either of the two ways: the documents say `x-api-key`, the official client sends Bearer. */
export function credentialOf(req: SimRequest): string {
  const bearer = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
  const credential = req.headers["x-api-key"] ?? bearer;
  if (credential === undefined) throw new Refusal(401, "x-api-key header is required");
  return credential;
}

/** The body by a strict schema. Refuses what is not JSON, unknown fields included. */
export function bodyOf<T>(req: SimRequest, schema: z.ZodType<T>): T {
  if (req.rawBody !== "" && !/^application\/json\b/i.test(req.headers["content-type"] ?? "")) {
    throw mistake("content-type: must be application/json");
  }
  if (req.jsonError) throw mistake("The request body is not valid JSON.");
  const parsed = schema.safeParse(req.json ?? {});
  if (!parsed.success) throw mistake(z.prettifyError(parsed.error));
  return parsed.data;
}

/** Refuses a body where the call takes none. */
export function noBody(req: SimRequest): void {
  bodyOf(req, z.strictObject({}));
}

/** Refuses parameters that the call does not know, and plain ones that are given twice. */
export function knownQuery(req: SimRequest, names: readonly string[]): void {
  for (const name of new Set(req.query.keys())) {
    if (!names.includes(name)) throw mistake(`${name}: Extra inputs are not permitted`);
    if (!name.endsWith("[]") && req.query.getAll(name).length > 1) throw mistake(`${name}: given more than once`);
  }
}

/** A query parameter out of a list of values; `null` when it is absent. */
export function choiceOf<T extends string>(req: SimRequest, name: string, values: readonly T[]): T | null {
  const given = req.query.get(name);
  if (given === null) return null;
  const value = values.find((allowed) => allowed === given);
  if (value === undefined) throw mistake(`${name}: Input should be one of ${values.join(", ")}`);
  return value;
}

export const flagOf = (req: SimRequest, name: string) => choiceOf(req, name, ["true", "false"]) === "true";

function limitOf<T>(req: SimRequest, absent: T): number | T {
  const given = req.query.get("limit");
  if (given === null) return absent;
  const limit = Number(given);
  if (!/^\d+$/.test(given) || limit < 1 || limit > 1000) throw mistake("limit: must be between 1 and 1000");
  return limit;
}

export const ID_PAGE_QUERY = ["limit", "after_id", "before_id"] as const;

/**
 * Pages by `after_id` and `before_id`. The cursor is looked up among `all`, not among the wanted:
 * an item that left the filter between two pages (archived meanwhile) still marks the place.
 */
export function pageById<T extends { id: string }>(
  req: SimRequest,
  all: readonly T[],
  isWanted: (item: T) => boolean,
  view: (item: T) => unknown,
): unknown {
  const limit = limitOf(req, 20);
  const after = req.query.get("after_id");
  const before = req.query.get("before_id");
  if (after !== null && before !== null) throw mistake("after_id, before_id: only one of them can be given");
  const cursor = after ?? before;
  const at = cursor === null ? -1 : all.findIndex(({ id }) => id === cursor);
  if (cursor !== null && at < 0) throw mistake(`${after === null ? "before_id" : "after_id"}: unknown id`);

  const candidates = (before === null ? all.slice(at + 1) : all.slice(0, at)).filter(isWanted);
  const items = before === null ? candidates.slice(0, limit) : candidates.slice(-limit);
  return {
    data: items.map(view),
    has_more: candidates.length > items.length,
    first_id: items[0]?.id ?? null,
    last_id: items.at(-1)?.id ?? null,
  };
}

export const CURSOR_PAGE_QUERY = ["limit", "page"] as const;

/** Pages by an opaque cursor that is bound to the other parameters. Without `limit` everything is one page. */
export function pageByCursor(req: SimRequest, items: readonly unknown[]): unknown {
  const limit = limitOf(req, items.length);
  const filters = [...req.query]
    .filter(([name]) => name !== "limit" && name !== "page")
    .map(([name, value]) => `${name}=${value}`)
    .sort()
    .join("&");
  const page = req.query.get("page");
  const offset = page === null ? 0 : offsetOf(page, filters);
  const end = offset + limit;
  const next = Buffer.from(JSON.stringify([end, filters])).toString("base64url");
  return { data: items.slice(offset, end), next_page: end < items.length ? `page_${next}` : null };
}

function offsetOf(page: string, filters: string): number {
  const Cursor = z.tuple([z.int().min(0), z.string()]);
  let decoded: unknown;
  try {
    decoded = JSON.parse(Buffer.from(page.replace(/^page_/, ""), "base64url").toString("utf8"));
  } catch {
    throw mistake("page: not a cursor of this endpoint");
  }
  const cursor = Cursor.safeParse(decoded);
  if (!cursor.success) throw mistake("page: not a cursor of this endpoint");
  if (cursor.data[1] !== filters) throw mistake("page: the filters changed since the cursor was made");
  return cursor.data[0];
}
