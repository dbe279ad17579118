import { type Selectable, sql } from "kysely";
import type { AuditLineRow } from "../audit/audit-line.ts";
import type { Sealed } from "../crypto/envelope.ts";
import type { Checkpoint, PublicKey } from "../tools/audit-verify.ts";
import { type Db, json, type Tx } from "./client.ts";
import type { Database } from "./schema.ts";

export type SigningKeyRow = Selectable<Database["audit_signing_keys"]>;
export type StoredCheckpoint = Checkpoint & { leaves: Buffer };

/** The newest row, and the transactions that may still add rows before it. */
export interface Watermark {
  newest: number;
  writers: string[];
}

/** What a sealed signing key is bound to. */
export const signingKeyContext = (id: string) => `audit_signing_keys/${id}`;

// Any two numbers: the name of the lock that whoever extends the chain of checkpoints holds.
const chainLock = sql`19271, 1`;

const utc = (moment: string) => sql`to_char(${sql.ref(moment)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
// Times before our era look like later ones in that form, and the infinite ones like nothing.
const exactTime = (moment: string) => sql<string>`case
  when ${sql.ref(moment)} >= '0001-01-01T00:00:00Z' and ${sql.ref(moment)} < 'infinity' then ${utc(moment)}
  else ${sql.ref(moment)}::text end`;

// Who writes rows holds this lock on the table from before it draws their numbers until it has committed.
const writers = sql`from pg_locks where locktype = 'relation' and mode = 'RowExclusiveLock' and granted
  and database = (select oid from pg_database where datname = current_database())
  and relation = 'audit_events'::regclass and pid is distinct from pg_backend_pid()`;

const keyColumns = ["id", "public_key", "sealed", "created_at", "retired_at"] as const;

export function auditSealRows(db: Db | Tx) {
  const selectCheckpoints = () =>
    db
      .selectFrom("audit_checkpoints")
      .select(["number", "from_seq", "to_seq", "row_count", "root", "previous", "key_id", "next_key", "lost_head"])
      .select(["hash", "signature", "leaves", exactTime("sealed_at").as("sealed_at")]);

  return {
    /** Null when there are no rows. In one statement: its snapshot is older than its look at the locks. */
    async watermark(): Promise<Watermark | null> {
      const { rows } = await sql<{ newest: number | null; writers: string[] }>`
        select (select max(seq) from audit_events) as newest, array(select virtualtransaction ${writers}) as writers`.execute(
        db,
      );
      const [row] = rows;
      return row && row.newest !== null ? { newest: row.newest, writers: row.writers } : null;
    },

    /** Whether one of these transactions is still open. */
    async anyOpen(transactions: readonly string[]): Promise<boolean> {
      if (transactions.length === 0) return false;
      const { rows } =
        await sql`select ${writers} and virtualtransaction = any(${[...transactions]}::text[]) limit 1`.execute(db);
      return rows.length > 0;
    },

    /** Lets one at a time extend the chain; held until the transaction ends. False when somebody else does. */
    async tryLockChain(): Promise<boolean> {
      const { rows } = await sql<{ held: boolean }>`select pg_try_advisory_xact_lock(${chainLock}) as held`.execute(db);
      return rows[0]?.held ?? false;
    },

    async lockChain(): Promise<void> {
      await sql`select pg_advisory_xact_lock(${chainLock})`.execute(db);
    },

    /** Rows by number, with their exact times; `after` null begins with the very first. */
    async rows(after: number | null, upTo: number | null, limit: number): Promise<AuditLineRow[]> {
      let select = db
        .selectFrom("audit_events")
        .select(["seq", "id", "action", "actor", "resource_type", "resource_id", "ip_address"])
        .select([sql<string>`details::text`.as("details"), exactTime("created_at").as("created_at")]);
      if (after !== null) select = select.where("seq", ">", after);
      if (upTo !== null) select = select.where("seq", "<=", upTo);
      return select.orderBy("seq").limit(limit).execute();
    },

    /** How many rows wait to be sealed, and for how many seconds the oldest of them does. */
    async unsealed(after: number): Promise<{ count: number; lagSeconds: number }> {
      const row = await db
        .selectFrom("audit_events")
        .select([
          sql<number>`count(*)`.as("count"),
          sql<number>`coalesce(greatest(0, extract(epoch from now() - min(created_at))), 0)::float8`.as("lag"),
        ])
        .where("seq", ">", after)
        .executeTakeFirstOrThrow();
      return { count: row.count, lagSeconds: row.lag };
    },

    async head(): Promise<StoredCheckpoint | undefined> {
      return selectCheckpoints().orderBy("number", "desc").limit(1).executeTakeFirst();
    },

    async hasCheckpoint({ number, hash }: { number: number; hash: string }): Promise<boolean> {
      const row = await db
        .selectFrom("audit_checkpoints")
        .select("number")
        .where("number", "=", number)
        .where("hash", "=", hash)
        .executeTakeFirst();
      return row !== undefined;
    },

    async checkpoints(after: number, limit: number): Promise<StoredCheckpoint[]> {
      return selectCheckpoints().where("number", ">", after).orderBy("number").limit(limit).execute();
    },

    async insertCheckpoint({ next_key, lost_head, ...values }: StoredCheckpoint): Promise<void> {
      await db
        .insertInto("audit_checkpoints")
        .values({
          ...values,
          next_key: next_key && json(next_key),
          lost_head: lost_head && json(lost_head),
        })
        .execute();
    },

    /** The database's clock, as checkpoints write it. */
    async clock(): Promise<string> {
      const { rows } = await sql<{ now: string }>`
        select ${utc("now")} as now from clock_timestamp() as now`.execute(db);
      return String(rows[0]?.now);
    },

    async keys(): Promise<SigningKeyRow[]> {
      return db.selectFrom("audit_signing_keys").select(keyColumns).orderBy("created_at").orderBy("id").execute();
    },

    /** The key that signs, kept as it is until the transaction ends. */
    async currentKey(): Promise<SigningKeyRow | undefined> {
      return db
        .selectFrom("audit_signing_keys")
        .select(keyColumns)
        .where("retired_at", "is", null)
        .forUpdate()
        .executeTakeFirst();
    },

    async insertKey(id: string, publicKey: PublicKey, sealed: Sealed): Promise<void> {
      await db
        .insertInto("audit_signing_keys")
        .values({ id, public_key: json(publicKey), sealed: json(sealed) })
        .execute();
    },

    /** Ends the key's time. What was sealed, its private half, goes; `sealed` takes its place. */
    async retireKey(id: string, sealed: Sealed): Promise<void> {
      await db
        .updateTable("audit_signing_keys")
        .set({ retired_at: sql<Date>`now()`, sealed: json(sealed) })
        .where("id", "=", id)
        .where("retired_at", "is", null)
        .execute();
    },

    /** Replaces the sealed value, for a change of the encryption key; false when it has become another one meanwhile. */
    async rewrapKey(id: string, from: Sealed, to: Sealed): Promise<boolean> {
      const row = await db
        .updateTable("audit_signing_keys")
        .set({ sealed: json(to) })
        .where("id", "=", id)
        .where(sql<boolean>`sealed = ${json(from)}`)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
