import { sql } from "kysely";
import type { Db } from "./client.ts";

export const historyDays = 30;

/** What a UUIDv7 made at that moment begins with: ids sort by creation, so this bounds a range of their index. */
const idPrefixAt = (ms: number): string =>
  ms
    .toString(16)
    .padStart(12, "0")
    .replace(/^(.{8})/, "$1-");

/**
 * Keys made and ended on each of the last days, today included, by UTC. From the jobs that did it and not from the keys:
 * an index reads the jobs of that time alone, however many keys there are.
 */
async function readHistory(db: Db) {
  const { rows } = await sql<{ day: string; made: number; ended: number }>`
    with days as (
      select (now() at time zone 'utc')::date - n as day from generate_series(0, ${historyDays - 1}::integer) as n),
    done as (
      select (finished_at at time zone 'utc')::date as day, kind from jobs
      where kind in ('provision', 'rotate', 'revoke') and state = 'succeeded'
        and id > ${`job-${idPrefixAt(Date.now() - (historyDays + 1) * 86_400_000)}`})
    select to_char(days.day, 'YYYY-MM-DD') as day, count(done.kind) filter (where done.kind <> 'revoke') as made,
      count(done.kind) filter (where done.kind = 'revoke') as ended
    from days left join done on done.day = days.day group by days.day order by days.day`.execute(db);
  return rows;
}

/** The figures of the overview page. Each is served by an index; none reads whole tables of dead keys. */
export async function readStats(db: Db) {
  // Counted by developer first: one pass through the index of developers' live keys answers for teams and vendors.
  const held = await sql<{ team: string; vendor: string; n: number }>`
    select developers.team, live.vendor, sum(live.n)::bigint as n
    from (select developer_id, vendor, count(*) as n from keys where status in ('active', 'retiring')
      group by developer_id, vendor) as live
    join developers on developers.id = live.developer_id group by developers.team, live.vendor`.execute(db);
  const sumBy = (group: "team" | "vendor") => {
    const sums = new Map<string, number>();
    for (const row of held.rows) sums.set(row[group], (sums.get(row[group]) ?? 0) + row.n);
    return Object.fromEntries(sums);
  };
  const counts = await sql<{
    total_developers: number;
    active_developers: number;
    vendors_configured: number;
    jobs_waiting: number;
    expiring: number;
    overdue: number;
  }>`
    select (select count(*) from developers) as total_developers,
      (select count(*) from developers where is_active) as active_developers,
      (select count(*) from vendor_configs) as vendors_configured,
      (select count(*) from jobs where state in ('waiting_for_input', 'needs_attention')) as jobs_waiting,
      (select count(*) from keys where status in ('active', 'retiring')
        and expires_at < now() + interval '7 days') as expiring,
      (select count(*) from keys where status = 'revoking'
        and revoke_requested_at < now() - interval '5 minutes') as overdue`.execute(db);
  const row = counts.rows[0];
  return {
    keys_by_day: await readHistory(db),
    total_developers: row?.total_developers ?? 0,
    active_developers: row?.active_developers ?? 0,
    vendors_configured: row?.vendors_configured ?? 0,
    jobs_waiting_for_a_person: row?.jobs_waiting ?? 0,
    keys_expiring_within_7_days: row?.expiring ?? 0,
    revocations_overdue: row?.overdue ?? 0,
    active_keys: held.rows.reduce((sum, { n }) => sum + n, 0),
    keys_by_vendor: sumBy("vendor"),
    keys_by_team: sumBy("team"),
  };
}
