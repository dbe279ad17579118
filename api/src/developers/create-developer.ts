import type { CreateDeveloper } from "@keygate/shared/contracts/developers";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Db } from "@keygate/shared/db/client";
import { type DeveloperRow, developerRows } from "@keygate/shared/db/developers";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { z } from "zod";
import type { KeepAnswer } from "../middleware/idempotency.ts";

/** Registers a developer. @throws developer.email_taken */
export async function createDeveloper(
  deps: { db: Db },
  by: Actor,
  input: z.output<typeof CreateDeveloper>,
  keep: KeepAnswer<DeveloperRow>,
): Promise<DeveloperRow> {
  return deps.db.transaction().execute(async (tx) => {
    const id = await developerRows(tx).insert(input);
    if (!id) {
      throw new KeyGateError("developer.email_taken", {
        errors: [{ field: "email", message: "Another developer has this e-mail" }],
      });
    }
    await writeAudit(tx, {
      action: "developer.create",
      actor: by,
      resourceType: "developer",
      resourceId: id,
      details: { outcome: "succeeded", ...input },
    });
    const developer = must(await developerRows(tx).find(id), "the developer just made");
    await keep(tx, developer);
    return developer;
  });
}
