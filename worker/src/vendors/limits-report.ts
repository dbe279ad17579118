import type { Enforcer, LimitName, LimitReport, LimitSheets } from "@keygate/shared/contracts/limits";
import { limitNames } from "@keygate/shared/contracts/limits";
import { microsToDollars } from "@keygate/shared/money";
import type { SagaKey } from "../saga/step.ts";

interface Settled {
  effective: LimitReport["effective"];
  /** Where this key differs from the vendor's rule. */
  enforcedBy?: Enforcer;
  note?: string;
}

/** One key's limits from the vendor's data sheet and what was settled for it. */
export function reportLimits(
  sheets: LimitSheets,
  key: SagaKey,
  settled: Record<LimitName, Settled>,
  since: Date = new Date(),
): LimitReport[] {
  const requested: Record<LimitName, LimitReport["requested"]> = {
    budget: microsToDollars(key.budgetMicros),
    rate_limit: key.rateLimitRpm,
    models: key.modelsAllowed ? [...key.modelsAllowed] : null,
    expiry: key.expiresAt?.toISOString() ?? null,
  };
  return limitNames.map((limit) => {
    const { effective, enforcedBy, note } = settled[limit];
    const sheet = sheets[limit];
    // What was not asked for is not enforced by anybody.
    const isWanted = requested[limit] !== null;
    const enforcer = isWanted ? (enforcedBy ?? sheet.enforcedBy) : "none";
    return {
      limit,
      requested: requested[limit],
      effective,
      enforced_by: enforcer,
      since: enforcer === "none" ? null : since.toISOString(),
      delay: sheet.delay,
      fine_print: note ? `${sheet.finePrint} ${note}` : sheet.finePrint,
    };
  });
}
