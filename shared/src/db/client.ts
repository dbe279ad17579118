import { Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import pg from "pg";
import { allowPrepared } from "./prepared.ts";
import type { Database } from "./schema.ts";

/** The pool or a transaction: every repository takes either. */
export type Db = Kysely<Database>;
export type Tx = Transaction<Database>;

const bigintOid = 20;

export interface DatabaseOptions {
  url: string;
  /** Connections at most. Nothing holds one while it waits for a vendor, so a few serve many requests. */
  poolMax: number;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  onError?: (error: Error) => void;
}

/**
 * Opens a bounded pool. Every statement ends within 20 s, a transaction that idles within 30 s, and waiting for a free
 * connection within 10 s, so that a stuck database shows as an error and not as a standstill.
 */
export function openDatabase(options: DatabaseOptions): Db {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: options.poolMax,
    application_name: options.applicationName,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 30_000,
    statement_timeout: 20_000,
    query_timeout: 25_000,
    idle_in_transaction_session_timeout: 30_000,
    keepAlive: true,
    onConnect: allowPrepared,
    types: {
      // Money in micro-dollars and sequence numbers stay far below 2^53.
      getTypeParser: (oid: number, format?: "text" | "binary") =>
        oid === bigintOid ? Number : pg.types.getTypeParser(oid, format as "text"),
    } as pg.CustomTypesConfig,
  });
  // A connection that breaks while idle must not end the process; the next query gets a new one.
  pool.on("error", (error) => options.onError?.(error));
  // Nor one that breaks between two statements of a transaction: the second statement fails and tells of it.
  pool.on("connect", (client) => client.on("error", () => {}));
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}

/** A value for a jsonb column. */
export const json = (value: unknown) => sql<string>`${JSON.stringify(value)}::jsonb`;

/**
 * Always true of a text that is not null, and taken by PostgreSQL for true of one row in two hundred. It expects a
 * hundred rows of a recordset, and would read tables whole to join them: a plan that is kept while they grow.
 */
export const fewRows = (column: string) => sql<boolean>`left(${sql.ref(column)}, 0) = ''`;

/** Postgres' clock, moved by some seconds: the only clock that due times are compared with. */
export const nowPlus = (seconds: number) => sql<Date>`now() + make_interval(secs => ${seconds})`;

/** Whether the database answers. */
export async function pingDatabase(db: Db): Promise<void> {
  await sql`select 1`.execute(db);
}

/** The code that PostgreSQL or the system gave an error; empty when there is none. */
export const codeOf = (error: unknown): string => String((error as { code?: unknown } | null)?.code ?? "");

/** Whether a unique index refused the write: somebody else was faster with the same name. */
export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === "23505";

// Classes 08 (connection), 53 (resources) and 57P (shutdown) of PostgreSQL's error codes, and what the socket says.
const outage = /^(?:08|53|57P|ECONN|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN)/;
// node-postgres has no codes for its own timeouts and broken connections.
const outageMessage = /^(?:timeout exceeded when trying to connect|Connection terminated|Query read timeout)/;

/** Whether the database could not be reached, as opposed to refusing what it was asked. */
export const isDatabaseOutage = (error: unknown): boolean =>
  error instanceof Error && (outage.test(codeOf(error)) || outageMessage.test(error.message));

/** Whether a value was refused (class 22, data exceptions): a time that no calendar has, a character that no text can hold. */
export const isUnkeepableValue = (error: unknown): boolean => error instanceof Error && /^22/.test(codeOf(error));
