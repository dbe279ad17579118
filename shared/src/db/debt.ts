import { type ExpressionBuilder, type SqlBool, sql } from "kysely";
import type { Debt, DebtListQuery } from "../contracts/debt.ts";
import type { JobId } from "../contracts/ids.ts";
import type { VendorId } from "../contracts/vendors/registry.ts";
import type { Db, Tx } from "./client.ts";
import { type JobRow, jobRows } from "./jobs.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import type { Database } from "./schema.ts";

const now = sql<Date>`now()`;
const kinds = ["revoke", "dismantle", "remove_orphan", "provision", "rotate"] as const;
const final = ["succeeded", "failed", "cancelled"] as const;

// When what must go was asked to go: a revocation by its key's mark, an undoing by its own beginning.
const since = sql<Date>`coalesce(keys.revoke_requested_at, jobs.created_at)`;
const reason = sql<string | null>`case when jobs.state in ('compensating', 'needs_attention')
  and jobs.kind in ('provision', 'rotate')
  then coalesce(jobs.waiting ->> 'reason', jobs.error ->> 'detail')
  else coalesce(jobs.error ->> 'detail', jobs.waiting ->> 'reason') end`;
/**
 * Fast tries are over, or will not help: five minutes have passed, the vendor refuses for good or refuses our
 * credential, or an undoing has failed once. Making a key is no debt, undoing it is.
 */
const isDebt = sql<SqlBool>`(
  jobs.state = 'needs_attention'
  or (jobs.state = 'compensating' and (jobs.undo_attempts > 0 or ${since} <= now() - interval '5 minutes'))
  or (jobs.kind in ('revoke', 'dismantle', 'remove_orphan')
    and (${since} <= now() - interval '5 minutes' or (jobs.state = 'waiting_for_vendor' and jobs.error is not null))))`;

type Joined = ExpressionBuilder<Database & { keys: Database["keys"] }, "jobs" | "keys">;
const unfinishedRemoval = (where: Joined) =>
  where.and([where("jobs.kind", "in", kinds), where("jobs.state", "not in", final), isDebt]);

/** What must go at the vendors and has not gone yet. */
export function debtRows(db: Db | Tx) {
  const debts = () =>
    db
      .selectFrom("jobs")
      .leftJoin("keys", "keys.id", "jobs.key_id")
      .leftJoin("developers", "developers.id", "keys.developer_id")
      .select([
        "jobs.id",
        "jobs.kind",
        "jobs.state",
        "jobs.vendor",
        "jobs.key_id",
        "jobs.requested_by",
        "jobs.written_off_at",
        "jobs.written_off_by",
        "jobs.written_off_reason",
        "keys.project_name",
        "keys.status as key_status",
        "keys.developer_id",
        "developers.name as developer_name",
        "developers.team",
        sql<number>`jobs.attempts + jobs.undo_attempts`.as("attempts"),
        sql<Date | null>`case when jobs.run_at > now() then jobs.run_at end`.as("next_try_at"),
        since.as("since"),
        sql<number>`floor(extract(epoch from now() - ${since}))::float8`.as("age_seconds"),
        reason.as("reason"),
        sql<string | null>`jobs.error ->> 'code'`.as("code"),
      ])
      .where((where) => unfinishedRemoval(where as unknown as Joined));
  type Row = Awaited<ReturnType<ReturnType<typeof debts>["execute"]>>[number];

  const view = (row: Row): Debt => ({
    job_id: row.id,
    kind: row.kind,
    status: row.state,
    vendor: row.vendor,
    key_id: row.key_id,
    project_name: row.project_name,
    key_status: row.key_status,
    age_seconds: row.age_seconds,
    reason: row.reason,
    code: row.code,
    owner:
      row.developer_id && row.developer_name && row.team
        ? { developer_id: row.developer_id, name: row.developer_name, team: row.team }
        : null,
    requested_by: row.requested_by,
    attempts: row.attempts,
    next_try_at: row.written_off_at ? null : (row.next_try_at?.toISOString() ?? null),
    since: row.since.toISOString(),
    written_off: row.written_off_at
      ? {
          at: row.written_off_at.toISOString(),
          by: row.written_off_by ?? "",
          reason: row.written_off_reason ?? "",
        }
      : null,
  });

  return {
    /** Newest first. */
    async list(query: DebtListQuery): Promise<Page<Debt>> {
      const after = idAfter(query.cursor);
      let select = debts();
      if (query.vendor) select = select.where("jobs.vendor", "=", query.vendor);
      if (query.include_written_off === "false") select = select.where("jobs.written_off_at", "is", null);
      if (after) select = select.where("jobs.id", "<", after as JobId);
      const rows = await select
        .orderBy("jobs.id", "desc")
        .limit(query.limit + 1)
        .execute();
      const page = pageById(rows, query.limit);
      return { items: page.items.map(view), next: page.next };
    },

    async find(id: JobId): Promise<Debt | undefined> {
      const row = await debts().where("jobs.id", "=", id).executeTakeFirst();
      return row && view(row);
    },

    /** One try now, with the tries so far kept: a debt does not become fast again. Takes a write-off back. */
    async tryNow(id: JobId): Promise<JobRow | undefined> {
      await db
        .updateTable("jobs")
        .set({
          run_at: now,
          enqueued_at: now,
          written_off_at: null,
          written_off_by: null,
          written_off_reason: null,
        })
        .where("id", "=", id)
        .where("state", "not in", final)
        .execute();
      return jobRows(db).find(id);
    },

    /** From here on nothing tries any more. False when it is written off already, or has ended. */
    async writeOff(id: JobId, by: string, why: string): Promise<boolean> {
      const row = await db
        .updateTable("jobs")
        .set({ written_off_at: now, written_off_by: by, written_off_reason: why })
        .where("id", "=", id)
        .where("state", "not in", final)
        .where("written_off_at", "is", null)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    /** Open debts of each vendor with the age of the oldest in seconds, for metrics and alerts; none that was written off. */
    async counts(): Promise<{ vendor: VendorId; debts: number; oldestSeconds: number }[]> {
      const rows = await db
        .selectFrom("jobs")
        .leftJoin("keys", "keys.id", "jobs.key_id")
        .select([
          "jobs.vendor",
          sql<number>`count(*)`.as("debts"),
          sql<number>`max(extract(epoch from now() - ${since}))::float8`.as("oldest_seconds"),
        ])
        .where((where) => unfinishedRemoval(where as unknown as Joined))
        .where("jobs.written_off_at", "is", null)
        .groupBy("jobs.vendor")
        .execute();
      return rows.flatMap(({ vendor, debts: count, oldest_seconds }) =>
        vendor ? [{ vendor, debts: count, oldestSeconds: oldest_seconds }] : [],
      );
    },
  };
}
