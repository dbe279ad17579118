import { priorities } from "@keygate/shared/contracts/jobs";
import { systemActor, writeAudit } from "@keygate/shared/db/audit";
import { handoffRows } from "@keygate/shared/db/handoffs";
import { idempotencyRows } from "@keygate/shared/db/idempotency";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { userRows } from "@keygate/shared/db/users";
import { queueOf } from "@keygate/shared/queue";
import { requestRevocations } from "@keygate/shared/revocation";
import type { WorkerDeps } from "../deps.ts";

const refillBatch = 1_000;
/** An entry that was added and not taken for so long is offered again; adding it twice is harmless. */
const offerAgainSeconds = 5;
const dueBatch = 200;

/** Puts due jobs that the queue may not know into it. What Redis loses, this brings back. */
export async function refillQueues(deps: WorkerDeps): Promise<void> {
  const rows = await jobRows(deps.db).takeForQueue(refillBatch, offerAgainSeconds);
  await deps.queues.add(
    rows.flatMap(({ id, vendor, priority }) => (vendor ? [{ queue: queueOf(vendor), jobId: id, priority }] : [])),
  );
}

/** Asks for the end of keys whose time is over: by expiry, and by the end of a rotation's grace. */
export async function endDueKeys(deps: WorkerDeps): Promise<void> {
  const expired = await deps.db.transaction().execute(async (tx) =>
    requestRevocations(tx, await keyRows(tx).takeExpired(dueBatch), {
      actor: systemActor("expiry"),
      reason: "expired",
      ending: "expired",
      priority: priorities.expire,
    }),
  );
  const retired = await deps.db.transaction().execute(async (tx) =>
    requestRevocations(tx, await keyRows(tx).takeRetired(dueBatch), {
      actor: systemActor("rotation"),
      reason: "rotated",
      ending: "rotated",
    }),
  );
  await deps.enqueue([...expired, ...retired]);
}

/** Revokes keys that nobody took in time: nobody has them, so nobody misses them. A rotated one's predecessor stays. */
export async function revokeUnclaimed(deps: WorkerDeps): Promise<void> {
  for (const due of await jobRows(deps.db).listUnclaimed(dueBatch)) {
    await deps.enqueue(await revokeOneUnclaimed(deps, due));
    await deps.handoff.drop(due.id);
  }
}

async function revokeOneUnclaimed(deps: WorkerDeps, due: JobRow): Promise<JobRow[]> {
  const actor = systemActor("unclaimed");
  return deps.db.transaction().execute(async (tx) => {
    const keys = keyRows(tx);
    const key = due.key_id ? await keys.lock(due.key_id) : undefined;
    if (!(await jobRows(tx).closeClaim(due.id)) || !key) return [];
    if (key.replaces_id && (await keys.markActiveAgain(key.replaces_id))) {
      await writeAudit(tx, {
        action: "key.rotate",
        actor,
        resourceType: "key",
        resourceId: key.replaces_id,
        details: {
          outcome: "failed",
          job_id: due.id,
          reason: "Nobody took the new key; the old one stays in service.",
        },
      });
    }
    return requestRevocations(tx, [key], { actor, reason: "unclaimed", ending: "revoked" });
  });
}

/** Ends jobs that waited for a person for too long, and batches whose children have all ended. */
export async function endOverdueJobs(deps: WorkerDeps): Promise<void> {
  await deps.enqueue(await jobRows(deps.db).cancelOverdueInputs(dueBatch));
  await jobRows(deps.db).finishBatches();
}

/** Removes rows that only had a meaning for a while. */
export async function tidyUp(deps: WorkerDeps): Promise<void> {
  await handoffRows(deps.db).dropExpired();
  await idempotencyRows(deps.db).dropExpired(1_000);
  await userRows(deps.db).dropOldFailures();
}
