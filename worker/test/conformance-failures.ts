import type { ProblemKind } from "@keygate/shared/contracts/problems";
import type { FaultSpec } from "@keygate/simulator/core";

/** One way in which a vendor's call can go wrong, and what an adapter may make of it. */
export interface Failure {
  name: string;
  fault: Pick<FaultSpec, "when" | "do">;
  /** `needs_input` where the call was made with a key that a person gave: they are asked again, in words. */
  kinds: readonly ProblemKind[];
  /** Whether a step may know better than to fail: a "not found" may be what it hoped for, or need a moment. */
  mayBeMet: boolean;
  retryAfterMs?: number;
  /** Where access tokens are renewed, once is no failure. */
  isOfToken?: true;
  /** It says that something is gone which stands: a revocation must not end by it, but may wait for ever. */
  isLie?: true;
}

const answer = (status: number, headers: Record<string, string> = {}): Pick<FaultSpec, "when" | "do"> => ({
  when: "before",
  do: { type: "respond", status, headers, body: { error: { message: "simulated" } } },
});

/** Every kind of failure that vendors' adapters tell apart. */
export const failures: readonly Failure[] = [
  {
    name: "a connection that drops",
    fault: { when: "before", do: { type: "drop" } },
    kinds: ["ambiguous"],
    mayBeMet: false,
  },
  { name: "a lost answer", fault: { when: "after", do: { type: "drop" } }, kinds: ["ambiguous"], mayBeMet: false },
  { name: "status 500", fault: answer(500), kinds: ["retryable"], mayBeMet: false },
  {
    name: "status 429 with Retry-After",
    fault: answer(429, { "retry-after": "7" }),
    kinds: ["rate_limited"],
    mayBeMet: false,
    retryAfterMs: 7_000,
  },
  { name: "status 401", fault: answer(401), kinds: ["credentials", "needs_input"], mayBeMet: false, isOfToken: true },
  { name: "status 403", fault: answer(403), kinds: ["credentials", "permanent", "needs_input"], mayBeMet: true },
  {
    name: "status 404",
    fault: answer(404),
    // "retryable" where what is not in the vendor's own form is taken for the word of something in front of it.
    kinds: ["permanent", "credentials", "needs_input", "retryable"],
    mayBeMet: true,
    isLie: true,
  },
  { name: "status 400", fault: answer(400), kinds: ["permanent", "needs_input"], mayBeMet: true },
];
