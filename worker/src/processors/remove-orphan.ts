import { jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import { writeAudit } from "@keygate/shared/db/audit";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type FindingRow, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { knownRows } from "@keygate/shared/db/reconcile-known";
import { must } from "@keygate/shared/errors";
import type { WorkerDeps } from "../deps.ts";
import { isWorking } from "../reconcile/judge.ts";
import { auditFinding } from "../reconcile/record.ts";
import { openJournal } from "../saga/journal.ts";
import { runSteps } from "../saga/run.ts";
import type { SagaContext, SagaKey, SagaState } from "../saga/step.ts";
import type { AnyVendor } from "../vendors/vendor.ts";
import { actorOf } from "./actor.ts";
import type { JobContext } from "./job-context.ts";

/** Works the removal of what reconcile found, with the same steps and the same journal as the end of a key. */
export async function removeOrphan(ctx: JobContext): Promise<void> {
  const { deps, job, lease } = ctx;
  const { findingId } = jobSpecs.remove_orphan.input.parse(job.input);
  const finding = must(await reconcileFindingRows(deps.db).find(findingId), "the finding");
  const connection = await deps.vendors.connect(finding.vendor);
  const { removal } = finding.resource;
  const refusal =
    "refusal" in removal
      ? removal.refusal
      : (await isNeeded(deps, connection.vendor, finding))
        ? "A live key of KeyGate stands there by now."
        : null;
  if (refusal !== null) {
    const error = { code: "finding.not_removable", title: "This is not removed by KeyGate", detail: refusal };
    await jobRows(deps.db).finish(lease, { state: "failed", error });
    return;
  }
  if (!finding.resolved_at) {
    const isKey = "how" in removal && removal.how === "revoke";
    const steps = isKey ? connection.vendor.revoke(false) : connection.vendor.dismantle;
    const journal = await openJournal(deps.db, lease);
    let step: string | null = null;
    const saga = contextFor(deps, connection.client, finding, job, () =>
      step ? (journal.startedAt(step) ?? null) : null,
    );
    await runSteps(steps, saga, finding.resource.ref as SagaState, journal, {
      settleMs: connection.settleMs,
      checkpoint: async ({ name }) => {
        step = name;
      },
    });
  }
  await deps.db.transaction().execute(async (tx) => {
    const actor = actorOf(job);
    await jobRows(tx).finish(lease, { state: "succeeded", error: null });
    const resolved = await reconcileFindingRows(tx).resolve(findingId, "removed");
    if (!resolved) return;
    await writeAudit(tx, [
      auditFinding("reconcile.remove", resolved, { outcome: "succeeded", job_id: job.id }, actor),
      auditFinding("reconcile.resolved", resolved, { outcome: "info", resolution: "removed" }, actor),
    ]);
  });
}

/** Rows are read again right before anything is removed: what was nobody's may have been adopted since. */
async function isNeeded({ db }: WorkerDeps, vendor: AnyVendor, finding: FindingRow): Promise<boolean> {
  const known = knownRows(db);
  if (finding.resource_type === "key") {
    const rows = await known.byVendorKeys(finding.vendor, [finding.resource_id]);
    return rows.some((row) => isWorking(row) && vendor.inventory.keyOf(row.vendor_ref) === finding.resource_id);
  }
  const lineageId = finding.details.lineage_id;
  const rows = typeof lineageId === "string" ? await known.lineageOf(lineageId) : [];
  return rows.some((row) => isWorking(row) && vendor.inventory.containerOf(row.vendor_ref) === finding.resource_id);
}

/** Steps that end things ask for nothing but the client and the references; there is no key to tell them of. */
function contextFor(
  deps: WorkerDeps,
  client: unknown,
  finding: FindingRow,
  job: JobRow,
  stepBegan: () => Date | null,
): SagaContext<unknown> {
  const key: SagaKey = {
    id: finding.key_id ?? finding.id,
    jobId: job.id,
    developerId: "",
    projectName: finding.resource.name,
    budgetMicros: 0,
    rateLimitRpm: 0,
    modelsAllowed: null,
    expiresAt: null,
    createdAt: finding.first_seen_at,
    jobCreatedAt: job.created_at,
  };
  return {
    client,
    key,
    input: null,
    deliver: async () => {
      throw new Error("a removal delivers no key");
    },
    isTracked: async () => false,
    stepAgeMs: async () => {
      const began = stepBegan();
      return began ? Date.now() - began.getTime() : 0;
    },
    unsureMs: async () => {
      throw new Error("a removal waits for nothing that was made");
    },
    now: deps.now,
  };
}
