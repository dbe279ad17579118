import { type Selectable, sql } from "kysely";
import type { DeveloperId, WorkspaceId } from "../contracts/ids.ts";
import { liveKeyStatuses } from "../contracts/keys.ts";
import { newId } from "../ids.ts";
import type { Db, Tx } from "./client.ts";
import { idAfter, type Page, pageById } from "./paging.ts";
import type { Database } from "./schema.ts";

export type WorkspaceRow = Selectable<Database["workspaces"]> & {
  member_count: number;
  key_count: number;
  budget_micros: number;
};

const columns = [
  "id",
  "name",
  "description",
  "color",
  "spend_limit_micros",
  "rate_limit_rpm",
  "is_archived",
  "created_at",
] as const;

export interface WorkspaceValues {
  name: string;
  description: string;
  color: string;
  spend_limit_micros: number | null;
  rate_limit_rpm: number | null;
}

export function workspaceRows(db: Db | Tx) {
  const withCounts = () =>
    db
      .selectFrom("workspaces")
      .innerJoinLateral(
        (from) =>
          from
            .selectFrom("keys")
            .select([
              sql<number>`count(*)`.as("key_count"),
              sql<number>`coalesce(sum(keys.budget_micros), 0)::bigint`.as("budget_micros"),
            ])
            .whereRef("keys.workspace_id", "=", "workspaces.id")
            .where("keys.status", "in", liveKeyStatuses)
            .as("held"),
        (join) => join.onTrue(),
      )
      .select([
        ...columns,
        "held.key_count",
        "held.budget_micros",
        sql<number>`(select count(*) from workspace_members m where m.workspace_id = workspaces.id)`.as("member_count"),
      ]);

  return {
    /** Undefined when the name is taken by a workspace that is not archived. */
    async insert(values: WorkspaceValues): Promise<WorkspaceId | undefined> {
      const row = await db
        .insertInto("workspaces")
        .values({ id: newId("ws"), ...values })
        .onConflict((conflict) => conflict.doNothing())
        .returning("id")
        .executeTakeFirst();
      return row?.id;
    },

    async find(id: WorkspaceId): Promise<WorkspaceRow | undefined> {
      return withCounts().where("id", "=", id).executeTakeFirst();
    },

    /** Locked, so that two provisions cannot both take the last of its budget. */
    async lock(id: WorkspaceId) {
      return db.selectFrom("workspaces").select(columns).where("id", "=", id).forUpdate().executeTakeFirst();
    },

    async list(query: {
      include_archived: boolean;
      limit: number;
      cursor?: string | undefined;
    }): Promise<Page<WorkspaceRow>> {
      const after = idAfter(query.cursor);
      let select = withCounts();
      if (!query.include_archived) select = select.where("is_archived", "=", false);
      if (after) select = select.where("id", "<", after as WorkspaceId);
      const rows = await select
        .orderBy("id", "desc")
        .limit(query.limit + 1)
        .execute();
      return pageById(rows, query.limit);
    },

    async nameTaken(name: string, exceptId: WorkspaceId): Promise<boolean> {
      const row = await db
        .selectFrom("workspaces")
        .select("id")
        .where(sql`lower(name)`, "=", name.toLowerCase())
        .where("is_archived", "=", false)
        .where("id", "!=", exceptId)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** The most requests per minute that a live key of the workspace has; 0 without keys. */
    async highestRateLimit(id: WorkspaceId): Promise<number> {
      const row = await db
        .selectFrom("keys")
        .select(sql<number>`coalesce(max(rate_limit_rpm), 0)`.as("highest"))
        .where("workspace_id", "=", id)
        .where("status", "in", liveKeyStatuses)
        .executeTakeFirstOrThrow();
      return row.highest;
    },

    async change(id: WorkspaceId, values: Partial<WorkspaceValues>): Promise<boolean> {
      const row = await db
        .updateTable("workspaces")
        .set(values)
        .where("id", "=", id)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    async archive(id: WorkspaceId): Promise<boolean> {
      const row = await db
        .updateTable("workspaces")
        .set({ is_archived: true })
        .where("id", "=", id)
        .where("is_archived", "=", false)
        .returning("id")
        .executeTakeFirst();
      return row !== undefined;
    },

    async members(id: WorkspaceId) {
      return db
        .selectFrom("workspace_members as m")
        .innerJoin("developers as d", "d.id", "m.developer_id")
        .select(["m.developer_id", "d.name", "d.email", "m.role", "d.is_active", "m.joined_at"])
        .where("m.workspace_id", "=", id)
        .orderBy("m.joined_at")
        .orderBy("m.developer_id")
        .execute();
    },

    async isMember(id: WorkspaceId, developerId: DeveloperId): Promise<boolean> {
      const row = await db
        .selectFrom("workspace_members")
        .select("role")
        .where("workspace_id", "=", id)
        .where("developer_id", "=", developerId)
        .executeTakeFirst();
      return row !== undefined;
    },

    /** False when the developer is a member already. */
    async addMember(id: WorkspaceId, developerId: DeveloperId, role: "member" | "admin" | "viewer"): Promise<boolean> {
      const row = await db
        .insertInto("workspace_members")
        .values({ workspace_id: id, developer_id: developerId, role })
        .onConflict((conflict) => conflict.doNothing())
        .returning("role")
        .executeTakeFirst();
      return row !== undefined;
    },

    async setMemberRole(
      id: WorkspaceId,
      developerId: DeveloperId,
      role: "member" | "admin" | "viewer",
    ): Promise<boolean> {
      const row = await db
        .updateTable("workspace_members")
        .set({ role })
        .where("workspace_id", "=", id)
        .where("developer_id", "=", developerId)
        .returning("role")
        .executeTakeFirst();
      return row !== undefined;
    },

    async removeMember(id: WorkspaceId, developerId: DeveloperId): Promise<boolean> {
      const row = await db
        .deleteFrom("workspace_members")
        .where("workspace_id", "=", id)
        .where("developer_id", "=", developerId)
        .returning("role")
        .executeTakeFirst();
      return row !== undefined;
    },
  };
}
