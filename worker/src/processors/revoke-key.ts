import { jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import type { KeyStatus } from "@keygate/shared/contracts/keys";
import { writeAudit } from "@keygate/shared/db/audit";
import { jobRows } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { observeStep } from "../metrics.ts";
import { runSteps } from "../saga/run.ts";
import type { SagaState } from "../saga/step.ts";
import { actorOf } from "./actor.ts";
import { dismantleIfUnused } from "./dismantle.ts";
import { type JobContext, openSagaWork } from "./job-context.ts";

// A key that is being revoked itself needs nothing that is shared any more: removing it early only helps.
const needsShared: readonly KeyStatus[] = ["pending", "active", "retiring"];
const isNeeded = (key: KeyRow) => needsShared.includes(key.status);

const actions = { revoked: "key.revoke", rotated: "key.rotate", expired: "key.expire" } as const;

/**
 * Works a revocation: ends the key's access at the vendor, looks until it is gone, and only then says so. What the key
 * shared goes with the last key that needed it.
 */
export async function revokeKey(ctx: JobContext): Promise<void> {
  const { deps, job, lease } = ctx;
  const { ending } = jobSpecs.revoke.input.parse(job.input);
  const work = await openSagaWork(ctx);
  const { key, connection, saga, journal } = work;
  const others = (await keyRows(deps.db).lineage(key.lineage_id)).filter((other) => other.id !== key.id);
  // An adopted key may stand among others' keys, in something that was never ours to remove.
  const last = key.vendor_ref.sharesContainer !== true && !others.some(isNeeded);

  await runSteps(connection.vendor.revoke(last), saga, key.vendor_ref as SagaState, journal, {
    settleMs: connection.settleMs,
    checkpoint: async (step) => work.enter(step.name),
    onStep: (step, event, durationMs) => {
      observeStep(job.vendor, step, event, durationMs);
      deps.log.debug({ jobId: job.id, vendor: job.vendor, step, durationMs }, `saga.step_${event}`);
    },
  });
  // A key that nobody took may still lie in the handoff; it opens nothing now.
  const maker = await jobRows(deps.db).findMaker(key.id);
  if (maker && !maker.claimed_at) await deps.handoff.drop(maker.id);

  const dismantling = await deps.db.transaction().execute(async (tx) => {
    const keys = keyRows(tx);
    must(await keys.lock(key.id), "the key's row");
    const ended = await keys.markEnded(key.id, ending);
    await jobRows(tx).finish(lease, { state: "succeeded", error: null });
    await writeAudit(tx, {
      action: actions[ending],
      actor: actorOf(job),
      resourceType: "key",
      resourceId: key.id,
      details: {
        outcome: "succeeded",
        job_id: job.id,
        vendor: key.vendor,
        developer_id: key.developer_id,
        reason: ended.status_reason,
        confirmed: "a look at the vendor no longer found the key",
      },
    });
    return last ? [] : dismantleIfUnused(tx, key.lineage_id, actorOf(job));
  });
  await deps.enqueue(dismantling);
  if (job.parent_id) await jobRows(deps.db).finishBatches(job.parent_id);
}
