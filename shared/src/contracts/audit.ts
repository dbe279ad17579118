import { z } from "zod";
import { pageQuery, Timestamp } from "./common.ts";
import { AuditEventId } from "./ids.ts";

export const AuditEvent = z
  .object({
    id: AuditEventId,
    action: z.string(),
    actor: z.string(),
    resource_type: z.string(),
    resource_id: z.string(),
    details: z.record(z.string(), z.unknown()),
    ip_address: z.string().nullable(),
    created_at: Timestamp,
  })
  .meta({ id: "AuditEvent" });
export type AuditEvent = z.infer<typeof AuditEvent>;

export const AuditListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(50),
  cursor: pageQuery.cursor,
  action: z.string().min(1).max(100).optional(),
  actor: z.string().min(1).max(320).optional(),
  resource_id: z.string().min(1).max(100).optional(),
  since: Timestamp.optional(),
  until: Timestamp.optional(),
});
export type AuditListQuery = z.infer<typeof AuditListQuery>;
