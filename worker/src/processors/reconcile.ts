import { isUniqueViolation } from "@keygate/shared/db/client";
import { jobRows } from "@keygate/shared/db/jobs";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { must } from "@keygate/shared/errors";
import type { WorkerDeps } from "../deps.ts";
import { reconcileActor, resolveUnseen } from "../reconcile/record.ts";
import { openWalk } from "../reconcile/walk.ts";
import { WaitForVendor } from "../saga/wait.ts";
import type { JobContext } from "./job-context.ts";

/** How long one turn holds a worker's place. */
const turnMs = 2_000;
const betweenTurnsMs = 250;

/**
 * Works a reconcile job, a turn at a time: goes on from the run's cursor until something has to be waited for. What was
 * looked at and what was found are written down together, so that a crash costs one look.
 */
export async function reconcile(ctx: JobContext): Promise<void> {
  const { deps, job, lease } = ctx;
  const vendor = must(job.vendor, "the job's vendor");
  const runs = reconcileRunRows(deps.db);
  if (job.state === "compensating" || job.state === "needs_attention") {
    // Nothing was made that could be undone. The run keeps its cursor for the next job.
    if (job.error) await runs.noteError(vendor, job.error);
    await jobRows(deps.db).finish(lease, { state: "failed", error: job.error });
    return;
  }
  const connection = await deps.vendors.connectPaced(vendor);
  const run = await runs.open(vendor, connection.configVersion);
  const walk = openWalk(deps, connection, { vendor, lease, run });
  const turnEnds = performance.now() + turnMs;
  try {
    while (await walk.step()) {
      if (performance.now() > turnEnds) throw new WaitForVendor(betweenTurnsMs, "letting others take their turn");
    }
  } catch (error) {
    await walk.save();
    throw error;
  }
  await deps.db.transaction().execute(async (tx) => {
    await reconcileRunRows(tx).complete(lease, run.id);
    await resolveUnseen(tx, vendor, run.id);
    await jobRows(tx).finish(lease, { state: "succeeded", error: null });
  });
  deps.log.info({ vendor, runId: run.id }, "reconcile.completed");
}

/** Asks for a look at each vendor whose time has come. */
export async function scheduleReconcile(deps: WorkerDeps): Promise<void> {
  const { intervalSeconds } = deps.config.reconcile;
  if (intervalSeconds === null) return;
  for (const vendor of await reconcileRunRows(deps.db).due(intervalSeconds)) {
    try {
      const jobs = await jobRows(deps.db).insert([
        { kind: "reconcile", input: { vendor }, vendor, keyId: null, actor: reconcileActor },
      ]);
      await deps.enqueue(jobs);
    } catch (error) {
      // Another worker, or a person, was faster.
      if (!isUniqueViolation(error)) throw error;
    }
  }
}
