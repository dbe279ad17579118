import { z } from "zod";

/** The four limits that a key can carry. */
export const limitNames = ["budget", "rate_limit", "models", "expiry"] as const;
export type LimitName = (typeof limitNames)[number];

/**
 * Who makes sure that a limit holds.
 * `vendor`: the vendor refuses calls beyond it. `keygate`: KeyGate watches and revokes. `declared`: a person says that
 * it was set, nobody checked. `none`: nothing stops anyone.
 */
export const Enforcer = z.enum(["vendor", "keygate", "declared", "none"]);
export type Enforcer = z.infer<typeof Enforcer>;

/** One limit of one key, as honestly as it can be said. */
export const LimitReport = z
  .object({
    limit: z.enum(limitNames),
    requested: z.union([z.number(), z.string(), z.array(z.string())]).nullable(),
    effective: z.union([z.number(), z.string(), z.array(z.string())]).nullable(),
    enforced_by: Enforcer,
    since: z.iso.datetime({ offset: true }).nullable(),
    delay: z.string(),
    fine_print: z.string(),
  })
  .meta({ id: "LimitReport" });
export type LimitReport = z.infer<typeof LimitReport>;

/** What a vendor does about one limit in general: the data sheet that reports and documentation are made from. */
export interface LimitSheet {
  enforcedBy: Enforcer;
  /** How late the enforcement may be, in words. */
  delay: string;
  finePrint: string;
}
export type LimitSheets = Record<LimitName, LimitSheet>;
