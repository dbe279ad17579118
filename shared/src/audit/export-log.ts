import type { AuditListQuery } from "../contracts/audit.ts";
import type { StoredCheckpoint } from "../db/audit-seals.ts";
import type { Db } from "../db/client.ts";
import { noCheckpoint } from "../tools/audit-verify.ts";
import type { AuditLineRow } from "./audit-line.ts";
import { type LogPart, readLog } from "./read-log.ts";
import { publicJwk } from "./signing-keys.ts";

type Filter = Omit<AuditListQuery, "limit" | "cursor">;

const lineOf = (value: unknown) => `${JSON.stringify(value)}\n`;

/** Microseconds, so that times compare as texts. */
const microseconds = (moment: string) => new Date(moment).toISOString().replace("Z", "000Z");

function matcherOf({ since, until, ...equal }: Filter): ((row: AuditLineRow) => boolean) | null {
  const wanted = Object.entries(equal) as [keyof typeof equal, string][];
  const [from, to] = [since && microseconds(since), until && microseconds(until)];
  if (wanted.length === 0 && !from && !to) return null;
  return (row) =>
    wanted.every(([name, value]) => row[name] === value) &&
    (!from || row.created_at >= from) &&
    (!to || row.created_at < to);
}

/** The leaves prove each row; a checkpoint of which no row is shown does without them. */
function checkpointLine({ leaves, ...checkpoint }: StoredCheckpoint, hasLeaves: boolean): string {
  return lineOf({ type: "checkpoint", ...checkpoint, ...(hasLeaves ? { leaves: leaves.toString("base64") } : {}) });
}

/**
 * The log as NDJSON, oldest first, in pieces of whole lines: what `audit-verify` checks. With a filter only the rows
 * that fit are shown, each still proven by its checkpoint.
 *
 * @param options.exportedAt is written into the first line.
 */
export async function* exportLog(
  db: Db,
  { filter, exportedAt, signal }: { filter: Filter; exportedAt: Date; signal?: AbortSignal | undefined },
): AsyncGenerator<string> {
  const fits = matcherOf(filter);
  yield lineOf({
    type: "log",
    format: "keygate-audit-1",
    exported_at: exportedAt.toISOString(),
    selection: fits && filter,
  });
  let [head, rowCount, unsealed]: [StoredCheckpoint | null, number, number] = [null, 0, 0];
  // In a selection a checkpoint waits for its rows: whether there are any decides what its line holds.
  let held: { checkpoint: StoredCheckpoint; rows: string } | null = null;
  const release = (): string => {
    const text = held ? checkpointLine(held.checkpoint, held.rows !== "") + held.rows : "";
    held = null;
    return text;
  };
  const show = (part: Extract<LogPart, { type: "rows" }>): string => {
    const rows = fits ? part.rows.filter(fits) : part.rows;
    if (part.isSealed) rowCount += rows.length;
    else unsealed += rows.length;
    return rows.map(({ line }) => `${line}\n`).join("");
  };

  for await (const part of readLog(db, { unsealed: true, signal })) {
    if (part.type === "key") {
      yield release() + lineOf({ type: "key", key_id: part.key.id, public_key: publicJwk(part.key) });
    } else if (part.type === "checkpoint") {
      yield release();
      head = part.checkpoint;
      if (fits) held = { checkpoint: part.checkpoint, rows: "" };
      else yield checkpointLine(part.checkpoint, true);
    } else if (held && part.isSealed) held.rows += show(part);
    else yield release() + show(part);
  }
  yield release();
  const { number = 0, hash = noCheckpoint } = head ?? {};
  yield lineOf({ type: "head", checkpoint: number, hash, row_count: rowCount, unsealed_rows: unsealed });
}
