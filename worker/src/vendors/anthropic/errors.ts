import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import { retryAfterMsOf, type VendorRefusal } from "../http.ts";

// Read leniently: a member that is absent or of another shape must not hide the others.
const Envelope = z.object({
  error: z.object({
    type: z.string().nullish().catch(null),
    message: z.string().nullish().catch(null),
    details: z
      .object({ error_code: z.string().nullish().catch(null) })
      .nullish()
      .catch(null),
  }),
});

// The organization has no part in the early access to spend limits by API, or is of a kind that never will.
const unsupportedCodes = new Set(["spend_limits_admin_api_writes_not_enabled", "organization_type_not_supported"]);
// These end with the month or with a new contract, not by waiting: Anthropic sends them without a time to come back.
const spendCodes = new Set(["enforced_spend_limit_reached", "contract_spend_limit_reached"]);

const wordsMax = 500;

/** Whether an answer has the shape that all of Anthropic's refusals have. */
const isEnvelope = (json: unknown): boolean => Envelope.safeParse(json).success;

/** The vendor's words and its code, where the answer has the documented envelope. */
export function readAnthropicError(json: unknown): { words: string | null; type: string | null; code: string | null } {
  const envelope = Envelope.safeParse(json);
  if (!envelope.success) return { words: null, type: null, code: null };
  const { message, type, details } = envelope.data.error;
  return { words: message?.slice(0, wordsMax) ?? null, type: type ?? null, code: details?.error_code ?? null };
}

/**
 * Sorts Anthropic's refusals by status and code; an unknown code counts as its status alone, and what the text says is
 * passed on, never decided by.
 */
export function classifyAnthropic({ status, headers, json, call }: VendorRefusal): KeyGateError {
  const { words, type, code } = readAnthropicError(json);
  const facts = { ...call, status, type, code };
  const detail = words ? `Anthropic says: ${words}` : `Anthropic answered with status ${status}.`;
  const retryAfterMs = retryAfterMsOf(headers);
  const waiting = retryAfterMs === undefined ? {} : { retryAfterMs };

  if (status === 429 && !(code && spendCodes.has(code))) {
    return new KeyGateError("vendor.throttled", { detail, facts, nothingHappened: true, ...waiting });
  }
  if (status < 500 && code && unsupportedCodes.has(code)) {
    return new KeyGateError("vendor.limits_unsupported", { detail, facts, nothingHappened: true });
  }
  if (status === 401 || status === 403) {
    return new KeyGateError("vendor.refused_us", { detail, facts, nothingHappened: true });
  }
  // Two changes met: the same one works a moment later. Every other 409 is a duplicate and stays one.
  const passesByItself = status === 409 && code === "concurrent_membership_change";
  if (status === 408 || status >= 500 || passesByItself) {
    return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
  }
  // A web page that says "not found" is something between us and Anthropic; it knows nothing of keys and workspaces.
  if (status === 404 && !isEnvelope(json)) {
    return new KeyGateError("vendor.unexpected", {
      detail:
        "The answer 404 did not come from Anthropic itself: look at the configured address and what lies between.",
      facts,
    });
  }
  return new KeyGateError("vendor.refused", { detail, facts, nothingHappened: true });
}

/**
 * Sorts the refusals of the one call that is made with a key that a person gave. A refusal speaks of that key, never of
 * our own credential, and the job goes on waiting; only outages and throttling are the vendor's.
 */
export function classifyGivenKey(refusal: VendorRefusal): KeyGateError {
  const error = classifyAnthropic(refusal);
  // Whoever answers "not found" here, waiting does not help; a person can read it and look.
  const passesByItself = error.kind === "retryable" && refusal.status !== 404;
  if (passesByItself || error.kind === "rate_limited") return error;
  const refused = (detail: string) => new KeyGateError("job.input_refused", { detail, facts: error.facts });
  const { words } = readAnthropicError(refusal.json);
  const theirs = words ? ` Anthropic's words: ${words}` : "";
  if (refusal.status === 401) {
    return refused("Anthropic does not accept this key: it was cut off, or it is disabled, deleted or expired.");
  }
  // A key that belongs to a workspace is told so in the answer's headers; this one is asked to name a workspace.
  if (refusal.status === 400 && !refusal.headers["anthropic-workspace-id"]) {
    return refused(
      `The key does not belong to a single workspace: it could spend in every workspace and may even open the Admin API. Delete it in the Console and make a key inside the workspace.${theirs}`,
    );
  }
  return refused(`Anthropic knows the key but refuses a call with it (status ${refusal.status}).${theirs}`);
}

/** Whether the vendor said that what was addressed does not exist. */
export const isGone = (error: unknown): boolean =>
  error instanceof KeyGateError && error.code === "vendor.refused" && error.facts.status === 404;
