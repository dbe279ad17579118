import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import { retryAfterMsOf, type VendorRefusal } from "../http.ts";

const Envelope = z.object({
  error: z.object({
    message: z.string().nullish(),
    status: z.string().nullish(),
    // Free in form: an odd one must not hide what kind of refusal it is.
    details: z
      .array(z.looseObject({ "@type": z.string().nullish() }))
      .nullish()
      .catch(null),
  }),
});
const ErrorInfo = z.object({ reason: z.string(), metadata: z.record(z.string(), z.string()).nullish().catch(null) });
const Precondition = z.object({ violations: z.array(z.object({ type: z.string() })) });
const RetryInfo = z.object({ retryDelay: z.string().regex(/^\d+(\.\d+)?s$/) });

/** What Google says about a refusal, beside the words. */
export interface GoogleFacts {
  status: number;
  /** `NOT_FOUND`, `ABORTED`, …: null when whatever answered does not speak as Google does. */
  code: string | null;
  reason: string | null;
  /** The permission that is missing, or the service that is not enabled. */
  subject: string | null;
  /** Organization policies that forbid the call, without their `constraints/`. */
  constraints: string[];
}

const wordsMax = 500;
/** Rates recover within a minute; what asks for longer is a ceiling on how many of something there may be. */
const rateDelayMaxMs = 10 * 60_000;

/** What a refusal says, from whichever of its details say something. */
export function readGoogleError(
  json: unknown,
): { words: string | null; retryMs: number | null } & Omit<GoogleFacts, "status"> {
  const envelope = Envelope.safeParse(json);
  if (!envelope.success) {
    return { words: null, retryMs: null, code: null, reason: null, subject: null, constraints: [] };
  }
  const { message, status, details } = envelope.data.error;
  const all = details ?? [];
  const first = <T>(shape: z.ZodType<T>): T | undefined =>
    all.map((detail) => shape.safeParse(detail)).find((parsed) => parsed.success)?.data;
  const info = first(ErrorInfo);
  const delay = first(RetryInfo)?.retryDelay;
  return {
    words: message ? message.slice(0, wordsMax) : null,
    code: status ?? null,
    reason: info?.reason ?? null,
    subject: info?.metadata?.permission ?? info?.metadata?.service ?? null,
    // Other preconditions have types without a dot, like TOS.
    constraints: (first(Precondition)?.violations ?? [])
      .map(({ type }) => type.replace(/^constraints\//, ""))
      .filter((type) => type.includes(".")),
    retryMs: delay === undefined ? null : Number.parseFloat(delay) * 1000,
  };
}

/** Sorts Google's refusals by status, code and details; the text is passed on, never decided by. */
export function classifyGoogle({ status, headers, json, call }: VendorRefusal): KeyGateError {
  const { words, retryMs, code, reason, subject, constraints } = readGoogleError(json);
  const facts = { ...call, status, code, reason, subject, constraints };
  const says = words ? `Google says: ${words}` : `Google answered with status ${status}.`;
  const refusal = { detail: says, facts, nothingHappened: true };

  if (status === 429) {
    const isCeiling = reason !== "RATE_LIMIT_EXCEEDED" && retryMs !== null && retryMs > rateDelayMaxMs;
    // Waiting as long as such an answer asks for would be a day, and would not help: something has to be removed.
    if (isCeiling) return new KeyGateError("vendor.refused", refusal);
    const retryAfterMs = retryMs ?? retryAfterMsOf(headers);
    return new KeyGateError("vendor.throttled", {
      ...refusal,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (status === 401 || status === 403) {
    const hint =
      reason === "SERVICE_DISABLED"
        ? ` Enable the API ${subject ?? ""} in the project; that takes minutes to spread.`
        : subject
          ? ` Missing: ${subject}.`
          : "";
    return new KeyGateError("vendor.refused_us", { ...refusal, detail: `${says}${hint}` });
  }
  if (constraints.length > 0) {
    const names = constraints.join(", ");
    return new KeyGateError("vendor.refused", {
      ...refusal,
      detail: `An organization policy forbids it (${names}). ${says}`,
    });
  }
  // What stands in front of Google and does not speak as it does knows of no account and no policy. It passes.
  const isNotGoogles = code === null && (status === 404 || status === 409);
  // 499 and all of 5xx may have worked. ABORTED: somebody else changed the same thing at the same time.
  if (status >= 499 || status === 408 || status === 412 || code === "ABORTED" || isNotGoogles)
    return new KeyGateError("vendor.unavailable", { detail: says, facts });
  return new KeyGateError("vendor.refused", refusal);
}

const has = (error: unknown, matches: (facts: Partial<GoogleFacts>) => boolean): error is KeyGateError =>
  error instanceof KeyGateError && matches(error.facts as Partial<GoogleFacts>);

/** Google itself says that it is not there. A 404 from anything in between does not count. */
export const isGone = (error: unknown) => has(error, ({ status, code }) => status === 404 && code === "NOT_FOUND");
/** Whatever answered does not know such a call at all. */
export const isUnserved = (error: unknown) => has(error, ({ status }) => [404, 405, 501].includes(status ?? 0));
export const isTaken = (error: unknown) => has(error, ({ code }) => code === "ALREADY_EXISTS");
/** The etag is not the latest any more: 409, and 412 where something speaks plain HTTP about it. */
export const isAborted = (error: unknown) => has(error, ({ status, code }) => code === "ABORTED" || status === 412);
export const isForbidden = (error: unknown) => has(error, ({ code }) => code === "PERMISSION_DENIED");
/** Not allowed because the API is not enabled, which no permission helps with. */
export const isServiceOff = (error: unknown): boolean => has(error, ({ reason }) => reason === "SERVICE_DISABLED");
/** What a refusal says is missing: a permission, or an API that nobody enabled. Null when it does not say. */
export const subjectOf = (error: unknown): string | null =>
  error instanceof KeyGateError ? ((error.facts as Partial<GoogleFacts>).subject ?? null) : null;
export const isUnauthenticated = (error: unknown) => has(error, ({ status }) => status === 401);
/** Google looked at the call, the caller or the thing called for, and did nothing; neither a rate nor a token. */
export const isRefusal = (error: unknown) =>
  has(error, ({ status }) => status !== 401 && status !== 429) && error.nothingHappened;
/** The vendor looked at the request and did not like it: nothing of it happened. */
export const isBadRequest = (error: unknown) => has(error, ({ status }) => status === 400);
/** The request is right, but an organization policy or the state of things is against it. */
export const isPrecondition = (error: unknown) =>
  has(error, ({ code, constraints }) => code === "FAILED_PRECONDITION" || (constraints ?? []).length > 0);
/** There are as many of something as there may be. */
export const isFull = (error: unknown) => has(error, ({ status }) => status === 429) && error.code === "vendor.refused";
/** A 429 that does not say that it is about a rate. */
export const isVagueLimit = (error: unknown) =>
  has(error, ({ status, reason }) => status === 429 && reason !== "RATE_LIMIT_EXCEEDED");

/** The organization policies named by a refusal. */
export const constraintsOf = (error: unknown): string[] =>
  error instanceof KeyGateError ? ((error.facts as Partial<GoogleFacts>).constraints ?? []) : [];

/**
 * A policy that names an account it does not know is a bad argument among others, and nothing but the words tells it
 * from them. They only decide how long it may last.
 */
export const saysNotThere = (error: unknown) =>
  error instanceof KeyGateError && /does not exist|not found/i.test(error.detail ?? "");
