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

/** A stretch of the log by time and number: `from` included, `until` not; open where they are null. */
interface Stretch {
  from: Date | null;
  until: Date | null;
  /** Time and number of the row before which a later page begins. */
  before: readonly (string | number)[] | null;
}

type Named = readonly (readonly [column: string, value: RawBuilder<unknown>])[];

/**
 * The rows of one value or several, named in an index's order, and in a stretch of time: as one stretch of that index,
 * entered at its newest end. With plain equations PostgreSQL would often walk the index on the time instead and expect to
 * come across such rows soon, which fails when the newest hundred thousand are all of another kind.
 */
function within(named: Named, { from, until, before }: Stretch): RawBuilder<SqlBool> {
  const row = sql.join([...named.map(([column]) => sql.ref(column)), sql.ref("created_at"), sql.ref("seq")]);
  const at = (time: RawBuilder<unknown>, seq: RawBuilder<unknown>) =>
    sql`(${sql.join([...named.map(([, value]) => value), time, seq])})`;
  const timestamp = (value: unknown) => sql`${value}::timestamptz`;
  // Numbers begin at 1: nothing of a moment lies at or before its 0.
  const bounds = [
    sql<SqlBool>`(${row}) >= ${at(timestamp(from ?? "-infinity"), sql`0`)}`,
    sql<SqlBool>`(${row}) <= ${at(timestamp(until ?? "infinity"), sql`0`)}`,
  ];
  if (before) bounds.push(sql`(${row}) <= ${at(timestamp(before[0]), sql`${before[1]}::bigint - 1`)}`);
  return sql`${sql.join(bounds, sql` and `)}`;
}

/**
 * The numbers of an actor's newest rows. The index has them by action, and nobody does more than a few dozen kinds of
 * things: the newest of each kind, found by stepping from one to the next, hold the newest of all.
 */
function newestOf(actor: string, stretch: Stretch, limit: number) {
  const named: Named = [
    ["actor", sql`${actor}`],
    ["action", sql`kinds.action`],
  ];
  return sql<number>`(
    with recursive kinds (action) as (
      (select action from audit_events where actor = ${actor} order by action limit 1)
      union all
      select (select action from audit_events where actor = ${actor} and action > kinds.action order by action limit 1)
      from kinds where kinds.action is not null)
    select newest.seq from kinds cross join lateral (
      select seq, created_at from audit_events where ${within(named, stretch)}
      order by actor desc, action desc, created_at desc, seq desc limit ${limit}) as newest
    order by newest.created_at desc, newest.seq desc limit ${limit})`;
}

export function auditRows(db: Db | Tx) {
  return {
    /** Newest first, by keyset on time and sequence. */
    async list(query: AuditListQuery): Promise<Page<AuditEvent>> {
      const { action, actor, resource_id: resourceId } = query;
      const stretch: Stretch = {
        from: query.since ? new Date(query.since) : null,
        until: query.until ? new Date(query.until) : null,
        before: decodeCursor(query.cursor, 2),
      };
      const given = { resource_id: resourceId, actor, action };
      // The index that is walked; whatever else is given is looked at on the way.
      const walked = (["resource_id", "actor", "action"] as const).filter(
        (column) => given[column] && (column === "resource_id" || !resourceId),
      );
      const named: Named = walked.map((column) => [column, sql`${given[column]}`]);
      let select = db
        .selectFrom("audit_events")
        .select([...columns, "seq", sql<string>`created_at::text`.as("exact_time")]);
      if (actor && !action && !resourceId) {
        select = select.where("seq", "in", newestOf(actor, stretch, query.limit + 1));
      } else {
        select = select.where(within(named, stretch));
        if (resourceId && action) select = select.where("action", "=", action);
        if (resourceId && actor) select = select.where("actor", "=", actor);
        for (const column of walked) select = select.orderBy(column, "desc");
      }
      const rows = await select
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
