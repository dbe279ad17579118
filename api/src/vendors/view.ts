import type { VendorView } from "@keygate/shared/contracts/vendors";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import type { Throttled } from "@keygate/shared/db/jobs";
import type { VendorConfigRow } from "@keygate/shared/db/vendor-configs";

const enforcesOf = ({ limits }: VendorContract): VendorView["enforces"] =>
  Object.fromEntries(
    Object.entries(limits).map(([name, { enforcedBy, delay, finePrint }]) => [
      name,
      { enforced_by: enforcedBy, delay, fine_print: finePrint },
    ]),
  );

/** A configured vendor as the API shows it: everything but the credential. */
export function vendorView(row: VendorConfigRow, activeKeys: number, throttled: Throttled | undefined): VendorView {
  const contract = vendorContracts[row.vendor];
  return {
    vendor: row.vendor,
    title: contract.title,
    admin_key_hint: row.admin_key_hint,
    org_id: row.org_id,
    configured_at: row.configured_at.toISOString(),
    source: row.source,
    health: { status: row.health, detail: row.health_detail, since: row.health_since?.toISOString() ?? null },
    throttling: {
      jobs_waiting: throttled?.jobsWaiting ?? 0,
      next_try_at: throttled?.nextTryAt.toISOString() ?? null,
    },
    enforces: enforcesOf(contract),
    active_keys: activeKeys,
    simulated: row.source === "simulator",
  };
}
