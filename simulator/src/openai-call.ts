/** One call to the simulated OpenAI: reading it strictly, answering in the vendor's envelopes. */
import { z } from "zod";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";
import type { OpenAiSettings } from "./openai-settings.ts";
import type { Listed, OpenAiState, Project } from "./openai-state.ts";

export interface OpenAiCall {
  req: SimRequest;
  sim: SimContext;
  state: OpenAiState;
  settings: OpenAiSettings;
  nowMs: number;
  /** The path's parts in braces, by name. */
  params: Record<string, string>;
}

export type Handler = (call: OpenAiCall) => SimResponse;
/** Method, path below `/v1` with parameters in braces, handler, and whether it takes a query: all others refuse one. */
export type Route = readonly [method: string, path: string, handler: Handler, query?: "query"];

interface ErrorFields {
  type?: string;
  code?: string | null;
  param?: string | null;
  headers?: Record<string, string>;
}

/** An answer that ends the call. */
export class Refusal extends Error {
  readonly answer: SimResponse;
  constructor(answer: SimResponse) {
    super(`refused with ${answer.status}`);
    this.answer = answer;
  }
}

/** A refusal in the vendor's normal envelope. */
export function refusal(status: number, message: string, fields: ErrorFields = {}): Refusal {
  const { type = "invalid_request_error", code = null, param = null, headers } = fields;
  return new Refusal({ status, ...(headers && { headers }), body: { error: { type, code, param, message } } });
}

/** The vendor's second envelope, whose `error` is a bare string. */
export function missingScopes(status: number, scopes: string): Refusal {
  const error =
    `You have insufficient permissions for this operation. Missing scopes: ${scopes}. ` +
    "Check that you have the correct role in your organization and project, and if you're using a restricted API key, that it has the necessary scopes.";
  return new Refusal({ status, body: { error } });
}

/** A 400 for something that no correct caller sends. */
export function wrong(call: OpenAiCall, message: string, fields: ErrorFields = {}): Refusal {
  call.sim.violation(message);
  return refusal(400, message, fields);
}

export const ok = (body: unknown): SimResponse => ({ status: 200, body });

/** The body, strictly. A missing one counts as empty, so that calls whose every field is optional may send none. */
export function readBody<S extends z.ZodType>(call: OpenAiCall, schema: S): z.output<S> {
  const { req } = call;
  if (req.jsonError) throw wrong(call, "We could not parse the JSON body of your request.");
  if (req.rawBody !== "" && !/^application\/json\b/i.test(req.headers["content-type"] ?? "")) {
    throw wrong(call, "The Content-Type of a request with a body must be application/json.");
  }
  return checked(call, schema, req.json === undefined ? {} : req.json);
}

/** The query, strictly. `arrays` may be repeated, with or without brackets behind the name. */
export function readQuery<S extends z.ZodObject>(
  call: OpenAiCall,
  schema: S,
  arrays: readonly string[] = [],
): z.output<S> {
  const raw: Record<string, string | string[]> = {};
  for (const name of new Set(call.req.query.keys())) {
    const values = call.req.query.getAll(name);
    const plain = name.replace(/\[\]$/, "");
    if (arrays.includes(plain)) raw[plain] = [...(raw[plain] ?? []), ...values];
    else raw[name] = values.length === 1 ? (values[0] ?? "") : values;
  }
  return checked(call, schema, raw);
}

function checked<S extends z.ZodType>(call: OpenAiCall, schema: S, input: unknown): z.output<S> {
  const result = schema.safeParse(input);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys[0] : undefined;
  const param = [...(issue?.path ?? []), ...(unknown === undefined ? [] : [unknown])].join(".");
  throw wrong(call, `${call.req.method} ${call.req.path}: ${param || "body"}: ${issue?.message ?? "invalid"}`, {
    code: issueCode(issue, input),
    param: param || null,
  });
}

const ISSUE_CODES: Partial<Record<string, string>> = {
  unrecognized_keys: "unknown_parameter",
  invalid_type: "invalid_type",
  too_small: "below_min_value",
  too_big: "above_max_value",
};

function issueCode(issue: z.core.$ZodIssue | undefined, input: unknown): string {
  if (issue === undefined) return "invalid_value";
  let at: unknown = input;
  for (const key of issue.path) at = (at as Record<PropertyKey, unknown> | null | undefined)?.[key];
  if (at === undefined && issue.code !== "unrecognized_keys") return "missing_required_parameter";
  return ISSUE_CODES[issue.code] ?? "invalid_value";
}

/** A whole number in a query, within bounds. */
export const intParam = (min: number, max: number) =>
  z.string().regex(/^\d+$/, { error: "not an integer" }).transform(Number).pipe(z.int().min(min).max(max));

const limit = intParam(1, 100);
const cursor = z.string().min(1);
export const ListQuery = z.strictObject({ limit: limit.default(20), after: cursor.optional() });
export const order = z.enum(["asc", "desc"]);
export const CursorsQuery = ListQuery.extend({ before: cursor.optional() });
export const NoQuery = z.strictObject({});

interface PageRequest {
  limit: number;
  after?: string | undefined;
  before?: string | undefined;
}

/** One page in the vendor's list envelope. `all` is in list order and includes what has gone, so that old cursors keep working. */
export function page<T extends Listed>(
  call: OpenAiCall,
  all: readonly T[],
  asked: PageRequest,
  shown: (item: T) => boolean,
  view: (item: T) => { id: string },
): SimResponse {
  const place = (id: string) => {
    const index = all.findIndex((item) => item.id === id);
    if (index === -1) throw wrong(call, `There is nothing in this list with the id ${id}.`, { code: "invalid_cursor" });
    return index;
  };
  const from = asked.after === undefined ? 0 : place(asked.after) + 1;
  const to = asked.before === undefined ? all.length : place(asked.before);
  const matching = all
    .slice(from, to)
    .filter((item) => shown(item) && call.nowMs - item.createdAtMs >= call.settings.list_lag_ms);
  // Going backwards, the page is the one next to the cursor, not the first of the list.
  const backwards = asked.before !== undefined && asked.after === undefined;
  const data = (backwards ? matching.slice(-asked.limit) : matching.slice(0, asked.limit)).map(view);
  return ok({
    object: "list",
    data,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
    has_more: matching.length > data.length,
  });
}

export const newestFirst = <T extends Listed>(items: readonly T[]) => items.toSorted((a, b) => b.seq - a.seq);

/** The project of the path; 404 when there is none. Most calls are about one that was made a moment ago. */
export function projectOf(call: OpenAiCall): Project {
  const project = call.state.projects.findLast(({ id }) => id === call.params.project_id);
  if (project === undefined) throw refusal(404, `No project found with id '${call.params.project_id}'.`);
  return project;
}

/** The project of the path, for calls that archived projects refuse. */
export function activeProjectOf(call: OpenAiCall): Project {
  const project = projectOf(call);
  if (project.archivedAtMs !== null) throw refusal(400, `Project '${project.id}' is archived.`);
  return project;
}
