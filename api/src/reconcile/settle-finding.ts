import type { FindingId } from "@keygate/shared/contracts/ids";
import { isFinal } from "@keygate/shared/contracts/jobs";
import type { AdoptRequest } from "@keygate/shared/contracts/reconcile";
import { type Actor, type AuditEntry, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { type FindingRow, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { knownRows } from "@keygate/shared/db/reconcile-known";
import type { Adoption } from "@keygate/shared/db/schema";
import { KeyGateError, must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { projectNameFor } from "@keygate/shared/naming";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";
import { contractOf, requireActiveDeveloper, requireRoomInWorkspace, requireVendor } from "../keys/provision-policy.ts";

/** @throws finding.not_found, finding.resolved */
async function requireOpen(tx: Tx, id: FindingId): Promise<FindingRow> {
  const finding = await reconcileFindingRows(tx).lock(id);
  if (!finding) throw new KeyGateError("finding.not_found", { detail: `There is no finding ${id}.` });
  if (finding.resolved_at) {
    throw new KeyGateError("finding.resolved", { detail: `It was resolved: ${finding.resolution ?? "gone"}.` });
  }
  return finding;
}

const auditOf = (action: string, actor: Actor, finding: FindingRow, details: AuditEntry["details"]): AuditEntry => ({
  action,
  actor,
  resourceType: "finding",
  resourceId: finding.id,
  details: {
    ...details,
    kind: finding.kind,
    vendor: finding.vendor,
    resource_type: finding.resource_type,
    resource: finding.resource_id,
    name: finding.resource.name,
  },
});

/**
 * Makes a key that KeyGate did not make a key of a developer, so that it can be rotated and revoked. Its secret stays
 * unknown, and its limits are nobody's.
 *
 * @throws finding.not_found, finding.resolved, finding.not_adoptable, developer.*, workspace.*
 */
export async function adoptKey(deps: ApiDeps, actor: Actor, id: FindingId, body: AdoptRequest): Promise<KeyRow> {
  return deps.db.transaction().execute(async (tx) => {
    const developer = await requireActiveDeveloper(tx, body.developer_id);
    const workspaceId = body.workspace_id ?? null;
    if (workspaceId) {
      await requireRoomInWorkspace(tx, workspaceId, { developerId: developer.id, budgetMicros: 0, rateLimitRpm: 0 });
    }
    const finding = await requireOpen(tx, id);
    const { adoption } = finding.resource;
    if ("refusal" in adoption) throw new KeyGateError("finding.not_adoptable", { detail: adoption.refusal });
    const config = await requireVendor(tx, finding.vendor);
    if ((await knownRows(tx).byVendorKeys(finding.vendor, [finding.resource_id])).length > 0) {
      throw new KeyGateError("finding.not_adoptable", { detail: "KeyGate knows this key by now." });
    }
    const key = await insertAdopted(tx, finding, adoption, {
      developer,
      workspaceId,
      description: body.description,
      isSimulated: config.source === "simulator",
      createdBy: actor.name,
    });
    await reconcileFindingRows(tx).resolve(id, "adopted", key.id);
    await writeAudit(tx, [
      {
        action: "key.adopt",
        actor,
        resourceType: "key",
        resourceId: key.id,
        details: {
          outcome: "succeeded",
          vendor: key.vendor,
          developer_id: key.developer_id,
          key_hint: key.hint,
          finding_id: id,
          vendor_key: finding.resource_id,
        },
      },
      auditOf("reconcile.resolved", actor, finding, { outcome: "info", resolution: "adopted", key_id: key.id }),
    ]);
    return key;
  });
}

async function insertAdopted(
  tx: Tx,
  finding: FindingRow,
  adoption: Adoption,
  owner: {
    developer: Awaited<ReturnType<typeof requireActiveDeveloper>>;
    workspaceId: KeyRow["workspace_id"];
    description: string;
    isSimulated: boolean;
    createdBy: string;
  },
): Promise<KeyRow> {
  const keyId = newId("key");
  const inserted = await keyRows(tx).insert({
    id: keyId,
    developerId: owner.developer.id,
    vendor: finding.vendor,
    workspaceId: owner.workspaceId,
    projectName: projectNameFor(contractOf(finding.vendor).naming, owner.developer, keyId, 0),
    description: owner.description || `Adopted: ${finding.resource.name}`.slice(0, 1000),
    budgetMicros: 0,
    rateLimitRpm: 0,
    modelsAllowed: null,
    expires: { at: adoption.expiresAt ? new Date(adoption.expiresAt) : null },
    lineageId: adoption.lineageId ?? keyId,
    replacesId: null,
    graceMinutes: null,
    simulated: owner.isSimulated,
    createdBy: owner.createdBy,
  });
  must(inserted, "the adopted key's row");
  return keyRows(tx).markActive(keyId, {
    hint: adoption.hint,
    // Nobody here has ever seen the key.
    fingerprints: [],
    vendorRef: adoption.vendorRef,
    limits: [],
    instructions: null,
  });
}

/**
 * Asks for the removal of what a finding is about. One that is under way is joined.
 *
 * @throws finding.not_found, finding.resolved, finding.not_removable
 */
export async function removeFinding(deps: ApiDeps, actor: Actor, id: FindingId): Promise<JobRow> {
  const job = await deps.db.transaction().execute(async (tx) => {
    const finding = await requireOpen(tx, id);
    const { removal } = finding.resource;
    if ("refusal" in removal) throw new KeyGateError("finding.not_removable", { detail: removal.refusal });
    const earlier = finding.removal_job_id ? await jobRows(tx).find(finding.removal_job_id) : undefined;
    if (earlier && !isFinal(earlier.state)) return earlier;
    const [made] = await jobRows(tx).insert([
      { kind: "remove_orphan", input: { findingId: id }, vendor: finding.vendor, keyId: null, actor },
    ]);
    const row = must(made, "the removal's job");
    await reconcileFindingRows(tx).setRemovalJob(id, row.id);
    await writeAudit(tx, auditOf("reconcile.remove", actor, finding, { outcome: "requested", job_id: row.id }));
    return row;
  });
  await enqueueJobs(deps, [job]);
  return job;
}
