import type { ReconcileFinding, ReconcileRun } from "@keygate/shared/contracts/reconcile";
import type { FindingRow } from "@keygate/shared/db/reconcile-findings";
import type { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";

type Run = Awaited<ReturnType<ReturnType<typeof reconcileRunRows>["newest"]>>[number];

const iso = (at: Date | null) => at?.toISOString() ?? null;
const phaseOf = (cursor: unknown): "resources" | "keys" | null => {
  const phase = typeof cursor === "object" && cursor !== null && "phase" in cursor ? cursor.phase : null;
  return phase === "resources" || phase === "keys" ? phase : null;
};

/** The newest run of a vendor. Where it goes on is its own affair; how far it came is not. */
export const runView = (run: Run): ReconcileRun => ({
  vendor: run.vendor,
  state: run.ended_at === null ? "running" : (run.outcome ?? "completed"),
  job_id: run.job_id,
  phase: run.ended_at === null ? (phaseOf(run.cursor) ?? "resources") : null,
  resources_seen: run.resources_seen,
  keys_seen: run.keys_seen,
  rows_checked: run.rows_checked,
  skipped: run.skipped,
  waiting: run.ended_at === null ? (run.waiting?.reason ?? null) : null,
  error: run.error?.detail ?? null,
  started_at: run.started_at.toISOString(),
  moved_at: run.moved_at.toISOString(),
  ended_at: iso(run.ended_at),
});

/** A finding without the references that only a removal needs. */
export function findingView(row: FindingRow, now: Date): ReconcileFinding {
  const { detail, ...details } = row.details;
  const isOpen = row.resolved_at === null;
  return {
    id: row.id,
    vendor: row.vendor,
    kind: row.kind,
    resource: { type: row.resource_type, id: row.resource_id, name: row.resource.name },
    key_id: row.key_id,
    detail: String(detail ?? ""),
    details,
    suggested_action: row.suggested_action,
    can_adopt: isOpen && !("refusal" in row.resource.adoption),
    can_remove: isOpen && !("refusal" in row.resource.removal),
    removal_job_id: row.removal_job_id,
    first_seen: row.first_seen_at.toISOString(),
    last_seen: row.last_seen_at.toISOString(),
    age_seconds: Math.max(0, Math.floor(((row.resolved_at ?? now).getTime() - row.first_seen_at.getTime()) / 1000)),
    sightings: row.sightings,
    resolved_at: iso(row.resolved_at),
    resolution: row.resolution,
  };
}
