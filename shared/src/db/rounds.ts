import { inRounds } from "../in-rounds.ts";
import { oneFor } from "../one-for.ts";
import { codeOf, type Db } from "./client.ts";

/** A value that cannot be kept, or a row that breaks a constraint: PostgreSQL has undone the statement, whosever it was. */
const isOfOneItem = (error: unknown): boolean => error instanceof Error && /^2[23]/.test(codeOf(error));

/** Questions or writes that share their statements, among all who use the same pool: see `inRounds`. */
export const together = <T, R>(work: (db: Db, items: readonly T[]) => Promise<readonly R[]>) =>
  oneFor((db: Db) => inRounds((items: readonly T[]) => work(db, items), { isOfOneItem }));
