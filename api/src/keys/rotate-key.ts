import type { KeyId } from "@keygate/shared/contracts/ids";
import type { Tx } from "@keygate/shared/db/client";
import type { JobRow } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows, type NewKey } from "@keygate/shared/db/keys";
import type { VendorConfigRow } from "@keygate/shared/db/vendor-configs";
import { KeyGateError, must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { type Asking, insertMaker } from "./provision-key.ts";
import { requireActiveDeveloper, requireVendor } from "./provision-policy.ts";

const msPerDay = 86_400_000;

export const keyNotFound = (id: KeyId): KeyGateError =>
  new KeyGateError("key.not_found", { detail: `There is no key ${id}.` });

/**
 * Asks for a successor of a key with the same limits and the same length of life. The old key is not touched before
 * the new one was taken.
 *
 * @throws key.not_found, key.not_active (also while another rotation is under way), developer.inactive,
 *   vendor.not_configured.
 */
export async function rotateKey(deps: ApiDeps, id: KeyId, graceMinutes: number, asking: Asking): Promise<JobRow> {
  const job = await deps.db.transaction().execute(async (tx) => {
    const { old, vendor } = await lockForRotation(tx, id);
    const simulated = vendor.source === "simulator";
    const successor = await insertSuccessor(tx, old, { graceMinutes, simulated, createdBy: asking.actor.name });
    const input = { keyId: successor.id, oldKeyId: old.id, gracePeriodMinutes: graceMinutes };
    return insertMaker(tx, successor, asking, { kind: "rotate", input });
  });
  deps.log.info({ jobId: job.id, keyId: job.key_id, oldKeyId: id, vendor: job.vendor }, "key.rotate_requested");
  await enqueueJobs(deps, [job]);
  return job;
}

/** Lock order as everywhere: the developer, the vendor, then the key. */
async function lockForRotation(tx: Tx, id: KeyId): Promise<{ old: KeyRow; vendor: VendorConfigRow }> {
  const seen = await keyRows(tx).find(id);
  if (!seen) throw keyNotFound(id);
  await requireActiveDeveloper(tx, seen.developer_id);
  const vendor = await requireVendor(tx, seen.vendor);
  const old = must(await keyRows(tx).lock(id), "a key that was just seen");
  if (old.status !== "active") {
    const replaced = old.status === "retiring" ? ` It is being replaced by ${old.replaced_by_id}.` : "";
    throw new KeyGateError("key.not_active", {
      detail: `Only an active key can be rotated; this one is ${old.status}.${replaced}`,
    });
  }
  const other = await keyRows(tx).findPendingSuccessor(id);
  if (other) {
    throw new KeyGateError("key.not_active", { detail: `The key is being rotated already: ${other.id} replaces it.` });
  }
  return { old, vendor };
}

async function insertSuccessor(
  tx: Tx,
  old: KeyRow,
  values: Pick<NewKey, "graceMinutes" | "simulated" | "createdBy">,
): Promise<KeyRow> {
  const successor = await keyRows(tx).insert({
    id: newId("key"),
    developerId: old.developer_id,
    vendor: old.vendor,
    workspaceId: old.workspace_id,
    projectName: old.project_name,
    description: old.description,
    budgetMicros: old.budget_micros,
    rateLimitRpm: old.rate_limit_rpm,
    modelsAllowed: old.models_allowed,
    // Both ends of the old key's life are Postgres' own, so the new one lasts exactly as long by the same clock.
    expires: old.expires_at
      ? { inDays: (old.expires_at.getTime() - old.created_at.getTime()) / msPerDay }
      : { at: null },
    lineageId: old.lineage_id,
    replacesId: old.id,
    vendorRef: old.vendor_ref,
    ...values,
  });
  return must(successor, "the inserted successor");
}
