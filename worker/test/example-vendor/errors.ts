import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import { retryAfterMsOf, type VendorRefusal } from "../../src/vendors/http.ts";

const AcmeError = z.object({ code: z.string(), message: z.string(), scope: z.string().optional() });

const wordsMax = 500;

/** Sorts Acme's refusals by status and code; its words are passed on, never decided by. */
export function classifyAcme({ status, headers, json, call }: VendorRefusal): KeyGateError {
  const read = AcmeError.safeParse(json);
  const { code = null, message = null, scope = null } = read.success ? read.data : {};
  const facts = { ...call, status, code, scope };
  const detail = message ? `Acme says: ${message.slice(0, wordsMax)}` : `Acme answered with status ${status}.`;
  const retryAfterMs = retryAfterMsOf(headers);
  const waiting = retryAfterMs === undefined ? {} : { retryAfterMs };

  if (status === 429) return new KeyGateError("vendor.throttled", { detail, facts, nothingHappened: true, ...waiting });
  if (status === 401 || status === 403) {
    return new KeyGateError("vendor.refused_us", { detail, facts, nothingHappened: true });
  }
  // The gateway in front of Acme answers these too, perhaps after Acme has acted.
  if (status === 408 || status >= 500) return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
  return new KeyGateError("vendor.refused", { detail, facts, nothingHappened: true });
}

/** Whether Acme itself said that what was addressed does not exist; a gateway's page for a wrong address is no proof. */
export const isGone = (error: unknown): boolean =>
  error instanceof KeyGateError && error.facts.status === 404 && error.facts.code === "not_found";
