import type { ColumnType, Generated } from "kysely";
import type { UserRole } from "../contracts/auth.ts";
import type { PublicJwk } from "../contracts/common.ts";
import type { DeveloperRole } from "../contracts/developers.ts";
import type {
  AuditEventId,
  DeveloperId,
  FindingId,
  JobId,
  KeyId,
  ServiceTokenId,
  UserId,
  WorkspaceId,
} from "../contracts/ids.ts";
import type { JobKind, JobState } from "../contracts/jobs.ts";
import type { Instructions, KeyStatus } from "../contracts/keys.ts";
import type { LimitReport } from "../contracts/limits.ts";
import type { FindingKind, SuggestedAction } from "../contracts/reconcile.ts";
import type { Scope } from "../contracts/tokens.ts";
import type { LinkPurpose } from "../contracts/users.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import type { Sealed } from "../crypto/envelope.ts";

type At = ColumnType<Date, Date | string, Date | string>;
type AtNow = ColumnType<Date, Date | string | undefined, Date | string>;
type AtOrNull = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;
/** jsonb: parsed when read, written as text. */
type Json<T> = ColumnType<T, string, string>;
type JsonOrEmpty<T> = ColumnType<T, string | undefined, string>;
type JsonOrNull<T> = ColumnType<T | null, string | null | undefined, string | null>;

export interface JobError {
  code: string;
  title: string;
  detail: string;
}
export interface JobWaiting {
  reason: string;
  instructions: string | null;
  link: string | null;
}

/** An Ed25519 public key as JWK. */
export interface AuditPublicKey {
  kty: string;
  crv: string;
  x: string;
}

/** What a finding is about, with all that removing or adopting it needs; never a secret. */
export interface FoundResource {
  name: string;
  /** References as a key's row holds them: what a removal starts from. */
  ref: Record<string, unknown>;
  /** How it can be removed; null with the reason where KeyGate does not. */
  removal: { how: "dismantle" | "revoke" } | { refusal: string };
  adoption: Adoption | { refusal: string };
}

/** What a row of an unmanaged key would hold. */
export interface Adoption {
  vendorRef: Record<string, unknown>;
  hint: string;
  expiresAt: string | null;
  /** The key's companions in what KeyGate made; null when it stands alone. */
  lineageId: KeyId | null;
}

