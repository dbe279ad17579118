import type { WorkspaceId } from "@keygate/shared/contracts/ids";
import type { CreateWorkspace, UpdateWorkspace } from "@keygate/shared/contracts/workspaces";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type Db, isUniqueViolation, type Tx } from "@keygate/shared/db/client";
import { type WorkspaceRow, type WorkspaceValues, workspaceRows } from "@keygate/shared/db/workspaces";
import { KeyGateError, must } from "@keygate/shared/errors";
import { dollarsToMicros, microsToDollars } from "@keygate/shared/money";
import type { z } from "zod";
import type { KeepAnswer } from "../middleware/idempotency.ts";

const nameTaken = () =>
  new KeyGateError("workspace.name_taken", {
    errors: [{ field: "name", message: "Another workspace has this name" }],
  });

/** A workspace by id. @throws workspace.not_found */
export async function findWorkspace(db: Db | Tx, id: WorkspaceId): Promise<WorkspaceRow> {
  const row = await workspaceRows(db).find(id);
  if (!row) throw new KeyGateError("workspace.not_found");
  return row;
}

/** Locks a workspace that may be changed. @throws workspace.not_found, workspace.archived */
export async function lockOpenWorkspace(tx: Tx, id: WorkspaceId) {
  const row = await workspaceRows(tx).lock(id);
  if (!row) throw new KeyGateError("workspace.not_found");
  if (row.is_archived) throw new KeyGateError("workspace.archived");
  return row;
}

/** Makes a workspace. @throws workspace.name_taken */
export async function createWorkspace(
  deps: { db: Db },
  by: Actor,
  input: z.output<typeof CreateWorkspace>,
  keep: KeepAnswer<WorkspaceRow>,
): Promise<WorkspaceRow> {
  const { spend_limit, ...rest } = input;
  return deps.db.transaction().execute(async (tx) => {
    const spend_limit_micros = spend_limit === null ? null : dollarsToMicros(spend_limit);
    const id = await workspaceRows(tx).insert({ ...rest, spend_limit_micros });
    if (!id) throw nameTaken();
    await writeAudit(tx, {
      action: "workspace.create",
      actor: by,
      resourceType: "workspace",
      resourceId: id,
      details: { outcome: "succeeded", ...input },
    });
    const workspace = must(await workspaceRows(tx).find(id), "the workspace just made");
    await keep(tx, workspace);
    return workspace;
  });
}

/** A limit below what its keys already have would be a lie from the first moment. */
async function refuseLimitsBelowUse(tx: Tx, before: WorkspaceRow, values: Partial<WorkspaceValues>) {
  const { spend_limit_micros: spend, rate_limit_rpm: rpm } = values;
  if (typeof spend === "number" && spend < before.budget_micros) {
    throw new KeyGateError("workspace.limit_exceeded", {
      detail: `Its live keys have budgets of ${microsToDollars(before.budget_micros)} dollars a month together.`,
      errors: [{ field: "spend_limit", message: "Less than the budgets of its live keys" }],
    });
  }
  const highest = typeof rpm === "number" ? await workspaceRows(tx).highestRateLimit(before.id) : 0;
  if (typeof rpm === "number" && rpm < highest) {
    throw new KeyGateError("workspace.limit_exceeded", {
      detail: `One of its live keys has ${highest} requests per minute.`,
      errors: [{ field: "rate_limit_rpm", message: "Less than a live key of it has" }],
    });
  }
}

/**
 * Changes what is given and leaves the rest.
 *
 * @throws workspace.not_found, workspace.archived, workspace.name_taken, workspace.limit_exceeded
 */
export async function changeWorkspace(
  deps: { db: Db },
  by: Actor,
  id: WorkspaceId,
  change: z.output<typeof UpdateWorkspace>,
): Promise<WorkspaceRow> {
  const { spend_limit, ...rest } = change;
  const values = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  if (spend_limit !== undefined) values.spend_limit_micros = spend_limit === null ? null : dollarsToMicros(spend_limit);
  const run = deps.db.transaction().execute(async (tx) => {
    await lockOpenWorkspace(tx, id);
    const rows = workspaceRows(tx);
    if (change.name !== undefined && (await rows.nameTaken(change.name, id))) throw nameTaken();
    await refuseLimitsBelowUse(tx, await findWorkspace(tx, id), values);
    await rows.change(id, values);
    await writeAudit(tx, {
      action: "workspace.update",
      actor: by,
      resourceType: "workspace",
      resourceId: id,
      details: { outcome: "succeeded", change },
    });
    return findWorkspace(tx, id);
  });
  return run.catch((error: unknown) => {
    // Two changes at once: the index decided who was first.
    throw isUniqueViolation(error) ? nameTaken() : error;
  });
}

/**
 * Archives a workspace; its name becomes free. Doing it twice is fine.
 *
 * @throws workspace.not_found, workspace.has_live_keys
 */
export async function archiveWorkspace(deps: { db: Db }, by: Actor, id: WorkspaceId): Promise<WorkspaceRow> {
  return deps.db.transaction().execute(async (tx) => {
    if (!(await workspaceRows(tx).lock(id))) throw new KeyGateError("workspace.not_found");
    const { key_count } = await findWorkspace(tx, id);
    if (key_count > 0) {
      throw new KeyGateError("workspace.has_live_keys", { detail: `Revoke its ${key_count} live keys first.` });
    }
    if (await workspaceRows(tx).archive(id)) {
      await writeAudit(tx, {
        action: "workspace.archive",
        actor: by,
        resourceType: "workspace",
        resourceId: id,
        details: { outcome: "succeeded" },
      });
    }
    return findWorkspace(tx, id);
  });
}
