import type { KeyId } from "@keygate/shared/contracts/ids";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import type { Tx } from "@keygate/shared/db/client";
import type { JobRow } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows, type NewKey } from "@keygate/shared/db/keys";
import type { VendorConfigRow } from "@keygate/shared/db/vendor-configs";
import { KeyGateError, must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { requestRevocations } from "@keygate/shared/revocation";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { type Asking, insertMaker } from "./provision-key.ts";
import { requireActiveDeveloper, requireVendor } from "./provision-policy.ts";

const msPerDay = 86_400_000;

export const keyNotFound = (id: KeyId): KeyGateError =>
  new KeyGateError("key.not_found", { detail: `There is no key ${id}.` });

/**
 * Asks for a successor of a key with the same limits and the same length of life. The old key is not touched before
 * the new one was taken. Where the vendor has room for two keys only, a key before the old one that still has its grace
 * ends now, since the new one needs its place.
 *
 * @throws key.not_found, key.not_active (also while another rotation is under way, or its key was not taken yet where
 *   that one's place is needed), developer.inactive, vendor.not_configured, request.throttled.
 */
export async function rotateKey(deps: ApiDeps, id: KeyId, graceMinutes: number, asking: Asking): Promise<JobRow> {
  const known = await keyRows(deps.db).find(id);
  if (known) await deps.backlog.requireRoom(known.vendor);
  const { job, ended } = await deps.db.transaction().execute(async (tx) => {
    const { old, before, vendor } = await lockForRotation(tx, id);
    const ended = before ? await endGraceOf(tx, before, asking) : [];
    const simulated = vendor.source === "simulator";
    const successor = await insertSuccessor(tx, old, { graceMinutes, simulated, createdBy: asking.actor.name });
    const input = { keyId: successor.id, oldKeyId: old.id, gracePeriodMinutes: graceMinutes };
    return { ended, job: await insertMaker(tx, successor, asking, { kind: "rotate", input }) };
  });
  deps.log.info({ jobId: job.id, keyId: job.key_id, oldKeyId: id, vendor: job.vendor }, "key.rotate_requested");
  await enqueueJobs(deps, [...ended, job]);
  return job;
}

/** The key whose place the successor needs, if the vendor has room for two only: the one that the old key replaced. */
function placeNeeded({ vendor, replaces_id: replaced }: KeyRow): KeyId | null {
  const { keysAtOnce }: VendorContract = vendorContracts[vendor];
  return keysAtOnce === 2 ? replaced : null;
}

interface Locked {
  old: KeyRow;
  /** The key before the old one, in whose place the new one is to go. */
  before: KeyRow | null;
  vendor: VendorConfigRow;
}

/** Lock order as everywhere: the developer, the vendor, then the keys, the older first. */
async function lockForRotation(tx: Tx, id: KeyId): Promise<Locked> {
  const seen = await keyRows(tx).find(id);
  if (!seen) throw keyNotFound(id);
  await requireActiveDeveloper(tx, seen.developer_id);
  const vendor = await requireVendor(tx, seen.vendor);
  const beforeId = placeNeeded(seen);
  const before = beforeId ? ((await keyRows(tx).lock(beforeId)) ?? null) : null;
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
  return { old, before, vendor };
}

/**
 * Ends the grace of a key now. Who rotates again knows of it: the key is shown as retiring, and its end is asked for in
 * the same transaction, with an audit row that says why.
 */
async function endGraceOf(tx: Tx, before: KeyRow, { actor }: Asking): Promise<JobRow[]> {
  if (before.status !== "retiring") return [];
  // Its successor may still lie unopened: then this one is the only key that anybody holds.
  if (!before.retire_at) {
    throw new KeyGateError("key.not_active", {
      detail: `The key has not been taken yet, so ${before.id}, which it replaces, is still in use; the vendor has room for two keys. Rotate again when the key was taken, or revoke ${before.id}.`,
    });
  }
  const reason = "rotated again within the grace period: the vendor has room for two keys";
  return requestRevocations(tx, [before], { actor, reason, ending: "rotated" });
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