export interface Database {
  users: {
    id: UserId;
    email: string;
    password_hash: string;
    role: UserRole;
    is_active: Generated<boolean>;
    token_version: Generated<number>;
    created_at: AtNow;
    /** Null as long as an invitation was not followed. */
    joined_at: AtOrNull;
  };
  user_links: {
    user_id: UserId;
    token_hash: string;
    purpose: LinkPurpose;
    created_by: string;
    created_at: AtNow;
    expires_at: At;
  };
  service_tokens: {
    id: ServiceTokenId;
    name: string;
    token_hash: string;
    hint: string;
    scopes: Scope[];
    created_by: string;
    created_by_id: UserId;
    created_at: AtNow;
    expires_at: At;
    last_used_at: AtOrNull;
    last_used_address: string | null;
    revoked_at: AtOrNull;
    revoked_by: string | null;
  };
  ended_sessions: { token_hash: string; expires_at: At };
  login_throttles: { bucket: string; failures: number; window_ends_at: At };
  known_logins: { user_id: UserId; address: string; last_success_at: At };
  developers: {
    id: DeveloperId;
    name: string;
    email: string;
    team: string;
    role: DeveloperRole;
    is_active: Generated<boolean>;
    created_at: AtNow;
  };
  workspaces: {
    id: WorkspaceId;
    name: string;
    description: string;
    color: string;
    spend_limit_micros: number | null;
    rate_limit_rpm: number | null;
    is_archived: Generated<boolean>;
    created_at: AtNow;
  };
  workspace_members: {
    workspace_id: WorkspaceId;
    developer_id: DeveloperId;
    role: "member" | "admin" | "viewer";
    joined_at: AtNow;
  };
  vendor_configs: {
    vendor: VendorId;
    source: "api" | "environment" | "simulator";
    sealed: Json<Sealed>;
    admin_key_hint: string;
    org_id: string | null;
    public_config: JsonOrEmpty<Record<string, unknown>>;
    version: Generated<number>;
    health: Generated<"unknown" | "healthy" | "unhealthy">;
    health_detail: string | null;
    health_since: AtOrNull;
    configured_at: AtNow;
  };
  keys: {
    id: KeyId;
    developer_id: DeveloperId;
    vendor: VendorId;
    workspace_id: WorkspaceId | null;
    status: KeyStatus;
    status_reason: string | null;
    credential_kind: Generated<string>;
    project_name: string;
    description: Generated<string>;
    budget_micros: number;
    rate_limit_rpm: number;
    models_allowed: string[] | null;
    expires_at: AtOrNull;
    hint: string | null;
    fingerprints: Generated<string[]>;
    vendor_ref: JsonOrEmpty<Record<string, unknown>>;
    limits: JsonOrEmpty<LimitReport[]>;
    instructions: JsonOrNull<Instructions>;
    lineage_id: KeyId;
    replaces_id: KeyId | null;
    replaced_by_id: KeyId | null;
    grace_minutes: number | null;
    retire_at: AtOrNull;
    simulated: Generated<boolean>;
    created_by: string;
    created_at: AtNow;
    activated_at: AtOrNull;
    claimed_at: AtOrNull;
    revoke_requested_at: AtOrNull;
    revoked_at: AtOrNull;
  };
  jobs: {
    id: JobId;
    kind: JobKind;
    vendor: VendorId | null;
    key_id: KeyId | null;
    parent_id: JobId | null;
    state: JobState;
    input: Json<unknown>;
    priority: number;
    attempts: Generated<number>;
    undo_attempts: Generated<number>;
    run_at: AtNow;
    enqueued_at: AtOrNull;
    lease_token: string | null;
    lease_until: AtOrNull;
    cancel_requested: Generated<boolean>;
    step: string | null;
    step_number: Generated<number>;
    step_total: Generated<number>;
    error: JsonOrNull<JobError>;
    waiting: JsonOrNull<JobWaiting>;
    sealed_input: JsonOrNull<Sealed>;
    result: JsonOrNull<unknown>;
    requested_by: string;
    requested_by_id: string;
    ip_address: string | null;
    delivery_key: JsonOrNull<PublicJwk>;
    delivery_is_callers: Generated<boolean>;
    sealed_to: string | null;
    claim_until: AtOrNull;
    claimed_at: AtOrNull;
    created_at: AtNow;
    started_at: AtOrNull;
    finished_at: AtOrNull;
    written_off_at: AtOrNull;
    written_off_by: string | null;
    written_off_reason: string | null;
    /** W3C trace context of whoever asked for it. */
    traceparent: string | null;
  };
  reconcile_runs: {
    id: Generated<number>;
    vendor: VendorId;
    config_version: number;
    cursor: JsonOrNull<unknown>;
    resources_seen: Generated<number>;
    keys_seen: Generated<number>;
    rows_checked: Generated<number>;
    skipped: Generated<number>;
    outcome: "completed" | "abandoned" | null;
    error: JsonOrNull<JobError>;
    started_at: AtNow;
    moved_at: AtNow;
    ended_at: AtOrNull;
  };
  reconcile_findings: {
    id: FindingId;
    vendor: VendorId;
    kind: FindingKind;
    resource_type: string;
    resource_id: string;
    resource: Json<FoundResource>;
    key_id: KeyId | null;
    details: JsonOrEmpty<Record<string, unknown>>;
    suggested_action: SuggestedAction;
    removal_job_id: JobId | null;
    first_run_id: number;
    last_run_id: number;
    sightings: Generated<number>;
    first_seen_at: AtNow;
    last_seen_at: AtNow;
    resolved_at: AtOrNull;
    resolution: string | null;
  };
  reconcile_sightings: { key_id: KeyId; seen_at: At };
  saga_steps: {
    job_id: JobId;
    name: string;
    position: number;
    status: "started" | "done" | "undone";
    made: JsonOrEmpty<Record<string, unknown>>;
    unsure_since: AtOrNull;
    started_at: AtNow;
    finished_at: AtOrNull;
  };
  handoffs: { job_id: JobId; jwe: string; expires_at: At };
  idempotency_keys: {
    actor: string;
    key: string;
    request_hash: string;
    job_id: JobId | null;
    response: JsonOrNull<{ status: number; headers: Record<string, string>; body: string }>;
    locked_until: At;
    expires_at: At;
  };
  audit_events: {
    seq: Generated<number>;
    id: AuditEventId;
    action: string;
    actor: string;
    resource_type: string;
    resource_id: string;
    details: JsonOrEmpty<Record<string, unknown>>;
    ip_address: string | null;
    created_at: AtNow;
    xact: Generated<string>;
  };
  audit_signing_keys: {
    id: string;
    public_key: Json<AuditPublicKey>;
    sealed: Json<Sealed>;
    created_at: AtNow;
    retired_at: AtOrNull;
  };
  audit_checkpoints: {
    number: number;
    from_seq: number;
    to_seq: number;
    row_count: number;
    root: string;
    previous: string;
    sealed_at: At;
    key_id: string;
    next_key: JsonOrNull<AuditPublicKey>;
    lost_head: JsonOrNull<{ number: number; hash: string }>;
    hash: string;
    signature: string;
    leaves: Buffer;
  };
}
