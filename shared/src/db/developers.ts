import { sql } from "kysely";
import type { DeveloperRole } from "../contracts/developers.ts";
import type { DeveloperId } from "../contracts/ids.ts";
import { newId } from "../ids.ts";
import type { Db, Tx } from "./client.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import { prepared } from "./prepared.ts";
import { rowsById } from "./rounds.ts";
import { developersMatching } from "./search.ts";

export interface DeveloperRow {
  id: DeveloperId;
  name: string;
  email: string;
  team: string;
  role: DeveloperRole;
  is_active: boolean;
  created_at: Date;
  active_key_count: number;
  vendors: string[];
  workspace_ids: string[];
}

const columns = ["id", "name", "email", "team", "role", "is_active", "created_at"] as const;

/** What the names of a developer's keys are made of. */
export const developerNames = rowsById((db, ids: DeveloperId[]) =>
  db
    .selectFrom("developers")
    .select(["id", "name", "email", "team"])
    .where("id", "=", sql<DeveloperId>`any(${ids}::text[])`)
    .modifyEnd(prepared)
    .execute(),
);

export function developerRows(db: Db | Tx) {
  const plain = () => db.selectFrom("developers").select(columns);
  /** The developers of a page, chosen and sorted before their keys are looked at: one look for both figures. */
  const withCounts = (page: ReturnType<typeof plain>) =>
    db
      .selectFrom(page.as("developers"))
      .innerJoinLateral(
        (from) =>
          from
            .selectFrom("keys")
            .select([
              sql<number>`count(*)`.as("active_key_count"),
              sql<string[]>`coalesce(array_agg(distinct vendor order by vendor), '{}')`.as("vendors"),
            ])
            .whereRef("keys.developer_id", "=", "developers.id")
            .where("keys.status", "in", ["active", "retiring"])
            .as("held"),
        (join) => join.onTrue(),
      )
      .select([
        ...columns,
        "held.active_key_count",
        "held.vendors",
        sql<string[]>`array(select workspace_id from workspace_members
        where workspace_members.developer_id = developers.id order by workspace_id)`.as("workspace_ids"),
      ]);

  return {
    /** Undefined when the e-mail is taken. */
    async insert(developer: {
      name: string;
      email: string;
      team: string;
      role: DeveloperRole;
    }): Promise<DeveloperId | undefined> {
      const row = await db
        .insertInto("developers")
        .values({ id: newId("dev"), ...developer })
        .onConflict((conflict) => conflict.column("email").doNothing())
        .returning("id")
        .executeTakeFirst();
      return row?.id;
    },

    async find(id: DeveloperId): Promise<DeveloperRow | undefined> {
      return withCounts(plain().where("id", "=", id)).executeTakeFirst();
    },

    /** Locked, so that nobody is deactivated between a check and what follows from it. */
    async lock(id: DeveloperId) {
      return db.selectFrom("developers").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    async list(query: {
      q?: string | undefined;
      team?: string | undefined;
      active_only: boolean;
      limit: number;
      cursor?: string | undefined;
    }): Promise<Page<DeveloperRow>> {
      const after = idAfter(query.cursor);
      let select = plain();
      if (query.q) select = select.where(developersMatching(query.q));
      if (query.team !== undefined) select = select.where("team", "=", query.team);
      if (query.active_only) select = select.where("is_active", "=", true);
      if (after) select = select.where("id", "<", after as DeveloperId);
      const page = select.orderBy("id", "desc").limit(query.limit + 1);
      const rows = await withCounts(page).orderBy("id", "desc").execute();
      return pageById(rows, query.limit);
    },

    /** `taken` when another developer has the e-mail; undefined when there is no such developer. */
    async change(
      id: DeveloperId,
      change: { name?: string | undefined; email?: string | undefined; team?: string | undefined },
    ): Promise<"changed" | "taken" | undefined> {
      const { email } = change;
      if (email !== undefined) {
        const other = await db
          .selectFrom("developers")
          .select("id")
          .where("email", "=", email)
          .where("id", "!=", id)
          .executeTakeFirst();
        if (other) return "taken";
      }
      const set = Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));
      const row = await db.updateTable("developers").set(set).where("id", "=", id).returning("id").executeTakeFirst();
      return row ? "changed" : undefined;
    },

    async setRole(id: DeveloperId, role: DeveloperRole): Promise<boolean> {
      const row = await db
        .updateTable("developers")
        .set({ role })
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    async setActive(id: DeveloperId, isActive: boolean): Promise<boolean> {
      const row = await db
        .updateTable("developers")
        .set({ is_active: isActive })
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
