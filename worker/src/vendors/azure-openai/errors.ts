import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import { retryAfterMsOf, type VendorRefusal } from "../http.ts";

const Info = z.object({ info: z.object({ policyDefinitionDisplayName: z.string().nullish() }).nullish() });
const Detail = z.object({
  code: z.string().nullish(),
  message: z.string().nullish(),
  // Free in form: what another kind of trouble says here must not make the whole error unreadable.
  additionalInfo: z.array(Info).nullish().catch(null),
});
const ArmErrorBody = Detail.extend({ details: z.array(Detail).nullish().catch(null) });
export type ArmErrorBody = z.infer<typeof ArmErrorBody>;
const Envelope = z.object({ error: ArmErrorBody });

/** What an operation's body says about its failure, for those who read it by themselves. */
export const ArmError = ArmErrorBody;

const wordsMax = 600;

// What a person has to change in the subscription; jobs wait for it and lose nothing.
const needsPerson = new Map([
  ["MissingSubscriptionRegistration", "Register the provider Microsoft.CognitiveServices in the subscription."],
  ["ScopeLocked", "Remove the lock on the resource group or on what is in it."],
  ["SubscriptionNotFound", "Check subscription_id and tenant_id, and what the credential may see."],
]);

// A 404 that says nothing of the resource: the address or the version is not one that Azure knows.
const notAbout = new Set(["InvalidResourceType", "InvalidResourceNamespace", "NoRegisteredProviderFound"]);

// Refused for good: waiting changes nothing.
const finalConflicts = new Set(["FlagMustBeSetForRestore", "CustomDomainInUse", "InvalidResourceLocation"]);

// Codes that are worth finding below a general one.
const known = new Set([
  ...needsPerson.keys(),
  ...finalConflicts,
  "AccountProvisioningStateInvalid",
  "InsufficientQuota",
  "RequestConflict",
  "RequestDisallowedByPolicy",
]);

/** The code that tells most, which may stand one level down, and Azure's words. */
export function readArmError(error: ArmErrorBody | null): { code: string | null; words: string | null } {
  const nested = error?.details?.find((detail) => detail.code && known.has(detail.code));
  const code = error?.code && known.has(error.code) ? error.code : (nested?.code ?? error?.code ?? null);
  return { code, words: error?.message?.slice(0, wordsMax) ?? nested?.message?.slice(0, wordsMax) ?? null };
}

const policyOf = (error: ArmErrorBody): string | null =>
  [error, ...(error.details ?? [])]
    .flatMap(({ additionalInfo }) => additionalInfo ?? [])
    .find(({ info }) => info?.policyDefinitionDisplayName)?.info?.policyDefinitionDisplayName ?? null;

const conflictPauseMs = () => 5_000 + Math.random() * 5_000;

/**
 * Sorts Resource Manager's refusals by status and code.
 *
 * @param what the resource that was addressed, for the log: throttling counts by coarser names.
 */
export const classifyArm =
  (what: string) =>
  ({ status, headers, json, call }: VendorRefusal): KeyGateError => {
    const envelope = Envelope.safeParse(json);
    const body = envelope.success ? envelope.data.error : null;
    const { code, words } = readArmError(body);
    const facts = {
      ...call,
      what,
      status,
      armCode: code,
      requestId: headers["x-ms-request-id"],
      correlationId: headers["x-ms-correlation-request-id"],
    };
    const detail = words ? `Azure says: ${code ? `${code}: ` : ""}${words}` : `Azure answered with status ${status}.`;
    const after = retryAfterMsOf(headers);
    const waiting = after === undefined ? {} : { retryAfterMs: after };
    const refuse = (problem: "vendor.refused" | "vendor.refused_us", more = "") =>
      new KeyGateError(problem, { detail: more ? `${detail} ${more}` : detail, facts, nothingHappened: true });

    if (status === 429) {
      return new KeyGateError("vendor.throttled", { detail, facts, nothingHappened: true, ...waiting });
    }
    const advice = code ? needsPerson.get(code) : undefined;
    if (advice) return refuse("vendor.refused_us", advice);
    // A missing group is "gone" for whoever looks or deletes, and a wrong setting for whoever wants to make something.
    if (code === "ResourceGroupNotFound" && call.method !== "GET" && call.method !== "DELETE") {
      return refuse("vendor.refused_us", "Make the resource group, or correct resource_group.");
    }
    if (status === 401) return refuse("vendor.refused_us");
    if (status === 403 && code === "RequestDisallowedByPolicy") {
      const policy = body ? policyOf(body) : null;
      return refuse("vendor.refused", policy ? `The policy is called “${policy}”.` : "");
    }
    if (status === 403) return refuse("vendor.refused_us", "A role that was granted just now takes minutes to count.");
    if (code === "AccountProvisioningStateInvalid") {
      return new KeyGateError("vendor.not_ready", { detail, facts, nothingHappened: true, retryAfterMs: 5_000 });
    }
    // What stands in the way of a 409 may be a call of ours whose answer was lost: nothing is certain after it.
    if (status === 409 && code && finalConflicts.has(code))
      return new KeyGateError("vendor.refused", { detail, facts });
    if (status === 409) {
      return new KeyGateError("vendor.not_ready", { detail, facts, retryAfterMs: after ?? conflictPauseMs() });
    }
    // Who says "not found" without saying it in Azure's way stands in front of Azure, and knows of no account. Taking it
    // for an answer would call keys revoked that work. A web page or nothing passes; what is JSON refuses for good.
    if (status === 404 && !envelope.success) {
      return new KeyGateError("vendor.unavailable", { detail: "Azure's front end gave no reason for a 404.", facts });
    }
    if (status === 408 || status >= 500) return new KeyGateError("vendor.unavailable", { detail, facts, ...waiting });
    return refuse("vendor.refused");
  };

const has = (error: unknown, name: "status" | "armCode", value: unknown): error is KeyGateError =>
  error instanceof KeyGateError && error.facts[name] === value;

/** Whether Azure answered with this status. */
export const isStatus = (error: unknown, status: number): error is KeyGateError => has(error, "status", status);

/** Whether Azure gave this code as its reason. */
export const isArmCode = (error: unknown, code: string): error is KeyGateError => has(error, "armCode", code);

/** Whether Azure said that what was addressed does not exist. A subscription that nobody shows us is not "gone". */
export const isGone = (error: unknown): boolean =>
  error instanceof KeyGateError &&
  error.code === "vendor.refused" &&
  error.facts.status === 404 &&
  typeof error.facts.armCode === "string" &&
  !notAbout.has(error.facts.armCode);
