import { z } from "zod";
import { Timestamp } from "./common.ts";
import { Enforcer } from "./limits.ts";
import { VendorId } from "./vendors/registry.ts";

export const ConfigureVendor = z
  .strictObject({
    vendor: VendorId,
    admin_api_key: z.string().trim().min(1).max(20_000),
    org_id: z.string().trim().min(1).max(255).nullish(),
    extra_config: z.record(z.string(), z.unknown()).nullish(),
  })
  .meta({ id: "ConfigureVendor" });

export const CheckFinding = z.object({
  name: z.string(),
  ok: z.boolean(),
  detail: z.string(),
});

/** What trying the credentials found; `missing` names the role, scope or field to add. */
export const CheckReport = z
  .object({
    ok: z.boolean(),
    checked_at: Timestamp,
    findings: z.array(CheckFinding),
    missing: z.array(z.string()),
  })
  .meta({ id: "CheckReport" });
export type CheckReport = z.infer<typeof CheckReport>;

export const ConfigureResult = z
  .object({ status: z.literal("ok"), vendor: VendorId, check: CheckReport })
  .meta({ id: "ConfigureResult" });

export const VendorView = z
  .object({
    vendor: VendorId,
    title: z.string(),
    admin_key_hint: z.string(),
    org_id: z.string().nullable(),
    configured_at: Timestamp,
    source: z.enum(["api", "environment", "simulator"]),
    health: z.object({
      status: z.enum(["unknown", "healthy", "unhealthy"]),
      detail: z.string().nullable(),
      since: Timestamp.nullable(),
    }),
    throttling: z
      .object({
        jobs_waiting: z.int(),
        next_try_at: Timestamp.nullable().meta({ description: "When the first of them may try again" }),
      })
      .meta({ description: "Jobs that wait now because the vendor limits how often KeyGate may call it" }),
    enforces: z.record(z.string(), z.object({ enforced_by: Enforcer, delay: z.string(), fine_print: z.string() })),
    active_keys: z.int(),
    simulated: z.boolean(),
  })
  .meta({ id: "Vendor" });
export type VendorView = z.infer<typeof VendorView>;

export const RemoveVendorResult = z
  .object({ status: z.literal("removed"), vendor: VendorId, keys_left: z.int() })
  .meta({ id: "RemoveVendorResult" });
