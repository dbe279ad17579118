import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Db } from "@keygate/shared/db/client";
import { keyRows } from "@keygate/shared/db/keys";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { KeyGateError } from "@keygate/shared/errors";

// An audit row names keys as long as it stays readable; the count is always whole.
const keysNamedMax = 500;

/**
 * Removes a vendor's credentials. With `force` its live keys stay as named debt: KeyGate can no longer revoke them.
 *
 * @returns how many live keys were left.
 * @throws vendor.not_found, vendor.has_live_keys, vendor.from_environment
 */
export async function removeVendor(deps: { db: Db }, by: Actor, vendor: VendorId, force: boolean): Promise<number> {
  return deps.db.transaction().execute(async (tx) => {
    const row = await vendorConfigRows(tx).lock(vendor);
    if (!row) throw new KeyGateError("vendor.not_found");
    const keys = await keyRows(tx).lockLive({ vendor });
    if (!force && keys.length > 0) {
      throw new KeyGateError("vendor.has_live_keys", {
        detail: `${keys.length} keys live on there. Revoke them first, or add ?force to leave them behind.`,
      });
    }
    if (!force && row.source !== "api") {
      throw new KeyGateError("vendor.from_environment", {
        detail: "It would come back at the next start. Take it out of the environment, or add ?force.",
      });
    }
    await vendorConfigRows(tx).remove(vendor);
    await writeAudit(tx, {
      action: "vendor.remove",
      actor: by,
      resourceType: "vendor",
      resourceId: vendor,
      details: {
        outcome: "succeeded",
        source: row.source,
        forced: force,
        keys_left: keys.length,
        keys: keys.slice(0, keysNamedMax).map((key) => key.id),
      },
    });
    return keys.length;
  });
}
