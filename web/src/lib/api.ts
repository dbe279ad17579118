import type { z } from "zod";
import { Problem, problemOf, unreachable, unreadable } from "./problem.ts";
import { sessionRestored } from "./session.ts";

const base = "/api/v1";

type QueryValue = string | number | boolean | null | undefined;
export type QueryValues = Record<string, QueryValue>;

interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  body?: unknown;
  query?: QueryValues;
  signal?: AbortSignal;
  /** Seconds to wait for a job; 0 answers at once. */
  waitSeconds?: number;
  /** The same for every try of the same intent. */
  idempotencyKey?: string;
  accept?: string;
  /** For calls that need nobody signed in: 401 is their answer, not the end of a session. */
  isPublic?: boolean;
}

export function addressOf(path: string, query: QueryValues = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${base}${path}${text ? `?${text}` : ""}`;
}

async function send(path: string, call: Call): Promise<Response> {
  const { method = "GET", body, query, signal, waitSeconds, idempotencyKey, accept } = call;
  const headers: Record<string, string> = {
    Accept: accept ?? "application/json",
    // Together with the browser's own word on where the request comes from: no other page can send this.
    "X-Requested-By": "keygate-dashboard",
  };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (waitSeconds !== undefined) headers.Prefer = waitSeconds === 0 ? "respond-async" : `wait=${waitSeconds}`;
  if (idempotencyKey) headers["Idempotency-Key"] = idempotencyKey;
  const request: RequestInit = { method, headers, credentials: "same-origin", cache: "no-store", redirect: "error" };
  if (body !== undefined) request.body = JSON.stringify(body);
  if (signal) request.signal = signal;
  try {
    return await fetch(addressOf(path, query), request);
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable();
  }
}

/** The answer of a call that succeeded. When the session has ended, a new sign-in is waited for and the call repeated. */
export async function request(path: string, call: Call = {}): Promise<Response> {
  for (;;) {
    const response = await send(path, call);
    if (response.ok) return response;
    const problem = await problemOf(response);
    const isSessionOver = response.status === 401 && problem.code !== "auth.invalid_credentials";
    if (call.isPublic || !isSessionOver) throw problem;
    await sessionRestored();
  }
}

/** The parsed answer. @throws a problem when it is not what the contract says. */
export async function read<S extends z.ZodType>(response: Response, schema: S): Promise<z.output<S>> {
  const parsed = schema.safeParse(await response.json().catch(() => undefined));
  if (!parsed.success) throw unreadable();
  return parsed.data;
}

export async function apiGet<S extends z.ZodType>(path: string, schema: S, call: Call = {}): Promise<z.output<S>> {
  return read(await request(path, call), schema);
}

export const apiSend = apiGet;

export interface Page<T> {
  items: T[];
  next: string | null;
}

/** The cursor of the page after this one, from its `Link`. */
export function nextCursorOf(response: Response): string | null {
  const link = /<([^>]+)>;\s*rel="next"/.exec(response.headers.get("link") ?? "")?.[1];
  return link ? new URL(link, location.origin).searchParams.get("cursor") : null;
}

/** One page of a list; `next` is the cursor of the page after it. */
export async function apiList<S extends z.ZodType>(path: string, item: S, call: Call = {}): Promise<Page<z.output<S>>> {
  const response = await request(path, call);
  return { items: await read(response, item.array()), next: nextCursorOf(response) };
}

export const isNotFound = (error: unknown): boolean => error instanceof Problem && error.status === 404;
