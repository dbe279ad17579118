import { type RawBuilder, type SqlBool, sql } from "kysely";
import { z } from "zod";
import { KeyGateError } from "../errors.ts";

export interface Page<T> {
  items: T[];
  /** The cursor of the next page; null on the last one. */
  next: string | null;
}

const Values = z.array(z.union([z.string().max(200), z.number()])).max(4);

/** A cursor is the sort values of the last row seen, as base64url JSON: opaque to clients, stable under inserts. */
export const encodeCursor = (values: readonly (string | number)[]): string =>
  Buffer.from(JSON.stringify(values)).toString("base64url");

/** @throws request.invalid when the text is no cursor of this list. */
export function decodeCursor(cursor: string | undefined, length: number): (string | number)[] | null {
  if (cursor === undefined) return null;
  try {
    const values = Values.length(length).parse(JSON.parse(Buffer.from(cursor, "base64url").toString("utf8")));
    // Audit cursors hold a time; Postgres would answer anything else with an error of its own.
    if (length === 2 && Number.isNaN(Date.parse(String(values[0])))) throw new Error("no time");
    if (length === 2 && !Number.isSafeInteger(values[1])) throw new Error("no sequence number");
    return values;
  } catch (cause) {
    throw new KeyGateError("request.invalid", {
      detail: "The cursor is not one that this list gave out; start without it.",
      errors: [{ field: "cursor", message: "Not a cursor of this list" }],
      cause,
    });
  }
}

/** A page of rows that are sorted by id, newest first. */
export function pageById<Row extends { id: string }>(rows: Row[], limit: number): Page<Row> {
  const items = rows.slice(0, limit);
  const last = rows.length > limit ? items.at(-1) : undefined;
  return { items, next: last ? encodeCursor([last.id]) : null };
}

/** The id after which the page starts; null for the first page. */
export const idAfter = (cursor: string | undefined): string | null => {
  const values = decodeCursor(cursor, 1);
  return values ? String(values[0]).replaceAll("\0", "") : null;
};

/** The filters that were given, with their values. */
export const givenOf = (
  filters: Readonly<Record<string, string | null | undefined>>,
): [column: string, value: string][] =>
  Object.entries(filters).flatMap(([column, value]) => (value ? [[column, value]] : []));

/**
 * Rows with certain values, newest first: as one stretch of the index on these columns and the id, read from its end. With
 * plain equations PostgreSQL may walk all rows by id instead and expect to come across such rows soon, which fails when the
 * newest hundred thousand are all of another kind.
 *
 * @param named the columns in the index's order, each with its value; the index rises in all of them.
 */
export function newestWith(
  table: string,
  named: readonly (readonly [column: string, value: string])[],
  after: string | null,
): { within: RawBuilder<SqlBool>; newestFirst: RawBuilder<unknown> } {
  const columns = named.map(([column]) => sql.ref(`${table}.${column}`));
  const values = named.map(([, value]) => sql`${value}`);
  const id = sql.ref(`${table}.id`);
  const bounds = [
    sql<SqlBool>`(${sql.join(columns)}) >= (${sql.join(values)})`,
    after === null
      ? sql<SqlBool>`(${sql.join(columns)}) <= (${sql.join(values)})`
      : sql<SqlBool>`(${sql.join([...columns, id])}) < (${sql.join([...values, sql`${after}`])})`,
  ];
  return {
    within: sql<SqlBool>`${sql.join(bounds, sql` and `)}`,
    newestFirst: sql.join([...columns, id].map((column) => sql`${column} desc`)),
  };
}
