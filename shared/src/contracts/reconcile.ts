import { z } from "zod";
import { pageQuery, Timestamp } from "./common.ts";
import { DeveloperId, FindingId, JobId, KeyId, WorkspaceId } from "./ids.ts";
import { VendorId } from "./vendors/registry.ts";

/**
 * `orphan`: bears our mark and belongs to no live key. `ghost`: a live key of ours that the vendor does not have.
 * `drift`: a limit differs from what KeyGate set. `unmanaged`: a key that KeyGate did not make. `disabled_by_vendor`: a
 * live key that the vendor, or somebody there, has switched off.
 */
export const findingKinds = ["orphan", "ghost", "drift", "unmanaged", "disabled_by_vendor"] as const;
export const FindingKind = z.enum(findingKinds);
export type FindingKind = z.infer<typeof FindingKind>;

/** What a person would do first; the details say why. */
export const SuggestedAction = z.enum(["remove", "adopt", "revoke", "rotate", "check_vendor"]);
export type SuggestedAction = z.infer<typeof SuggestedAction>;

export const ReconcileFinding = z
  .object({
    id: FindingId,
    vendor: VendorId,
    kind: FindingKind,
    resource: z.object({ type: z.string(), id: z.string(), name: z.string() }),
    key_id: KeyId.nullable(),
    detail: z.string(),
    details: z.record(z.string(), z.unknown()),
    suggested_action: SuggestedAction,
    can_adopt: z.boolean(),
    can_remove: z.boolean(),
    removal_job_id: JobId.nullable(),
    first_seen: Timestamp,
    last_seen: Timestamp,
    age_seconds: z.int(),
    sightings: z.int().meta({ description: "In how many runs it was seen" }),
    resolved_at: Timestamp.nullable(),
    resolution: z.string().nullable(),
  })
  .meta({ id: "ReconcileFinding" });
export type ReconcileFinding = z.infer<typeof ReconcileFinding>;

/** The newest run at a vendor, whether it goes on or has ended. */
export const ReconcileRun = z
  .object({
    vendor: VendorId,
    state: z.enum(["running", "completed", "abandoned"]),
    job_id: JobId.nullable().meta({ description: "The job that works it now" }),
    phase: z.enum(["resources", "keys"]).nullable(),
    resources_seen: z.int(),
    keys_seen: z.int(),
    rows_checked: z.int().meta({ description: "Keys that no list showed and that were looked for one by one" }),
    skipped: z.int().meta({ description: "What the vendor refused to show, or what a job was just working on" }),
    waiting: z.string().nullable(),
    error: z.string().nullable(),
    started_at: Timestamp,
    moved_at: Timestamp,
    ended_at: Timestamp.nullable(),
  })
  .meta({ id: "ReconcileRun" });
export type ReconcileRun = z.infer<typeof ReconcileRun>;

export const ReconcileReport = z
  .object({ runs: z.array(ReconcileRun), findings: z.array(ReconcileFinding) })
  .meta({ id: "ReconcileReport" });

export const FindingListQuery = z.strictObject({
  vendor: VendorId.optional(),
  kind: FindingKind.optional(),
  status: z.enum(["open", "resolved", "all"]).default("open"),
  ...pageQuery,
});
export type FindingListQuery = z.infer<typeof FindingListQuery>;

export const ReconcileRequest = z.strictObject({ vendor: VendorId.optional() }).meta({ id: "ReconcileRequest" });

export const ReconcileAccepted = z
  .object({ jobs: z.array(z.object({ vendor: VendorId, job_id: JobId, status: z.string() })) })
  .meta({ id: "ReconcileAccepted" });

export const AdoptRequest = z
  .strictObject({
    developer_id: DeveloperId,
    workspace_id: WorkspaceId.nullish(),
    description: z
      .string()
      .trim()
      .max(1000)
      .regex(/^[^\0]*$/, { message: "Must not contain NUL" })
      .default(""),
  })
  .meta({ id: "AdoptRequest" });
export type AdoptRequest = z.infer<typeof AdoptRequest>;
