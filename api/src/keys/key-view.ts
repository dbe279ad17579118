import type { JobId } from "@keygate/shared/contracts/ids";
import type { KeyDetail, KeyView, ProvisionResult, RotateResult } from "@keygate/shared/contracts/keys";
import type { KeyRow, ListedKeyRow, OwnedKeyRow } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { microsToDollars } from "@keygate/shared/money";
import type { z } from "zod";
import type { Opened } from "../jobs/take-key.ts";

const iso = (at: Date | null) => at?.toISOString() ?? null;

/** A key as lists show it; there is no secret in the row that could be shown. */
export function keyView(key: ListedKeyRow): KeyView {
  return {
    id: key.id,
    key_id: key.id,
    developer_id: key.developer_id,
    developer_name: key.developer_name,
    team: key.team,
    vendor: key.vendor,
    workspace_id: key.workspace_id,
    status: key.status,
    credential_kind: key.credential_kind,
    key_hint: key.hint,
    project_name: key.project_name,
    description: key.description,
    budget_limit_usd: microsToDollars(key.budget_micros),
    rate_limit_rpm: key.rate_limit_rpm,
    models_allowed: key.models_allowed,
    expires_at: iso(key.expires_at),
    created_at: key.created_at.toISOString(),
    activated_at: iso(key.activated_at),
    claimed_at: iso(key.claimed_at),
    revoked_at: iso(key.revoked_at),
    retire_at: iso(key.retire_at),
    replaces: key.replaces_id,
    replaced_by: key.replaced_by_id,
    status_reason: key.status_reason,
    simulated: key.simulated,
  };
}

/** One key with its limits, who enforces each, and what stands for it at the vendor. */
export function keyDetail(key: OwnedKeyRow, jobId: JobId | null): z.infer<typeof KeyDetail> {
  return {
    ...keyView(key),
    limits: key.limits,
    instructions: key.instructions,
    vendor_resources: key.vendor_ref,
    job_id: jobId,
  };
}

/** The answer that carries the key, once: the only place where it becomes readable text. Null: it was taken before. */
export function provisionResult(key: KeyRow, jobId: JobId, opened: Opened | null): ProvisionResult {
  return {
    key_id: key.id,
    vendor: key.vendor,
    api_key: opened && "apiKey" in opened ? opened.apiKey.reveal() : null,
    ...(opened && "jwe" in opened ? { api_key_jwe: opened.jwe } : {}),
    key_hint: must(key.hint, "hint of an issued key"),
    project_name: key.project_name,
    budget_limit_usd: microsToDollars(key.budget_micros),
    expires_at: iso(key.expires_at),
    instructions: must(key.instructions, "instructions of an issued key"),
    job_id: jobId,
    limits: key.limits,
  };
}

/** When a key that is being replaced stops: at the end of its grace, or before that when its own time is over. */
function validUntil(old: KeyRow): Date | null {
  if (old.status !== "retiring" || !old.retire_at) return old.revoked_at;
  return old.expires_at && old.expires_at < old.retire_at ? old.expires_at : old.retire_at;
}

export function rotateResult(result: ProvisionResult, old: KeyRow): RotateResult {
  return {
    ...result,
    old_key_id: old.id,
    new_key_id: result.key_id,
    old_key_status: old.status,
    old_key_valid_until: iso(validUntil(old)),
  };
}
