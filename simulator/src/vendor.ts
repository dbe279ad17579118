/** What a simulated vendor is: a function of requests over a state of its own. The server around it lives in core.ts. */
import type { z } from "zod";

/** One request as the vendor sees it: read to the end, headers in lower case. */
export interface SimRequest {
  method: string;
  /** The pathname, still percent-encoded. */
  path: string;
  query: URLSearchParams;
  headers: Record<string, string>;
  rawBody: string;
  /** The body as JSON; `undefined` when there is no body or it is not JSON (then `jsonError` is true). */
  json: unknown;
  jsonError: boolean;
}

export interface SimResponse {
  status: number;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** Sent as it is, with the content type found in `headers`. Wins over `body`. */
  text?: string;
}

export interface SimContext {
  /** Milliseconds since 1970 by the simulator's movable clock. */
  now(): number;
  /** Records that the caller sent something the vendor would refuse. The vendor still answers as the vendor would. */
  violation(reason: string): void;
  /** The vendor's settings as they are now: defaults with what `/_control/settings` merged over them. */
  settings: Record<string, unknown>;
}

export interface SimVendor {
  name: string;
  handle(req: SimRequest, sim: SimContext): SimResponse | Promise<SimResponse>;
  /** The vendor's own state, for checks. Includes which secrets are live; the secrets themselves only on request. */
  books(sim: SimContext, options: { secrets: boolean }): unknown;
  /** Back to the state of a fresh start. The server resets clock, settings, faults and logs itself. */
  reset(): void;
  /** Vendor-specific control, `POST /_control/vendor/{action}`; `undefined` when there is no such action. */
  control?(action: string, body: unknown, sim: SimContext): SimResponse | undefined | Promise<SimResponse | undefined>;
  /** A strict object whose every field has a default: it names the settings, checks them and says how they start. */
  settings?: z.ZodObject;
}
