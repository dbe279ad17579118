import { type RawBuilder, type SqlBool, sql } from "kysely";
import type { KeyId } from "../contracts/ids.ts";
import type { SearchResult } from "../contracts/search.ts";
import type { Db, Tx } from "./client.ts";

// What a list that is searched can page through: beyond that, more letters help more than more pages.
const matchesMax = 1_000;
const ownersMax = 200;
// A trigram index has nothing to say about less.
const trigram = 3;

const escaped = (text: string) => text.toLowerCase().replace(/[\\%_]/g, "\\$&");

/** Anywhere in the text; of one or two letters, at its beginning. */
function patternOf(q: string): string {
  return q.length < trigram ? `${escaped(q)}%` : `%${escaped(q)}%`;
}

const ownersMatching = (q: string): RawBuilder<unknown> => sql`
  (select id from developers where lower(name) like ${patternOf(q)} order by id desc limit ${sql.lit(ownersMax)})
  union
  (select id from developers where email like ${patternOf(q)} order by id desc limit ${sql.lit(ownersMax)})
  ${q.startsWith("dev-") ? sql`union (select id from developers where id = ${q})` : sql``}`;

/** A condition on `developers`: name or e-mail contains the text, or it is the id. */
export const developersMatching = (q: string): RawBuilder<SqlBool> =>
  sql<SqlBool>`developers.id in (${ownersMatching(q)})`;

/**
 * Keys whose project name contains the text. It lies within the stem or within the mark; or it ends the stem, which ends
 * with a dash, and begins the mark, which has none.
 */
function keysNamed(q: string): RawBuilder<unknown> {
  const newest = sql`order by key_id desc limit ${sql.lit(matchesMax)}`;
  const ofStem = sql`
    (select key_id from key_project_names where stem_id in (select id from project_stems where stem like ${patternOf(q)})
      ${newest})`;
  const dash = q.lastIndexOf("-");
  if (dash < 0) {
    return sql`${ofStem} union (select key_id from key_project_names where mark like ${patternOf(q)} ${newest})`;
  }
  return sql`${ofStem} union
    (select key_id from key_project_names join project_stems on project_stems.id = stem_id
      where stem like ${`%${escaped(q.slice(0, dash + 1))}`} and mark like ${`${escaped(q.slice(dash + 1))}%`} ${newest})`;
}

/** Ids of keys, newest first: hint or project name contains the text, the developer matches, or it is the id. */
export function keyIdsMatching(q: string): RawBuilder<{ id: KeyId }> {
  const limit = sql.lit(matchesMax);
  const ofOwners = sql`
    (select k.id from keys k where k.developer_id in (${ownersMatching(q)}) order by k.id desc limit ${limit})
    ${q.startsWith("key-") ? sql`union (select id from keys where id = ${q})` : sql``}`;
  const ofKeys = sql`
    union (select id from keys where lower(hint) like ${patternOf(q)} order by id desc limit ${limit})
    union (${keysNamed(q)})`;
  return sql`(select id from (${ofOwners} ${q.length < trigram ? sql`` : ofKeys}) as matching order by id desc)`;
}

/** Developers and keys by part of a name, e-mail, hint or project name; newest first. */
export function searchRows(db: Db | Tx) {
  return {
    developers(q: string, limit: number): Promise<SearchResult["developers"]> {
      return db
        .selectFrom("developers")
        .select(["id", "name", "email", "team", "is_active"])
        .where(developersMatching(q))
        .orderBy("is_active", "desc")
        .orderBy("id", "desc")
        .limit(limit)
        .execute();
    },
    keys(q: string, limit: number): Promise<SearchResult["keys"]> {
      return db
        .selectFrom(keyIdsMatching(q).as("found"))
        .innerJoin("keys", "keys.id", "found.id")
        .innerJoin("developers", "developers.id", "keys.developer_id")
        .select([
          "keys.id",
          "keys.vendor",
          "keys.status",
          "keys.hint as key_hint",
          "keys.project_name",
          "developers.name as developer_name",
        ])
        .orderBy("found.id", "desc")
        .limit(limit)
        .execute();
    },
  };
}
