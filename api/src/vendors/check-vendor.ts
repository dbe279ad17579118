import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal } from "@keygate/shared/contracts/jobs";
import { CheckReport } from "@keygate/shared/contracts/vendors";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";

const patienceSeconds = 20;
// The worker's report may leave out when it looked; its job's end says it too.
const StoredReport = CheckReport.partial({ checked_at: true, missing: true });

/** Makes the job that tries a vendor's credentials. */
export async function insertCheck(tx: Tx, by: Actor, vendor: VendorId): Promise<JobRow> {
  const [job] = await jobRows(tx).insert([{ kind: "check", input: {}, vendor, keyId: null, actor: by }]);
  return must(job, "the check just made");
}

const failedReport = (deps: ApiDeps, detail: string): CheckReport => ({
  ok: false,
  checked_at: deps.clock().toISOString(),
  findings: [{ name: "check", ok: false, detail }],
  missing: [],
});

/** Waits up to 20 s for a check and says what it found; never throws for what the vendor or the workers do. */
export async function awaitCheck(deps: ApiDeps, jobId: JobId, signal?: AbortSignal): Promise<CheckReport> {
  const ended = await deps.jobWatcher.waitFor(jobId, (job) => isFinal(job.state), patienceSeconds * 1000, signal);
  const job = ended && (await jobRows(deps.db).find(jobId));
  if (!job) {
    return failedReport(
      deps,
      `The credentials are stored, but no worker answered within ${patienceSeconds} s. Is one running? Check again later.`,
    );
  }
  const report = StoredReport.safeParse(job.result);
  if (!report.success) return failedReport(deps, job.error?.detail ?? "The check ended without a report.");
  const { ok, findings, missing = [], checked_at } = report.data;
  return { ok, findings, missing, checked_at: checked_at ?? (job.finished_at ?? deps.clock()).toISOString() };
}

/** Tries a configured vendor's credentials now. @throws vendor.not_found */
export async function checkVendor(
  deps: ApiDeps,
  by: Actor,
  vendor: VendorId,
  signal?: AbortSignal,
): Promise<CheckReport> {
  const job = await deps.db.transaction().execute(async (tx) => {
    if (!(await vendorConfigRows(tx).hold(vendor))) throw new KeyGateError("vendor.not_found");
    const check = await insertCheck(tx, by, vendor);
    await writeAudit(tx, {
      action: "vendor.check",
      actor: by,
      resourceType: "vendor",
      resourceId: vendor,
      details: { outcome: "requested", job_id: check.id },
    });
    return check;
  });
  await enqueueJobs(deps, [job]);
  return awaitCheck(deps, job.id, signal);
}
