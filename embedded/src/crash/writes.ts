/** The writes to PostgreSQL that a process can be killed or frozen at. */
export const workerWrites = ["journal", "lease", "job", "sealed", "key", "audit", "commit", "seal", "finding"] as const;
export const apiWrites = ["job", "key", "audit", "commit", "request"] as const;
export type WriteKind = (typeof workerWrites)[number] | (typeof apiWrites)[number];

const intoOrOf = (table: string) => new RegExp(`(?:insert into|update) "?${table}"?[ (]`);
/** Anywhere in the statement: a fence, or a lock, may stand before the write, and one statement may write several tables. */
const patterns: Record<Exclude<WriteKind, "commit">, RegExp> = {
  journal: /(?:insert into|update|delete from) "?saga_steps"?[ (]/,
  lease: /update "?jobs"? set "?lease_token"? = due/,
  // What becomes of a job, not the lease's prolonging nor the sweep's note that it was offered.
  job: /insert into "?jobs"? \(|update "?jobs"? set "?(?:state|cancel_requested|delivery_key|claimed_at|claim_until)"?/,
  sealed: /update "?jobs"? set (?:"sealed_to"|step = .* sealed_to = )/s,
  key: intoOrOf("keys"),
  audit: intoOrOf("audit_events"),
  seal: intoOrOf("audit_checkpoints"),
  finding: intoOrOf("reconcile_(?:findings|runs)"),
  request: intoOrOf("idempotency_keys"),
};

/** Whether a statement begins or ends a transaction. */
export const boundsTransaction = (statement: string): boolean => /^(?:begin|commit|rollback)/i.test(statement);

/** Whether a statement is a write of that kind; `isAudited` says that its transaction has written to the audit log. */
export function isWriteOf(kind: WriteKind, statement: string, isAudited: boolean): boolean {
  // A sweep commits all the time without having had anything to do; what changed something wrote an audit row.
  if (kind === "commit") return isAudited && /^commit/i.test(statement);
  return patterns[kind].test(statement.trimStart());
}
