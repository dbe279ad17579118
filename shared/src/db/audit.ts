import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { AuditEvent, AuditListQuery } from "../contracts/audit.ts";
import { newId } from "../ids.ts";
import { type Db, json, type Tx } from "./client.ts";
import { decodeCursor, encodeCursor, type Page } from "./paging.ts";

/** Who did it, from where: a person, a token, the system (with the schedule's name) or a vendor. */
export interface Actor {
  /** Shown in the log: an e-mail address, or `system:expiry`. */
  name: string;
  /** Stable id for ownership checks. */
  id: string;
  ipAddress: string | null;
}

export const systemActor = (schedule: string): Actor => ({
  name: `system:${schedule}`,
  id: `system:${schedule}`,
  ipAddress: null,
});

export interface AuditEntry {
  action: string;
  actor: Actor;
  resourceType: string;
  resourceId: string;
  details: { outcome: "requested" | "succeeded" | "failed" | "info" } & Record<string, unknown>;
}

const columns = [
  "id",
  "action",
  "actor",
  "resource_type",
  "resource_id",
  "details",
  "ip_address",
  "created_at",
] as const;

/** A service token's name can be used again once it is revoked; its id cannot. */
const detailsOf = ({ actor, details }: AuditEntry): Record<string, unknown> =>
  actor.id.startsWith("tok-") ? { ...details, token_id: actor.id } : details;

/** Writes audit rows; called with the transaction of the change that they tell of: no audit, no change. */
export async function writeAudit(tx: Db | Tx, entries: AuditEntry | readonly AuditEntry[]): Promise<void> {
  const list = Array.isArray(entries) ? (entries as readonly AuditEntry[]) : [entries as AuditEntry];
  if (list.length === 0) return;
  await tx
    .insertInto("audit_events")
    .values(
      list.map((entry) => ({
        id: newId("evt"),
        action: entry.action,
        actor: entry.actor.name,
        resource_type: entry.resourceType,
        resource_id: entry.resourceId,
        details: json(detailsOf(entry)),
        ip_address: entry.actor.ipAddress,
      })),
    )
    .execute();
}

/**
 * The numbers of an actor's newest rows. The index has them by action, and nobody does more than a few dozen kinds of
 * things: the newest of each kind, found by stepping from one to the next, hold the newest of all.
 */
const newestOf = (actor: string, isIn: RawBuilder<SqlBool>, limit: number) => sql<number>`(
  with recursive kinds (action) as (
    (select action from audit_events where actor = ${actor} order by action limit 1)
    union all
    select (select action from audit_events where actor = ${actor} and action > kinds.action order by action limit 1)
    from kinds where kinds.action is not null)
  select newest.seq from kinds cross join lateral (
    select seq, created_at from audit_events where actor = ${actor} and action = kinds.action and ${isIn}
    order by created_at desc, seq desc limit ${limit}) as newest
  order by newest.created_at desc, newest.seq desc limit ${limit})`;

export function auditRows(db: Db | Tx) {
  return {
    /** Newest first, by keyset on time and sequence. */
    async list(query: AuditListQuery): Promise<Page<AuditEvent>> {
      const after = decodeCursor(query.cursor, 2);
      const { action, actor, resource_id: resourceId } = query;
      const times = [sql<SqlBool>`true`];
      if (query.since) times.push(sql`created_at >= ${new Date(query.since)}`);
      if (query.until) times.push(sql`created_at < ${new Date(query.until)}`);
      if (after) times.push(sql`(created_at, seq) < (${after[0]}::timestamptz, ${after[1]}::bigint)`);
      const isIn = sql<SqlBool>`${sql.join(times, sql` and `)}`;
      let select = db.selectFrom("audit_events").select([...columns, "seq"]);
      if (actor && !action && !resourceId) {
        select = select.where("seq", "in", newestOf(actor, isIn, query.limit + 1));
      } else {
        select = select.where(isIn);
        if (action) select = select.where("action", "=", action);
        if (actor) select = select.where("actor", "=", actor);
        if (resourceId) select = select.where("resource_id", "=", resourceId);
      }
      const rows = await select
        .select(sql<string>`created_at::text`.as("exact_time"))
        .orderBy("created_at", "desc")
        .orderBy("seq", "desc")
        .limit(query.limit + 1)
        .execute();
      const page = rows.slice(0, query.limit);
      const last = rows.length > query.limit ? page.at(-1) : undefined;
      return {
        items: page.map(({ seq: _seq, exact_time: _exact, created_at, ...row }) => ({
          ...row,
          created_at: created_at.toISOString(),
        })),
        next: last ? encodeCursor([last.exact_time, last.seq]) : null,
      };
    },
  };
}
