import { isFinal } from "@keygate/shared/contracts/jobs";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { type AuditEntry, systemActor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type FindingRow, type NewFinding, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import type { Origin } from "./judge.ts";

export const reconcileActor = systemActor("reconcile");

/** Seen in so many runs before it is removed without asking. */
const sightingsBeforeRemoval = 2;

export interface RecordOptions {
  vendor: VendorId;
  runId: number;
  settleMs: number;
  removeUnknown: boolean;
}

/** The audit row of a finding that appeared, was resolved, or is to be removed. */
export const auditFinding = (
  action: "reconcile.finding" | "reconcile.resolved" | "reconcile.remove",
  row: FindingRow,
  details: AuditEntry["details"],
  actor = reconcileActor,
): AuditEntry => ({
  action,
  actor,
  resourceType: "finding",
  resourceId: row.id,
  details: {
    ...details,
    kind: row.kind,
    vendor: row.vendor,
    resource_type: row.resource_type,
    resource: row.resource_id,
    name: row.resource.name,
    key_id: row.key_id,
  },
});

/** Notes what was found, with an audit row for what is new; asks for the removal of what surely is nobody's. */
export async function recordFindings(tx: Tx, found: readonly NewFinding[], options: RecordOptions): Promise<JobRow[]> {
  const findings = reconcileFindingRows(tx);
  const removals: JobRow[] = [];
  for (const each of found) {
    const { row, isNew } = await findings.note(options.vendor, options.runId, each);
    if (isNew) {
      await writeAudit(tx, auditFinding("reconcile.finding", row, { outcome: "info", detail: each.details.detail }));
    }
    if (await isDue(tx, row, options)) removals.push(await askForRemoval(tx, row));
  }
  return removals;
}

async function isDue(tx: Tx, row: FindingRow, { settleMs, removeUnknown }: RecordOptions): Promise<boolean> {
  const origin = row.details.origin as Origin | undefined;
  const isCertain = origin === "failed_job" || origin === "lost_row" || (origin === "unknown" && removeUnknown);
  const isSettled = row.last_seen_at.getTime() - row.first_seen_at.getTime() >= settleMs;
  const isOrphan = row.kind === "orphan" && row.resource_type === "container";
  if (!isOrphan || !isCertain || !isSettled || row.sightings < sightingsBeforeRemoval) return false;
  const earlier = row.removal_job_id ? await jobRows(tx).find(row.removal_job_id) : undefined;
  return !earlier || isFinal(earlier.state);
}

async function askForRemoval(tx: Tx, row: FindingRow): Promise<JobRow> {
  const [job] = await jobRows(tx).insert([
    { kind: "remove_orphan", input: { findingId: row.id }, vendor: row.vendor, keyId: null, actor: reconcileActor },
  ]);
  if (!job) throw new Error("the removal's job was not written");
  await reconcileFindingRows(tx).setRemovalJob(row.id, job.id);
  await writeAudit(
    tx,
    auditFinding("reconcile.remove", row, { outcome: "requested", job_id: job.id, sightings: row.sightings }),
  );
  return job;
}

/** What a whole run has not seen any more is over. */
export async function resolveUnseen(tx: Tx, vendor: VendorId, runId: number): Promise<void> {
  const gone = await reconcileFindingRows(tx).resolveUnseen(vendor, runId);
  await writeAudit(
    tx,
    gone.map((row) => auditFinding("reconcile.resolved", row, { outcome: "info", resolution: row.resolution })),
  );
}
