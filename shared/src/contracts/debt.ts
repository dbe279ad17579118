import { z } from "zod";
import { pageQuery, Timestamp } from "./common.ts";
import { DeveloperId, JobId, KeyId } from "./ids.ts";
import { JobKind, JobState } from "./jobs.ts";
import { VendorId } from "./vendors/registry.ts";

/** Something that must go at a vendor and has not gone yet, although the fast tries are over. */
export const Debt = z
  .object({
    job_id: JobId,
    kind: JobKind,
    status: JobState,
    vendor: VendorId.nullable(),
    key_id: KeyId.nullable(),
    project_name: z.string().nullable(),
    key_status: z.string().nullable(),
    age_seconds: z.int().meta({ description: "Since the removal was asked for" }),
    reason: z.string().nullable().meta({ description: "Why it has not worked yet, in the vendor's words" }),
    code: z.string().nullable(),
    owner: z
      .object({ developer_id: DeveloperId, name: z.string(), team: z.string() })
      .nullable()
      .meta({ description: "Whose key it is" }),
    requested_by: z.string(),
    attempts: z.int(),
    next_try_at: Timestamp.nullable().meta({ description: "Null: now, or never again since it was written off" }),
    since: Timestamp,
    written_off: z.object({ at: Timestamp, by: z.string(), reason: z.string() }).nullable(),
  })
  .meta({ id: "Debt" });
export type Debt = z.infer<typeof Debt>;

export const DebtListQuery = z.strictObject({
  vendor: VendorId.optional(),
  include_written_off: z.enum(["true", "false"]).default("false"),
  ...pageQuery,
});
export type DebtListQuery = z.infer<typeof DebtListQuery>;

export const WriteOffRequest = z
  .strictObject({
    reason: z
      .string()
      .trim()
      .min(3)
      .max(1000)
      .regex(/^[^\0]*$/, { message: "Must not contain NUL" }),
  })
  .meta({ id: "WriteOffRequest" });
