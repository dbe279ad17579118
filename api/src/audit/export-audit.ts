import { exportLog } from "@keygate/shared/audit/export-log";
import type { AuditListQuery } from "@keygate/shared/contracts/audit";
import { auditRows } from "@keygate/shared/db/audit";
import type { Db } from "@keygate/shared/db/client";

const pageSize = 500;

type Filter = Omit<AuditListQuery, "limit" | "cursor">;

/** What the log is checked with, oldest first; it too is read only as fast as the receiver takes it. */
export function exportSealed(
  db: Db,
  filter: Filter,
  { now, signal }: { now: Date; signal: AbortSignal },
): ReadableStream<Uint8Array> {
  const pieces = exportLog(db, { filter, exportedAt: now, signal });
  return ReadableStream.from(pieces).pipeThrough(new TextEncoderStream());
}

/**
 * Every audit row that fits, newest first, one JSON object per line. Reads a page when the receiver wants more, so a
 * slow one costs no memory and no open transaction; rows written meanwhile are newer than the first page and not in it.
 */
export function exportRows(db: Db, filter: Filter): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let cursor: string | undefined;
  return new ReadableStream({
    async pull(controller) {
      const page = await auditRows(db).list({ ...filter, limit: pageSize, ...(cursor ? { cursor } : {}) });
      const lines = page.items.map((event) => `${JSON.stringify(event)}\n`).join("");
      if (lines) controller.enqueue(encoder.encode(lines));
      if (page.next === null) controller.close();
      else cursor = page.next;
    },
  });
}
