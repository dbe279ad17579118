import type { Config } from "@keygate/shared/config";
import { hashPassword } from "@keygate/shared/crypto/password";
import { systemActor, writeAudit } from "@keygate/shared/db/audit";
import type { Db } from "@keygate/shared/db/client";
import { userRows } from "@keygate/shared/db/users";

/**
 * Makes the owner that `ADMIN_EMAIL` and `ADMIN_PASSWORD` describe, unless there is a user with that e-mail: a password
 * that was changed since stays changed. Several processes may do it at once.
 */
export async function ensureFirstAdmin(db: Db, admin: Config["admin"]): Promise<void> {
  if (!admin || (await userRows(db).findByEmail(admin.email))) return;
  const passwordHash = await hashPassword(admin.password);
  await db.transaction().execute(async (tx) => {
    const user = await userRows(tx).insert({ email: admin.email, passwordHash, role: "owner" });
    if (!user) return;
    await writeAudit(tx, {
      action: "user.create",
      actor: systemActor("start"),
      resourceType: "user",
      resourceId: user.id,
      details: { outcome: "succeeded", email: user.email, role: user.role },
    });
  });
}
