import { inRounds } from "../in-rounds.ts";
import { oneFor } from "../one-for.ts";
import { codeOf, type Db } from "./client.ts";

/** A value that cannot be kept, or a row that breaks a constraint: PostgreSQL has undone the statement, whosever it was. */
const isOfOneItem = (error: unknown): boolean => error instanceof Error && /^2[23]/.test(codeOf(error));

/** Questions or writes that share their statements, among all who use the same pool: see `inRounds`. */
export const together = <T, R>(work: (db: Db, items: readonly T[]) => Promise<readonly R[]>) =>
  oneFor((db: Db) => inRounds((items: readonly T[]) => work(db, items), isOfOneItem));

/** The rows of ids that are asked for at the same time, as they are after that; undefined for one that nothing has. */
export const rowsById = <Id extends string, Row extends { id: Id }>(read: (db: Db, ids: Id[]) => Promise<Row[]>) =>
  together(async (db, ids: readonly Id[]) => {
    const rows = await read(db, [...new Set(ids)]);
    const byId = new Map(rows.map((row) => [row.id, row]));
    return ids.map((id) => byId.get(id));
  });
