import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import { retryAfterMsOf, type VendorRefusal } from "../http.ts";

// Two shapes: the documented envelope, and a bare string where the credential lacks a permission.
const Envelope = z.object({
  error: z.object({ message: z.string(), code: z.string().nullish(), type: z.string().nullish() }),
});
const BareString = z.object({ error: z.string() });

// Inference codes that end with the month or with a payment, never by waiting a little.
const spendCodes = new Set([
  "project_spend_limit_exceeded",
  "organization_spend_limit_exceeded",
  "organization_usage_limit_exceeded",
  "credit_balance_exhausted",
]);

const wordsMax = 500;

/** Whether an answer has one of the two shapes that all of OpenAI's refusals have. */
const isOpenAis = (json: unknown): boolean => Envelope.safeParse(json).success || BareString.safeParse(json).success;

/** The vendor's words and code, whichever of the two shapes they came in. */
export function readOpenAiError(json: unknown): { words: string | null; code: string | null } {
  const envelope = Envelope.safeParse(json);
  if (envelope.success) {
    return { words: envelope.data.error.message.slice(0, wordsMax), code: envelope.data.error.code ?? null };
  }
  const bare = BareString.safeParse(json);
  return { words: bare.success ? bare.data.error.slice(0, wordsMax) : null, code: null };
}

/** Names the scopes that a refusal says are missing; they stand in the vendor's text and nowhere else. */
export function missingScopesIn(words: string | null): string[] {
  const match = /Missing scopes?: ([a-z0-9_.,\s]+)/i.exec(words ?? "");
  return (match?.[1] ?? "")
    .split(/[\s,]+/)
    .map((scope) => scope.replace(/\.+$/, ""))
    .filter((scope) => scope.includes("."));
}

/** Sorts OpenAI's refusals by status and code; what the text says is passed on, never decided by. */
export function classifyOpenAi({ status, headers, json, call }: VendorRefusal): KeyGateError {
  const { words, code } = readOpenAiError(json);
  const facts = { ...call, status, code };
  const detail = words ? `OpenAI says: ${words}` : `OpenAI answered with status ${status}.`;
  const retryAfterMs = retryAfterMsOf(headers);
  const waiting = retryAfterMs === undefined ? {} : { retryAfterMs };

  if (status === 429) {
    if (code && spendCodes.has(code))
      return new KeyGateError("vendor.refused", { detail, facts, nothingHappened: true });
    return new KeyGateError("vendor.throttled", { detail, facts, nothingHappened: true, ...waiting });
  }
  if (status === 401 || status === 403) {
    return new KeyGateError("vendor.refused_us", { detail, facts, nothingHappened: true });
  }
  // A lock or a time-out at the vendor's side: it may have acted.
  if (status === 408 || status === 409) return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
  if (status >= 500) return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
  // A page or an empty answer comes from something in front of OpenAI, which knows nothing of keys and projects: taken
  // for OpenAI's own "not found", a key would be called revoked that works.
  if (status === 404 && !isOpenAis(json)) return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
  return new KeyGateError("vendor.refused", { detail, facts, nothingHappened: true });
}

/** Whether the vendor said that what was addressed does not exist. */
export const isGone = (error: unknown): boolean =>
  error instanceof KeyGateError && error.code === "vendor.refused" && error.facts.status === 404;
