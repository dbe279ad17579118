/** The writes to PostgreSQL that a process can be killed or frozen at. */
export const workerWrites = ["journal", "lease", "job", "sealed", "key", "audit", "commit", "seal", "finding"] as const;
export const apiWrites = ["job", "key", "audit", "commit", "request"] as const;
export type WriteKind = (typeof workerWrites)[number] | (typeof apiWrites)[number];

const journal = /(?:insert into|update|delete from) "?saga_steps"?/;
const patterns: Record<Exclude<WriteKind, "commit">, RegExp> = {
  // The fence of a journal write stands before it in the same statement.
  journal,
  lease: /^update "jobs" set "lease_token"/,
  // What a job became of, not the lease's prolonging nor the sweep's note that it was offered.
  job: /^(?:insert into "jobs"|update "jobs" set "(?:state|cancel_requested|delivery_key|claimed_at|claim_until)")/,
  sealed: /^update "jobs" set "sealed_to"/,
  key: /^(?:insert into "keys"|update "keys")/,
  audit: /^insert into "audit_events"/,
  seal: /^insert into "audit_checkpoints"/,
  finding: /(?:insert into|update) "?reconcile_(?:findings|runs)"?/,
  request: /(?:insert into|update) "?idempotency_keys"?/,
};

/** Whether a statement ends a transaction. */
export const endsTransaction = (statement: string): boolean => /^(?:commit|rollback)/i.test(statement);

/** Whether a statement is a write of that kind; `isAudited` says that its transaction has written to the audit log. */
export function isWriteOf(kind: WriteKind, statement: string, isAudited: boolean): boolean {
  // A sweep commits all the time without having had anything to do; what changed something wrote an audit row.
  if (kind === "commit") return isAudited && /^commit/i.test(statement);
  return patterns[kind].test(statement.trimStart());
}
