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

/** `sealed`: with everything that is needed to check it, oldest first; `rows`: the rows alone, newest first. */
export const AuditExportQuery = AuditListQuery.omit({ limit: true, cursor: true }).extend({
  format: z.enum(["sealed", "rows"]).default("sealed"),
});
export type AuditExportQuery = z.infer<typeof AuditExportQuery>;

export const AuditVerifyQuery = z.strictObject({
  since_checkpoint: z.coerce
    .number()
    .int()
    .min(0)
    .optional()
    .meta({ description: "Rows that this checkpoint and earlier ones seal are not read again" }),
  expect_head: z
    .string()
    .regex(/^[0-9a-f]{64}$/, { message: "Must be the hash of a checkpoint: 64 hexadecimal digits" })
    .optional()
    .meta({ description: "A head that was kept earlier: it must still be part of the log" }),
});
export type AuditVerifyQuery = z.infer<typeof AuditVerifyQuery>;

export const AuditProblem = z
  .object({
    checkpoint: z.int().nullable(),
    kind: z.enum([
      "row_changed",
      "row_missing",
      "row_added",
      "rows_reordered",
      "truncated",
      "unreadable",
      "checkpoint_changed",
      "checkpoint_missing",
      "chain_broken",
      "signature_invalid",
      "key_unknown",
      "key_not_announced",
    ]),
    detail: z.string(),
  })
  .meta({ id: "AuditProblem" });
export type AuditProblem = z.infer<typeof AuditProblem>;

export const AuditVerification = z
  .object({
    /** Whether nothing was found; rows that are not sealed yet are not a problem. */
    ok: z.boolean(),
    checked_rows: z.int(),
    checkpoints: z.int(),
    unsealed_rows: z.int(),
    /** The age of the oldest row that is not sealed. */
    seal_lag_seconds: z.number(),
    /** Worth keeping elsewhere: see `expect_head`. */
    head: z.object({ checkpoint: z.int(), hash: z.string(), sealed_at: z.string() }).nullable(),
    /** The first of them, when there are very many. */
    problems: z.array(AuditProblem),
    problems_total: z.int(),
    /** JSON Web Keys, oldest first, with the times at which they came and went. */
    public_keys: z.array(
      z.object({
        kty: z.string(),
        crv: z.string(),
        x: z.string(),
        kid: z.string(),
        use: z.string(),
        alg: z.string(),
        created_at: Timestamp,
        retired_at: Timestamp.nullable(),
      }),
    ),
  })
  .meta({ id: "AuditVerification" });
export type AuditVerification = z.infer<typeof AuditVerification>;
