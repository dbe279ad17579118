import type { Context } from "hono";

const defaultWaitSeconds = 25;
// Proxies and load balancers commonly cut an idle request off after a minute.
const longestWaitSeconds = 60;

export interface Preference {
  waitSeconds: number;
  /** What of the header was followed, for `Preference-Applied`; null when nothing was asked. */
  applied: string | null;
}

/**
 * Reads `Prefer` (RFC 7240): `wait=N` in seconds, `respond-async`. Both together mean: wait N seconds, then answer 202.
 * Of a repeated preference the first one counts; what cannot be understood is ignored, as the RFC asks.
 */
export function readPrefer(header: string | undefined): Preference {
  const asked = new Map<string, string>();
  for (const part of (header ?? "").split(",")) {
    const [name = "", value = ""] = (part.split(";")[0] ?? "").split("=").map((text) => text.trim());
    const key = name.toLowerCase();
    if (key && !asked.has(key)) asked.set(key, value.replace(/^"(.*)"$/, "$1"));
  }
  const wait = asked.get("wait");
  if (wait !== undefined && /^\d{1,9}$/.test(wait)) {
    const waitSeconds = Math.min(Number(wait), longestWaitSeconds);
    return { waitSeconds, applied: `${asked.has("respond-async") ? "respond-async, " : ""}wait=${waitSeconds}` };
  }
  if (asked.has("respond-async")) return { waitSeconds: 0, applied: "respond-async" };
  return { waitSeconds: defaultWaitSeconds, applied: null };
}

/** How many seconds the caller of this request will wait for its job; says so in `Preference-Applied`. */
export function waitSecondsOf(c: Context): number {
  const { waitSeconds, applied } = readPrefer(c.req.header("prefer"));
  if (applied) c.header("Preference-Applied", applied);
  return waitSeconds;
}
