import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { jobRows } from "@keygate/shared/db/jobs";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { JobContext } from "./job-context.ts";

/** Works a check: tries the stored credentials on the vendor and leaves the report in the job's row. */
export async function checkVendor({ deps, job, lease }: JobContext): Promise<void> {
  const vendorId = must(job.vendor, "the job's vendor");
  const report = await tryCredentials();
  if (report.ok) await deps.vendors.reportHealthy(vendorId);
  else {
    const words = report.findings.filter((finding) => !finding.ok).map((finding) => finding.detail);
    await deps.vendors.reportUnhealthy(vendorId, words.join(" ").slice(0, 1000));
  }
  await jobRows(deps.db).finish(lease, { state: "succeeded", error: null, result: report });

  async function tryCredentials(): Promise<CheckReport> {
    const checked_at = deps.now().toISOString();
    try {
      const { vendor, client } = await deps.vendors.connect(vendorId);
      return { ...(await vendor.check(client)), checked_at };
    } catch (error) {
      const detail = error instanceof KeyGateError ? (error.detail ?? error.title) : "The check itself failed.";
      if (!(error instanceof KeyGateError)) deps.log.error({ error, vendor: vendorId }, "vendor.check_failed");
      return { ok: false, checked_at, findings: [{ name: "connection", ok: false, detail }], missing: [] };
    }
  }
}
