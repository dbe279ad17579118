import { hashPassword } from "@keygate/shared/crypto/password";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type UserRow, userRows } from "@keygate/shared/db/users";
import { must } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import type { SignIn } from "./sign-in.ts";

/**
 * Sets a new password and ends every session and token of the user.
 *
 * @throws auth.invalid_credentials when the current password is another one, auth.throttled after too many tries.
 */
export async function changePassword(
  deps: ApiDeps,
  signIn: SignIn,
  change: { user: UserRow; actor: Actor; current: Secret; next: Secret; device: string | undefined },
): Promise<UserRow> {
  const { user, actor, current, next, device } = change;
  await signIn({ email: user.email, password: current, address: actor.ipAddress, door: "password change", device });
  const passwordHash = await hashPassword(next);
  return deps.db.transaction().execute(async (tx) => {
    await userRows(tx).setPassword(user.id, passwordHash);
    await writeAudit(tx, {
      action: "user.change_password",
      actor,
      resourceType: "user",
      resourceId: user.id,
      details: { outcome: "succeeded", email: user.email },
    });
    return must(await userRows(tx).find(user.id), "the user whose password was changed");
  });
}
