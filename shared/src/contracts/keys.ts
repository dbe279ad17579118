import { z } from "zod";
import { Dollars, PublicJwk, pageQuery, searchText, Timestamp } from "./common.ts";
import { DeveloperId, JobId, KeyId, WorkspaceId } from "./ids.ts";
import { LimitReport } from "./limits.ts";
import { VendorId } from "./vendors/registry.ts";

export const keyStatuses = [
  "pending",
  "active",
  "retiring",
  "revoking",
  "revoked",
  "rotated",
  "expired",
  "failed",
] as const;
export const KeyStatus = z.enum(keyStatuses);
export type KeyStatus = z.infer<typeof KeyStatus>;

/** States in which the vendor may still hold something of the key. */
export const liveKeyStatuses = ["pending", "active", "retiring", "revoking"] as const satisfies readonly KeyStatus[];

export const Delivery = z.strictObject({
  public_key: PublicJwk.meta({
    description: "The receiver's public half. The answer then carries `api_key_jwe`, which only the receiver can open.",
  }),
});

const modelName = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\s]+$/u, { message: "Must not contain spaces or control characters" });

export const ProvisionRequest = z
  .strictObject({
    developer_id: DeveloperId,
    vendor: VendorId,
    workspace_id: WorkspaceId.nullish(),
    budget_limit_usd: z
      .number()
      .min(0.01)
      .max(1_000_000)
      .multipleOf(0.01)
      .default(50)
      .meta({ description: "US dollars per calendar month" }),
    rate_limit_rpm: z.int().min(1).max(1_000_000).default(60).meta({ description: "Requests per minute" }),
    expires_in_days: z.int().min(1).max(365).default(90),
    models_allowed: z.array(modelName).min(1).max(100).nullish().meta({ description: "Absent: every model" }),
    description: z
      .string()
      .trim()
      .max(1000)
      .regex(/^[^\0]*$/, { message: "Must not contain NUL" })
      .default(""),
    delivery: Delivery.optional(),
  })
  .meta({ id: "ProvisionRequest" });
export type ProvisionRequest = z.infer<typeof ProvisionRequest>;

/** What a developer needs to use the key; `base_url` and `auth_header` are always there. */
export const Instructions = z
  .looseObject({ base_url: z.string(), auth_header: z.string() })
  .meta({ id: "Instructions" });
export type Instructions = z.infer<typeof Instructions>;

export const ProvisionResult = z
  .object({
    key_id: KeyId,
    vendor: VendorId,
    api_key: z
      .string()
      .nullable()
      .meta({ description: "The vendor key, this once. Null when it was taken already or is sealed to your own key." }),
    api_key_jwe: z.string().optional().meta({ description: "Instead of api_key, when the request named a public key" }),
    key_hint: z.string(),
    project_name: z.string(),
    budget_limit_usd: Dollars,
    expires_at: Timestamp.nullable(),
    instructions: Instructions,
    job_id: JobId,
    limits: z.array(LimitReport),
  })
  .meta({ id: "ProvisionResult" });
export type ProvisionResult = z.infer<typeof ProvisionResult>;

export const RotateRequest = z
  .strictObject({
    grace_period_minutes: z
      .int()
      .min(0)
      .max(60 * 24 * 30)
      .default(0)
      .meta({ description: "How long the old key lives on after the new one was taken" }),
    delivery: Delivery.optional(),
  })
  .meta({ id: "RotateRequest" });

export const RotateResult = ProvisionResult.extend({
  old_key_id: KeyId,
  new_key_id: KeyId,
  old_key_status: KeyStatus,
  old_key_valid_until: Timestamp.nullable(),
}).meta({ id: "RotateResult" });
export type RotateResult = z.infer<typeof RotateResult>;

export const JobAccepted = z
  .object({
    job_id: JobId,
    key_id: KeyId.nullable(),
    status: z.string(),
    claim_token: z.string().nullable().meta({
      description: "Opens the key at POST /jobs/{id}/claim, once. Null when you brought your own public key.",
    }),
  })
  .meta({ id: "JobAccepted" });
export type JobAccepted = z.infer<typeof JobAccepted>;

export const RevokeResult = z
  .object({ status: z.literal("revoked"), key_id: KeyId, job_id: JobId.nullable() })
  .meta({ id: "RevokeResult" });

export const BatchRevokeRequest = z
  .strictObject({
    developer_id: DeveloperId.optional(),
    team: z.string().trim().min(1).max(255).optional(),
    vendor: VendorId.optional(),
    workspace_id: WorkspaceId.optional(),
    key_ids: z.array(KeyId).min(1).max(10_000).optional(),
  })
  .refine((body) => Object.values(body).some((value) => value !== undefined), {
    message: "Name at least one of developer_id, team, vendor, workspace_id, key_ids",
  })
  .meta({ id: "BatchRevokeRequest", description: "All conditions must hold; at least one is needed" });
export type BatchRevokeRequest = z.infer<typeof BatchRevokeRequest>;

export const BatchResult = z
  .object({
    job_id: JobId,
    status: z.string(),
    keys_total: z.int(),
    keys_revoked: z.int(),
    keys_failed: z.int(),
  })
  .meta({ id: "BatchResult" });

export const KeyView = z
  .object({
    id: KeyId,
    key_id: KeyId,
    developer_id: DeveloperId,
    developer_name: z.string(),
    team: z.string(),
    vendor: VendorId,
    workspace_id: WorkspaceId.nullable(),
    status: KeyStatus,
    credential_kind: z.string(),
    key_hint: z.string().nullable(),
    project_name: z.string(),
    description: z.string(),
    budget_limit_usd: Dollars,
    rate_limit_rpm: z.int(),
    models_allowed: z.array(z.string()).nullable(),
    expires_at: Timestamp.nullable(),
    created_at: Timestamp,
    activated_at: Timestamp.nullable(),
    claimed_at: Timestamp.nullable(),
    revoked_at: Timestamp.nullable(),
    retire_at: Timestamp.nullable(),
    replaces: KeyId.nullable(),
    replaced_by: KeyId.nullable(),
    status_reason: z.string().nullable(),
    simulated: z.boolean(),
  })
  .meta({ id: "Key" });
export type KeyView = z.infer<typeof KeyView>;

export const KeyDetail = KeyView.extend({
  limits: z.array(LimitReport),
  instructions: Instructions.nullable(),
  vendor_resources: z.record(z.string(), z.unknown()),
  job_id: JobId.nullable().meta({ description: "The newest job about this key" }),
}).meta({ id: "KeyDetail" });

export const KeyListQuery = z.strictObject({
  q: searchText.optional(),
  vendor: VendorId.optional(),
  developer_id: DeveloperId.optional(),
  workspace_id: WorkspaceId.optional(),
  status: z.enum([...keyStatuses, "all"]).default("active"),
  expires_within_days: z.coerce
    .number()
    .int()
    .min(1)
    .max(365)
    .optional()
    .meta({ description: "Keys that are alive and end within so many days" }),
  ...pageQuery,
});
export type KeyListQuery = z.infer<typeof KeyListQuery>;

/** A key that was found in public, or a text around it. It is compared by fingerprint and never kept. */
export const FindBySecretRequest = z
  .strictObject({ text: z.string().trim().min(8).max(20_000) })
  .meta({ id: "FindBySecretRequest" });

export const FoundKey = z
  .object({
    match: z.enum(["fingerprint", "hint"]).meta({
      description: "`fingerprint`: it is this key. `hint`: it begins and ends alike, which may be chance.",
    }),
    key: KeyView,
  })
  .meta({ id: "FoundKey" });
export type FoundKey = z.infer<typeof FoundKey>;
