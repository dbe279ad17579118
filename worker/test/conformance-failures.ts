import type { ProblemKind } from "@keygate/shared/contracts/problems";
import type { FaultSpec } from "@keygate/simulator/core";

/** One way in which a vendor's call can go wrong, and what an adapter may make of it. */
export interface Failure {
  name: string;
  fault: Pick<FaultSpec, "when" | "do">;
  kinds: readonly ProblemKind[];
  /** Whether a step may know better than to fail: a "not found" may be what it hoped for, or need a moment. */
  mayBeMet: boolean;
  retryAfterMs?: number;
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
  { name: "status 401", fault: answer(401), kinds: ["credentials"], mayBeMet: false },
  { name: "status 403", fault: answer(403), kinds: ["credentials", "permanent"], mayBeMet: true },
  { name: "status 404", fault: answer(404), kinds: ["permanent", "credentials"], mayBeMet: true, isLie: true },
  { name: "status 400", fault: answer(400), kinds: ["permanent"], mayBeMet: true },
];
