import type { Debt } from "@keygate/shared/contracts/debt";
import type { JobId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { debtRows } from "@keygate/shared/db/debt";
import { jobRows } from "@keygate/shared/db/jobs";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "../jobs/enqueue.ts";

/** @throws job.not_found, job.not_debt */
async function requireDebt(tx: Tx, id: JobId): Promise<Debt> {
  // Locked first, so that two people decide one after the other.
  const job = await jobRows(tx).lock(id);
  if (!job) throw new KeyGateError("job.not_found", { detail: `There is no job ${id}.` });
  const debt = await debtRows(tx).find(id);
  if (debt) return debt;
  throw new KeyGateError("job.not_debt", { detail: `The ${job.kind} job is ${job.state} and owes nothing.` });
}

const auditOf = (action: "debt.retry" | "debt.write_off", actor: Actor, debt: Debt, details: object) => ({
  action,
  actor,
  resourceType: "job",
  resourceId: debt.job_id,
  details: {
    outcome: action === "debt.retry" ? ("requested" as const) : ("succeeded" as const),
    kind: debt.kind,
    key_id: debt.key_id,
    vendor: debt.vendor,
    age_seconds: debt.age_seconds,
    attempts: debt.attempts,
    ...details,
  },
});

/** Has the debt tried once, now. A debt that was written off is taken up again. @throws job.not_found, job.not_debt */
export async function retryDebt(deps: ApiDeps, actor: Actor, id: JobId): Promise<Debt> {
  const { debt, job } = await deps.db.transaction().execute(async (tx) => {
    const owed = await requireDebt(tx, id);
    const row = must(await debtRows(tx).tryNow(id), "the debt's job");
    await writeAudit(tx, auditOf("debt.retry", actor, owed, { was_written_off: owed.written_off !== null }));
    return { debt: { ...owed, written_off: null, next_try_at: null }, job: row };
  });
  await enqueueJobs(deps, [job]);
  return debt;
}

/**
 * Stops trying. The key keeps saying `revoking`: nobody has seen it gone.
 *
 * @throws job.not_found, job.not_debt
 */
export async function writeOffDebt(deps: ApiDeps, actor: Actor, id: JobId, reason: string): Promise<Debt> {
  return deps.db.transaction().execute(async (tx) => {
    const owed = await requireDebt(tx, id);
    if (owed.written_off) {
      throw new KeyGateError("job.not_debt", { detail: `${owed.written_off.by} has written it off already.` });
    }
    await debtRows(tx).writeOff(id, actor.name, reason);
    await writeAudit(tx, auditOf("debt.write_off", actor, owed, { reason, still_owed: owed.reason }));
    return must(await debtRows(tx).find(id), "the debt just written off");
  });
}
