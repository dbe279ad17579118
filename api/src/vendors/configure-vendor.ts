import type { CheckReport, ConfigureVendor } from "@keygate/shared/contracts/vendors";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { jobRows } from "@keygate/shared/db/jobs";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { Secret } from "@keygate/shared/secret";
import { sealVendorSettings } from "@keygate/shared/vendor-settings";
import { z } from "zod";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { invalidRequest } from "../route.ts";
import { awaitCheck, insertCheck } from "./check-vendor.ts";

const Settings = z.record(z.string(), z.unknown());

/** The vendor's own rules for `extra_config`. @throws request.invalid with the fields as `extra_config.x` */
function parseExtra(contract: VendorContract, extra: Record<string, unknown>): Record<string, unknown> {
  const parsed = contract.extraConfig.safeParse(extra);
  if (!parsed.success) throw invalidRequest(parsed.error, "extra_config");
  return Settings.parse(parsed.data);
}

/**
 * Encrypts and stores a vendor's credentials, puts what waited for them back to work, and tries them. They are stored
 * whatever the trial finds.
 */
export async function configureVendor(
  deps: ApiDeps,
  by: Actor,
  input: z.output<typeof ConfigureVendor>,
  signal?: AbortSignal,
): Promise<CheckReport> {
  const { vendor } = input;
  const orgId = input.org_id ?? null;
  const extra = parseExtra(vendorContracts[vendor], input.extra_config ?? {});
  const stored = sealVendorSettings(deps.keyring, vendor, new Secret(input.admin_api_key), extra);

  const { check, woken } = await deps.db.transaction().execute(async (tx) => {
    await vendorConfigRows(tx).upsert({ vendor, source: "api", orgId, ...stored });
    await writeAudit(tx, {
      action: "vendor.configure",
      actor: by,
      resourceType: "vendor",
      resourceId: vendor,
      details: {
        outcome: "succeeded",
        admin_key_hint: stored.adminKeyHint,
        org_id: orgId,
        settings: Object.keys(extra),
      },
    });
    return { woken: await jobRows(tx).wakeVendor(vendor), check: await insertCheck(tx, by, vendor) };
  });
  await enqueueJobs(deps, [check, ...woken]);
  return awaitCheck(deps, check.id, signal);
}
