import { z } from "zod";
import { AuditEvent } from "./audit.ts";

export const DashboardStats = z
  .object({
    total_developers: z.int(),
    active_developers: z.int(),
    active_keys: z.int(),
    vendors_configured: z.int(),
    keys_by_vendor: z.record(z.string(), z.int()),
    keys_by_team: z.record(z.string(), z.int()),
    keys_by_day: z
      .array(z.object({ day: z.iso.date(), made: z.int(), ended: z.int() }))
      .optional()
      .meta({
        description: "Keys made and ended on each of the last 30 days by UTC, the oldest first, today the last",
      }),
    recent_events: z.array(AuditEvent),
    jobs_waiting_for_a_person: z.int(),
    keys_expiring_within_7_days: z.int(),
    revocations_overdue: z.int(),
  })
  .meta({ id: "DashboardStats" });
export type DashboardStats = z.infer<typeof DashboardStats>;
