import type { JobId } from "./contracts/ids.ts";
import { jobs as jobSpecs, type KeyEnding } from "./contracts/jobs.ts";
import { type Actor, writeAudit } from "./db/audit.ts";
import type { Tx } from "./db/client.ts";
import { type JobRow, jobRows } from "./db/jobs.ts";
import { type KeyRow, keyRows } from "./db/keys.ts";

export interface RevocationRequest {
  actor: Actor;
  /** Why, for the key's row and the audit log. */
  reason: string;
  ending: KeyEnding;
  priority?: number;
  /** The batch that the revocations belong to. */
  parentId?: JobId;
}

const actionOf: Record<KeyEnding, string> = { revoked: "key.revoke", rotated: "key.rotate", expired: "key.expire" };

/**
 * Asks for the end of some keys: marks the rows, makes the jobs and writes the audit rows in the caller's transaction.
 * The keys must be locked by it. A revocation that is under way is joined and hurried, the making of a key that is not
 * there yet is stopped and undone; keys that have ended are left alone.
 *
 * @returns the jobs to put into the queue after the commit.
 */
export async function requestRevocations(
  tx: Tx,
  keys: readonly KeyRow[],
  request: RevocationRequest,
): Promise<JobRow[]> {
  const jobs = jobRows(tx);
  const { actor, reason, ending, parentId } = request;
  const priority = request.priority ?? jobSpecs.revoke.priority;

  const working = keys.filter((key) => key.status === "active" || key.status === "retiring");
  const marked = await keyRows(tx).markRevoking(
    working.map((key) => key.id),
    reason,
  );
  const made = await jobs.insert(
    marked.map((key) => ({
      kind: "revoke" as const,
      input: { keyId: key.id, ending },
      vendor: key.vendor,
      keyId: key.id,
      actor,
      priority,
      ...(parentId ? { parentId } : {}),
    })),
  );

  // A key that was lost before anybody took it is perhaps being made anew. Nobody waits for that to end: the sweep finds it.
  await jobs.requestCancelOfMakers(marked.map((key) => key.id));

  const dying = keys.filter((key) => key.status === "revoking");
  const joined = await jobs.findRevocations(dying.map((key) => key.id));
  const takenUpAgain = joined.filter((job) => job.written_off_at);
  await jobs.hurry(
    joined.map((job) => job.id),
    priority,
  );
  for (const job of joined) if (parentId) await jobs.joinBatch(job.id, parentId);

  const stopped: JobRow[] = [];
  const unmade = keys.filter((candidate) => candidate.status === "pending");
  await keyRows(tx).noteWhyStopped(
    unmade.map((key) => key.id),
    reason,
  );
  for (const key of unmade) {
    const maker = await jobs.findMaker(key.id);
    if (!maker) continue;
    stopped.push((await jobs.requestCancel(maker.id)) ?? maker);
    if (parentId) await jobs.joinBatch(maker.id, parentId);
  }

  await writeAudit(
    tx,
    takenUpAgain.map((job) => ({
      action: "debt.retry",
      actor,
      resourceType: "job",
      resourceId: job.id,
      details: { outcome: "requested" as const, key_id: job.key_id, vendor: job.vendor, reason, was_written_off: true },
    })),
  );
  await writeAudit(
    tx,
    [...marked, ...unmade].map((key) => ({
      action: actionOf[ending],
      actor,
      resourceType: "key",
      resourceId: key.id,
      details: { outcome: "requested" as const, reason, vendor: key.vendor, developer_id: key.developer_id },
    })),
  );
  return [...made, ...joined, ...stopped];
}
