import { sql } from "kysely";
import { auditSealRows } from "./audit-seals.ts";
import type { Db } from "./client.ts";
import { debtRows } from "./debt.ts";

/** What the database says about the whole installation, for metrics: the same whichever process asks. */
export interface Figures {
  keys: { vendor: string; status: string; count: number }[];
  /** Active keys that end within so many days. */
  expiring: { vendor: string; days: number; count: number }[];
  /** Jobs that have not ended. */
  jobs: { vendor: string; kind: string; state: string; count: number }[];
  /** Jobs that could run now and do not, and the seconds for which the oldest of them could have. */
  due: { vendor: string; count: number; oldestSeconds: number }[];
  /** Sealed keys that wait to be taken, and the seconds left until the first of them is lost. */
  unclaimed: { vendor: string; count: number; nextLostSeconds: number }[];
  debts: { vendor: string; debts: number; oldestSeconds: number }[];
  auditUnsealed: { count: number; lagSeconds: number };
}

/** Reads them side by side; of dead keys only the number is read, from an index. */
export async function readFigures(db: Db): Promise<Figures> {
  const read = async <Row>(query: ReturnType<typeof sql<Row>>): Promise<Row[]> => (await query.execute(db)).rows;
  const seals = auditSealRows(db);
  const [keys, expiring, jobs, due, unclaimed, debts, head] = await Promise.all([
    read(sql<Figures["keys"][number]>`select vendor, status, count(*) as count from keys group by vendor, status`),
    read(sql<Figures["expiring"][number]>`
      select vendor, days, count(*) as count
      from keys join (values (1), (7), (30)) as within (days)
        on expires_at < now() + make_interval(days => days)
      where status in ('active', 'retiring') group by vendor, days`),
    read(sql<Figures["jobs"][number]>`
      select coalesce(vendor, 'none') as vendor, kind, state, count(*) as count
      from jobs where state not in ('succeeded', 'failed', 'cancelled') group by vendor, kind, state`),
    read(sql<Figures["due"][number]>`
      select vendor, count(*) as count, max(extract(epoch from now() - run_at))::float8 as "oldestSeconds"
      from jobs
      where state in ('queued', 'waiting_for_vendor', 'compensating') and run_at <= now() and vendor is not null
        and (lease_until is null or lease_until < now()) and written_off_at is null
      group by vendor`),
    read(sql<Figures["unclaimed"][number]>`
      select vendor, count(*) as count, min(extract(epoch from claim_until - now()))::float8 as "nextLostSeconds"
      from jobs
      where state = 'succeeded' and claimed_at is null and claim_until > now() and vendor is not null
      group by vendor`),
    debtRows(db).counts(),
    seals.head(),
  ]);
  return { keys, expiring, jobs, due, unclaimed, debts, auditUnsealed: await seals.unsealed(head?.to_seq ?? 0) };
}
