import { auditSealRows, type SigningKeyRow, type StoredCheckpoint } from "../db/audit-seals.ts";
import type { Db } from "../db/client.ts";
import { type AuditLineRow, auditLine } from "./audit-line.ts";

/** A part of the log, in the order in which it is checked: a key before what it signed, a checkpoint before its rows. */
export type LogPart =
  | { type: "key"; key: SigningKeyRow }
  | { type: "checkpoint"; checkpoint: StoredCheckpoint; hasRows: boolean }
  | { type: "rows"; rows: (AuditLineRow & { line: string })[]; isSealed: boolean };

const checkpointsPerRead = 64;
const rowsPerRead = 250;

const withLines = (rows: readonly AuditLineRow[]) => rows.map((row) => ({ ...row, line: auditLine(row) }));

/** Reads rows up to a number that is sealed, in parts that end where the caller's checkpoints do. */
function openRows(db: Db, after: number | null, upTo: number) {
  let rest: AuditLineRow[] = [];
  let isAtEnd = false;
  return async function* take(to: number): AsyncGenerator<AuditLineRow[]> {
    for (;;) {
      if (rest.length === 0 && !isAtEnd) {
        rest = await auditSealRows(db).rows(after, upTo, rowsPerRead);
        isAtEnd = rest.length < rowsPerRead;
        after = rest.at(-1)?.seq ?? after;
      }
      const end = rest.findIndex(({ seq }) => seq > to);
      const part = end === -1 ? rest : rest.slice(0, end);
      rest = end === -1 ? [] : rest.slice(end);
      if (part.length > 0) yield part;
      if (rest.length > 0 || isAtEnd) return;
    }
  };
}

/**
 * Reads the whole log, oldest first, a part at a time and without an open transaction: what is sealed does not change,
 * and rows are read only after the checkpoint that seals them.
 *
 * @param options.skipRowsTo the rows of checkpoints up to this number are not read.
 * @param options.unsealed also gives the rows after the last checkpoint.
 */
export async function* readLog(
  db: Db,
  { skipRowsTo = 0, unsealed, signal }: { skipRowsTo?: number; unsealed: boolean; signal?: AbortSignal | undefined },
): AsyncGenerator<LogPart> {
  const seals = auditSealRows(db);
  const known = new Set<string>();
  let number = 0;
  let after: number | null = null;
  for (;;) {
    const checkpoints = await seals.checkpoints(number, checkpointsPerRead);
    if (checkpoints.length === 0) break;
    const skipped = checkpoints.filter((each) => each.number <= skipRowsTo).map(({ to_seq }) => to_seq);
    if (skipped.length > 0) after = Math.max(...skipped);
    const sealedTo = Math.max(...checkpoints.map(({ to_seq }) => to_seq));
    const take = openRows(db, after, sealedTo);
    for (const checkpoint of checkpoints) {
      if (!known.has(checkpoint.key_id)) {
        for (const key of await seals.keys()) {
          if (key.id === checkpoint.key_id) yield { type: "key", key };
        }
        known.add(checkpoint.key_id);
      }
      const hasRows = checkpoint.number > skipRowsTo;
      yield { type: "checkpoint", checkpoint, hasRows };
      if (!hasRows) continue;
      for await (const rows of take(checkpoint.to_seq)) {
        signal?.throwIfAborted();
        yield { type: "rows", rows: withLines(rows), isSealed: true };
      }
    }
    signal?.throwIfAborted();
    number = checkpoints.at(-1)?.number ?? number;
    after = Math.max(after ?? sealedTo, sealedTo);
  }
  if (!unsealed) return;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await seals.rows(after, null, rowsPerRead);
    if (rows.length > 0) yield { type: "rows", rows: withLines(rows), isSealed: false };
    after = rows.at(-1)?.seq ?? after;
    if (rows.length < rowsPerRead) return;
  }
}
