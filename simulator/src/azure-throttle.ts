/** ARM's token buckets: how many calls of a kind a caller has left. */
import { ArmError } from "./azure-errors.ts";
import type { AzureSettings } from "./azure-settings.ts";
import type { AzureState } from "./azure-state.ts";

/** All callers of a subscription together have this many times what one has. */
const GLOBAL_FACTOR = 15;

/** POSTs are writes, also those that only read. */
const kindOf = (method: string) => (method === "GET" ? "reads" : method === "DELETE" ? "deletes" : "writes");

/** Takes one call out of its bucket and returns the headers that say what is left; 429 with `Retry-After` when it is empty. */
export function takeToken(
  state: AzureState,
  throttling: AzureSettings["throttling"],
  method: string,
  now: number,
): Record<string, string> {
  const kind = kindOf(method);
  const limit = throttling?.[kind] ?? { size: 200, per_second: 10 };
  const bucket = state.buckets.get(kind) ?? { level: limit.size, at: now };
  const level = Math.min(limit.size, bucket.level + (Math.max(0, now - bucket.at) / 1_000) * limit.per_second);
  if (throttling !== null && level < 1) {
    state.buckets.set(kind, { level, at: now });
    const seconds = Math.max(1, Math.ceil((1 - level) / limit.per_second));
    const message = `Number of '${kind}' requests for the subscription exceeded the limit. Try again after '${seconds}' seconds.`;
    throw new ArmError(
      429,
      { code: "SubscriptionRequestsThrottled", message },
      { headers: { "retry-after": String(seconds) } },
    );
  }
  const left = throttling === null ? limit.size : level - 1;
  state.buckets.set(kind, { level: left, at: now });
  return {
    [`x-ms-ratelimit-remaining-subscription-${kind}`]: String(Math.floor(left)),
    [`x-ms-ratelimit-remaining-subscription-global-${kind}`]: String(
      Math.floor(left) + limit.size * (GLOBAL_FACTOR - 1),
    ),
  };
}
