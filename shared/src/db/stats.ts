import { sql } from "kysely";
import type { Db } from "./client.ts";

/** The figures of the overview page. Each is served by an index; none reads whole tables of dead keys. */
export async function readStats(db: Db) {
  const byVendor = await db
    .selectFrom("keys")
    .select(["vendor", sql<number>`count(*)`.as("n")])
    .where("status", "in", ["active", "retiring"])
    .groupBy("vendor")
    .execute();
  const byTeam = await db
    .selectFrom("keys")
    .innerJoin("developers", "developers.id", "keys.developer_id")
    .select(["developers.team", sql<number>`count(*)`.as("n")])
    .where("keys.status", "in", ["active", "retiring"])
    .groupBy("developers.team")
    .execute();
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
    total_developers: row?.total_developers ?? 0,
    active_developers: row?.active_developers ?? 0,
    vendors_configured: row?.vendors_configured ?? 0,
    jobs_waiting_for_a_person: row?.jobs_waiting ?? 0,
    keys_expiring_within_7_days: row?.expiring ?? 0,
    revocations_overdue: row?.overdue ?? 0,
    active_keys: byVendor.reduce((sum, { n }) => sum + n, 0),
    keys_by_vendor: Object.fromEntries(byVendor.map(({ vendor, n }) => [vendor, n])),
    keys_by_team: Object.fromEntries(byTeam.map(({ team, n }) => [team, n])),
  };
}
