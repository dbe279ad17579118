import { z } from "zod";
import { type VendorId, VendorId as VendorName } from "./contracts/vendors/registry.ts";

const rates = z
  .string()
  .default("")
  .transform((text, context) => {
    const given: Partial<Record<VendorId, number>> = {};
    for (const part of text
      .split(",")
      .map((each) => each.trim())
      .filter(Boolean)) {
      const [name, number] = part.split("=").map((each) => each.trim());
      const vendor = VendorName.safeParse(name);
      const perMinute = z.coerce.number().int().min(1).max(100_000).safeParse(number);
      if (!vendor.success || !perMinute.success) {
        context.addIssue({ code: "custom", message: "must be like openai=3,google_vertex=60" });
        return z.NEVER;
      }
      given[vendor.data] = perMinute.data;
    }
    return given;
  });

/** The variables that steer reconcile. */
export const reconcileEnvironment = {
  RECONCILE_INTERVAL_MINUTES: z.coerce
    .number()
    .min(0)
    .max(60 * 24 * 7)
    .default(60),
  RECONCILE_CALLS_PER_MINUTE: rates,
  RECONCILE_REMOVE_UNKNOWN: z.enum(["true", "false"]).default("false"),
};

export interface ReconcileConfig {
  /** Null: only when somebody asks. */
  readonly intervalSeconds: number | null;
  /** Instead of the adapter's own number, per vendor: calls per minute for each endpoint. */
  readonly callsPerMinute: Readonly<Partial<Record<VendorId, number>>>;
  /** Whether what bears our mark, but was never asked for by this KeyGate, is removed too. */
  readonly removeUnknown: boolean;
}

export const reconcileConfigOf = (e: {
  RECONCILE_INTERVAL_MINUTES: number;
  RECONCILE_CALLS_PER_MINUTE: Partial<Record<VendorId, number>>;
  RECONCILE_REMOVE_UNKNOWN: "true" | "false";
}): ReconcileConfig => ({
  intervalSeconds: e.RECONCILE_INTERVAL_MINUTES === 0 ? null : e.RECONCILE_INTERVAL_MINUTES * 60,
  callsPerMinute: e.RECONCILE_CALLS_PER_MINUTE,
  removeUnknown: e.RECONCILE_REMOVE_UNKNOWN === "true",
});
