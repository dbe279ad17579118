import type { ClaimView } from "@keygate/shared/contracts/claims";
import type { JobId } from "@keygate/shared/contracts/ids";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { KeyGateError } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { hasFailed } from "../jobs/job-failure.ts";

function stateOf(job: JobRow, key: KeyRow, now: Date): ClaimView["state"] {
  if (job.claimed_at) return "taken";
  if (hasFailed(job) || !(key.status === "pending" || key.status === "active")) return "gone";
  if (job.state !== "succeeded") return "preparing";
  return job.claim_until && job.claim_until > now ? "ready" : "gone";
}

/** @throws job.not_found, also for jobs that make no key: a stranger learns nothing of those. */
export async function claimView(deps: ApiDeps, id: JobId): Promise<ClaimView> {
  const job = await jobRows(deps.db).find(id);
  const key = job?.delivery_key && job.key_id ? await keyRows(deps.db).find(job.key_id) : undefined;
  if (!job || !key) throw new KeyGateError("job.not_found", { detail: "There is no key behind this link." });
  const state = stateOf(job, key, deps.clock());
  return {
    job_id: job.id,
    developer_name: key.developer_name,
    requested_by: job.requested_by,
    vendor: key.vendor,
    state,
    until: state === "ready" ? (job.claim_until?.toISOString() ?? null) : null,
    taken_at: job.claimed_at?.toISOString() ?? null,
  };
}
