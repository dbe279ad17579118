import type { JobId } from "@keygate/shared/contracts/ids";
import { auditRows, writeAudit } from "@keygate/shared/db/audit";
import { jobRows } from "@keygate/shared/db/jobs";
import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import { isProof } from "../jobs/claim-challenge.ts";
import { findJob } from "../jobs/wait-for-job.ts";

const action = "key.claim_disputed";

/**
 * The holder of a link says that somebody else took its key. Told once; the admin decides what follows.
 *
 * @throws job.not_found, claim.wrong_token, claim.not_ready when nobody took it.
 */
export async function disputeClaim(
  deps: ApiDeps,
  id: JobId,
  { proof, ipAddress }: { proof: Secret; ipAddress: string | null },
): Promise<void> {
  const seen = await findJob(deps, id);
  if (!isProof(deps, seen, proof)) throw new KeyGateError("claim.wrong_token");
  await deps.db.transaction().execute(async (tx) => {
    const job = await jobRows(tx).lock(id);
    if (!job?.claimed_at || !job.key_id) throw new KeyGateError("claim.not_ready", { detail: "Nobody took the key." });
    const earlier = await auditRows(tx).list({ action, resource_id: job.key_id, limit: 1 });
    if (earlier.items.length > 0) return;
    await writeAudit(tx, {
      action,
      actor: { name: "token:claim", id: `claim:${id}`, ipAddress },
      resourceType: "key",
      resourceId: job.key_id,
      details: { outcome: "info", job_id: id, vendor: job.vendor, claimed_at: job.claimed_at.toISOString() },
    });
  });
  deps.log.warn({ jobId: id, keyId: seen.key_id }, "key.claim_disputed");
}
