import type { JobId } from "@keygate/shared/contracts/ids";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { contractOf } from "../keys/provision-policy.ts";

export interface Look {
  vendor: VendorId;
  job_id: JobId;
  status: string;
}

/**
 * Asks for a look at one vendor, or at all that are configured. One that is under way is joined.
 *
 * @throws vendor.not_configured
 */
export async function requestReconcile(deps: ApiDeps, by: Actor, only: VendorId | undefined): Promise<Look[]> {
  const rows = await deps.db.transaction().execute(async (tx) => {
    const vendors = only ? [only] : (await vendorConfigRows(tx).list()).map(({ vendor }) => vendor);
    const jobs: JobRow[] = [];
    for (const vendor of vendors) {
      // Locked, so that two requests make one job.
      if (!(await vendorConfigRows(tx).lock(vendor))) {
        throw new KeyGateError("vendor.not_configured", { detail: `${contractOf(vendor).title} is not configured.` });
      }
      const running = await reconcileRunRows(tx).findJob(vendor);
      const [made] = running
        ? [await jobRows(tx).find(running)]
        : await jobRows(tx).insert([{ kind: "reconcile", input: { vendor }, vendor, keyId: null, actor: by }]);
      const job = must(made, "the job of a reconcile");
      jobs.push(job);
      await writeAudit(tx, {
        action: "reconcile.run",
        actor: by,
        resourceType: "vendor",
        resourceId: vendor,
        details: { outcome: "requested", job_id: job.id, joined: running !== null },
      });
    }
    return jobs;
  });
  await enqueueJobs(deps, rows);
  return rows.flatMap(({ id, vendor, state }) => (vendor ? [{ vendor, job_id: id, status: state }] : []));
}
