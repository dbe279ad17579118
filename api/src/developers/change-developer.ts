import type { DeveloperRole, UpdateDeveloper } from "@keygate/shared/contracts/developers";
import type { DeveloperId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type Db, isUniqueViolation, type Tx } from "@keygate/shared/db/client";
import { type DeveloperRow, developerRows } from "@keygate/shared/db/developers";
import { KeyGateError } from "@keygate/shared/errors";
import type { z } from "zod";

const emailTaken = () =>
  new KeyGateError("developer.email_taken", {
    errors: [{ field: "email", message: "Another developer has this e-mail" }],
  });

/** A developer by id. @throws developer.not_found */
export async function findDeveloper(db: Db | Tx, id: DeveloperId): Promise<DeveloperRow> {
  const row = await developerRows(db).find(id);
  if (!row) throw new KeyGateError("developer.not_found");
  return row;
}

/** Edits name, e-mail or team. @throws developer.not_found, developer.email_taken */
export async function changeDeveloper(
  deps: { db: Db },
  by: Actor,
  id: DeveloperId,
  change: z.output<typeof UpdateDeveloper>,
): Promise<DeveloperRow> {
  const run = deps.db.transaction().execute(async (tx) => {
    const before = await developerRows(tx).lock(id);
    if (!before) throw new KeyGateError("developer.not_found");
    if ((await developerRows(tx).change(id, change)) === "taken") throw emailTaken();
    const { name, email, team } = before;
    await writeAudit(tx, {
      action: "developer.update",
      actor: by,
      resourceType: "developer",
      resourceId: id,
      details: { outcome: "succeeded", before: { name, email, team }, change },
    });
    return findDeveloper(tx, id);
  });
  return run.catch((error: unknown) => {
    // Two changes at once: the index decided who was first.
    throw isUniqueViolation(error) ? emailTaken() : error;
  });
}

/** Sets the developer's role in their organization. @throws developer.not_found */
export async function setDeveloperRole(
  deps: { db: Db },
  by: Actor,
  id: DeveloperId,
  role: DeveloperRole,
): Promise<DeveloperRow> {
  return deps.db.transaction().execute(async (tx) => {
    const before = await developerRows(tx).lock(id);
    if (!before) throw new KeyGateError("developer.not_found");
    await developerRows(tx).setRole(id, role);
    await writeAudit(tx, {
      action: "developer.set_role",
      actor: by,
      resourceType: "developer",
      resourceId: id,
      details: { outcome: "succeeded", before: before.role, role },
    });
    return findDeveloper(tx, id);
  });
}
