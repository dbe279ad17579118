/** What can be turned on a simulated OpenAI: things the vendor leaves open, or does differently from organization to organization. */
import { z } from "zod";

export const MODELS = [
  "gpt-5.1",
  "gpt-5",
  "gpt-5-2025-08-07",
  "gpt-5-mini",
  "gpt-5-nano",
  "gpt-4.1",
  "gpt-4.1-mini",
  "gpt-4o",
  "gpt-4o-mini",
  "o3",
  "o4-mini",
  "text-embedding-3-small",
  "text-embedding-3-large",
  "gpt-image-1",
  "whisper-1",
] as const;

const AdminScope = z.enum(["api.management.read", "api.management.write", "api.usage.read"]);

export const OpenAiSettings = z.object({
  /** What is new shows up in lists only this much later; reading it by id works at once. */
  list_lag_ms: z.int().min(0).default(0),
  /** Admin calls per method and path in a sliding minute; `null` = no throttle. */
  rate_limit_per_minute_per_endpoint: z.int().min(0).nullable().default(null),
  /** Sent as `Retry-After` with the throttle's 429; the real one usually sends none. */
  retry_after_seconds: z.int().min(0).nullable().default(null),
  /** Scopes the admin key lacks. */
  missing_scopes: z.array(AdminScope).default([]),
  /** Reports of the missing-scope answer speak of 403, one of 401. */
  missing_scope_status: z.union([z.literal(401), z.literal(403)]).default(403),
  /** Unix seconds from which the admin key is refused; listed as its `expires_at`. */
  admin_key_expires_at: z.int().min(0).nullable().default(null),
  /** The organization's governance switch: no new keys at all. */
  policy_forbids_keys: z.boolean().default(false),
  /** The organization's expiry policy: an expiry is mandatory and at most this long. */
  policy_max_expiry_seconds: z.int().min(1).max(31_536_000).nullable().default(null),
  /** As before 2026-10-22: a service account's key is not deletable by its id. */
  refuse_service_account_key_delete: z.boolean().default(false),
  /** How long a deleted key still opens the door. */
  revocation_lag_ms: z.int().min(0).default(0),
  /** An absent spend limit is either a 404 or an inactive limit of 0. */
  spend_limit_absent_as_zero: z.boolean().default(false),
  /** A model that the project may not use answers from the 403/404 family. */
  blocked_model_status: z.union([z.literal(403), z.literal(404)]).default(403),
  /** Whether rate limits above the organization's are refused. */
  refuse_rate_limits_above_organization: z.boolean().default(true),
  /** Archived projects count. */
  projects_max: z.int().min(1).default(2_000),
  /** How late spend appears in `/costs`. */
  costs_lag_ms: z.int().min(0).default(0),
  models: z.array(z.string().min(1)).default([...MODELS]),
});
export type OpenAiSettings = z.output<typeof OpenAiSettings>;
