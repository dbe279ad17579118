/** The `/_control/` side of every vendor server: how tests and drills steer a vendor and look into its books. */
import { z } from "zod";
import { FaultSpec, type Faults } from "./faults.ts";
import type { SimRequest, SimResponse } from "./vendor.ts";

export interface Call {
  /** 1, 2, 3 … in order of arrival, across the server's life since the last reset. */
  n: number;
  method: string;
  path: string;
  /** Decoded; a repeated parameter's values are joined by commas; values that are secrets are replaced. */
  query: Record<string, string>;
  /** What the client was sent; `null` while the call runs and when no answer left the vendor. */
  status: number | null;
  /** Arrival by the simulator's clock, ms. */
  at: number;
  fault?: string;
  /** Whether the vendor saw the call. */
  effect: boolean;
  /** Wall time; `null` while the call runs. */
  durationMs: number | null;
}

export interface Violation {
  /** The call it was found in. */
  n: number;
  at: number;
  method: string;
  path: string;
  reason: string;
}

/** What control can reach of a running vendor. */
export interface ControlTarget {
  faults: Faults;
  calls(): Call[];
  violations(): Violation[];
  books(options?: { secrets?: boolean }): unknown;
  reset(): void;
  advanceClock(ms: number): number;
  settings(): Record<string, unknown>;
  /** Merges settings; throws a ZodError for an unknown or bad one. */
  mergeSettings(patch: Record<string, unknown>): Record<string, unknown>;
  control(action: string, body?: unknown): Promise<SimResponse | undefined>;
}

const Nothing = z.union([z.undefined(), z.strictObject({})]);
const Clock = z.strictObject({ advance_ms: z.int().min(0) });
const Settings = z.record(z.string(), z.unknown());

const json = (body: unknown, status = 200): SimResponse => ({ status, body });

/** Answers one `/_control/` call: 400 for bad input, 404 for an unknown call. */
export async function handleControl(target: ControlTarget, req: SimRequest): Promise<SimResponse> {
  if (req.jsonError) return json({ error: "the body is not JSON" }, 400);
  try {
    return (await route(target, req)) ?? json({ error: `no such control call: ${req.method} ${req.path}` }, 404);
  } catch (error) {
    if (error instanceof z.ZodError) return json({ error: z.prettifyError(error) }, 400);
    return json({ error: error instanceof Error ? error.message : String(error) }, 400);
  }
}

async function route(target: ControlTarget, req: SimRequest): Promise<SimResponse | undefined> {
  const release = /^POST \/_control\/faults\/([^/]+)\/release$/.exec(`${req.method} ${req.path}`)?.[1];
  if (release !== undefined) {
    Nothing.parse(req.json);
    const released = target.faults.release(decodeURIComponent(release));
    return released === null ? json({ error: "there is no such fault" }, 404) : json({ released });
  }
  const action = /^POST \/_control\/vendor\/([^/]+)$/.exec(`${req.method} ${req.path}`)?.[1];
  if (action !== undefined) return target.control(decodeURIComponent(action), req.json);

  switch (`${req.method} ${req.path}`) {
    case "POST /_control/faults":
      return json({ id: target.faults.add(FaultSpec.parse(req.json)) });
    case "GET /_control/faults":
      return json({ faults: target.faults.list() });
    case "DELETE /_control/faults":
      target.faults.clear();
      return json({});
    case "GET /_control/calls":
      return json({ calls: target.calls() });
    case "GET /_control/violations":
      return json({ violations: target.violations() });
    case "GET /_control/books":
      return json(target.books({ secrets: req.query.get("secrets") === "1" }));
    case "POST /_control/reset":
      Nothing.parse(req.json);
      target.reset();
      return json({});
    case "POST /_control/clock":
      return json({ now: target.advanceClock(Clock.parse(req.json).advance_ms) });
    case "GET /_control/settings":
      return json({ settings: target.settings() });
    case "POST /_control/settings":
      return json({ settings: target.mergeSettings(Settings.parse(req.json)) });
    default:
      return undefined;
  }
}
