import { type JobInput, jobs as jobSpecs } from "@keygate/shared/contracts/jobs";
import { openSealed, thumbprintOf } from "@keygate/shared/crypto/sealing";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { keyMoments } from "@keygate/shared/db/key-moments";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { KeyGateError, must } from "@keygate/shared/errors";
import { requestRevocations } from "@keygate/shared/revocation";
import type { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import { enqueueJobs } from "./enqueue.ts";
import type { Receiver } from "./receiver.ts";

/** What was in the handoff: the key itself, or sealed as it is when only the caller can open it. */
export type Opened = { apiKey: Secret } | { jwe: string };

/** The books as they stood when the key was taken: whoever has it in hand must not lose it to a failing read. */
export interface Taken {
  outcome: "taken";
  job: JobRow;
  key: KeyRow;
  /** The key that this one replaces. */
  old: KeyRow | null;
  /** The revocation of the old key, where that begins at once. */
  oldKeysEnd: JobRow | null;
  opened: Opened;
}

export type Taking =
  | Taken
  | { outcome: "taken_before"; job: JobRow }
  /** Nobody took it, yet it is not there, or sealed for somebody who is no longer the receiver. */
  | { outcome: "lost"; job: JobRow }
  /** The handoff cannot be reached; the key stays in it. */
  | { outcome: "out_of_reach"; job: JobRow };

// Taking is two short steps. Who finds the handoff empty gives whoever emptied it this long to say so.
const othersClaimMs = 1_000;

/** The key was taken, or its time is over, or it no longer works. */
export const claimGone = (detail: string): KeyGateError => new KeyGateError("claim.gone", { detail });

/**
 * Takes the sealed key of a job that succeeded, once: out of the handoff first, then in the books. Of any number of
 * callers one gets it. In the same transaction the predecessor's time begins to run, if the key replaces one.
 *
 * @throws claim.gone
 */
export async function takeKey(
  deps: ApiDeps,
  job: JobRow,
  { receiver, actor, signal }: { receiver: Receiver; actor: Actor; signal: AbortSignal },
): Promise<Taking> {
  const jwe = await deps.handoff.take(job.id).catch((error: unknown) => {
    deps.log.warn({ error, jobId: job.id }, "handoff.out_of_reach");
    return undefined;
  });
  if (jwe === undefined) return { outcome: "out_of_reach", job };
  if (jwe === null) {
    const other = await deps.jobWatcher.waitFor(job.id, (seen) => seen.claimed_at !== null, othersClaimMs, signal);
    return { outcome: other ? "taken_before" : "lost", job };
  }
  const opened = await open(job, jwe, receiver);
  if (!opened) return { outcome: "lost", job };

  const taken =
    (await takeAtOnce(deps, job, actor)) ?? (await deps.db.transaction().execute((tx) => recordTaking(tx, job, actor)));
  if (!taken) throw claimGone("The key's time to be taken is over, or it has been revoked meanwhile.");
  deps.log.info({ jobId: job.id, keyId: job.key_id, vendor: job.vendor }, "key.claimed");
  if (taken.oldKeysEnd) await enqueueJobs(deps, [taken.oldKeysEnd]);
  return { outcome: "taken", ...taken, opened };
}

/** Null when the JWE is for an earlier receiver, whose private half nobody has any more. */
async function open(job: JobRow, jwe: string, receiver: Receiver): Promise<Opened | null> {
  if (job.sealed_to !== null && job.sealed_to !== thumbprintOf(receiver.key)) return null;
  if (!receiver.privateHalf) return { jwe };
  const apiKey = await openSealed(jwe, receiver.privateHalf, receiver.key).catch(() => null);
  return apiKey && { apiKey };
}

type Recorded = Omit<Taken, "outcome" | "opened">;

/** A key without a predecessor in one statement. Null when anything is in the way: the transaction finds out what. */
async function takeAtOnce(deps: ApiDeps, job: JobRow, actor: Actor): Promise<Recorded | null> {
  if (job.kind !== "provision") return null;
  const taken = await keyMoments.take(deps.db)({ job, actor });
  return taken ? { job: { ...job, claimed_at: taken.claimedAt }, key: taken.key, old: null, oldKeysEnd: null } : null;
}

/** Lock order: keys (the older first), then the job. Null when the key can no longer be taken. */
async function recordTaking(tx: Tx, job: JobRow, actor: Actor): Promise<Recorded | null> {
  const rotation = job.kind === "rotate" ? jobSpecs.rotate.input.parse(job.input) : null;
  const old = rotation ? await keyRows(tx).lock(rotation.oldKeyId) : undefined;
  const key = await keyRows(tx).lock(must(job.key_id, "key_id of a job that delivers"));
  if (key?.status !== "active") return null;
  const claimed = await jobRows(tx).markClaimed(job.id);
  if (!claimed) return null;
  await keyRows(tx).markClaimed(key.id);
  await writeAudit(tx, {
    action: "key.claim",
    actor,
    resourceType: "key",
    resourceId: key.id,
    details: { outcome: "succeeded", job_id: job.id, vendor: key.vendor, developer_id: key.developer_id },
  });
  const retired = rotation && old ? await retire(tx, old, rotation, actor) : { old: null, oldKeysEnd: null };
  return { job: claimed, key, ...retired };
}

/** The successor is in somebody's hands: the old key dies now or when its grace is over. */
async function retire(
  tx: Tx,
  old: KeyRow,
  rotation: JobInput<"rotate">,
  actor: Actor,
): Promise<{ old: KeyRow; oldKeysEnd: JobRow | null }> {
  const retiring = await keyRows(tx).setRetireAt(old.id, rotation.gracePeriodMinutes);
  if (!retiring || rotation.gracePeriodMinutes > 0) return { old: retiring ?? old, oldKeysEnd: null };
  const [oldKeysEnd = null] = await requestRevocations(tx, [retiring], { actor, reason: "rotated", ending: "rotated" });
  return { old: { ...retiring, status: "revoking" }, oldKeysEnd };
}
