import { hashPassword } from "@keygate/shared/crypto/password";
import { hashRandomToken } from "@keygate/shared/crypto/random-token";
import { writeAudit } from "@keygate/shared/db/audit";
import type { Db } from "@keygate/shared/db/client";
import { type UserLinkRow, userLinkRows } from "@keygate/shared/db/user-links";
import { type UserRow, userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";

// One answer for a link that never was, was used, replaced or has run out: it tells a guesser nothing.
const gone = () => new KeyGateError("link.gone", { detail: "Ask an owner of this KeyGate for a new one." });

/** What a link is for; does not use it up. @throws link.gone */
export async function inspectLink(deps: { db: Db }, token: Secret): Promise<{ link: UserLinkRow; user: UserRow }> {
  const link = await userLinkRows(deps.db).find(hashRandomToken(token));
  const user = link && (await userRows(deps.db).find(link.user_id));
  if (!link || !user?.is_active) throw gone();
  return { link, user };
}

/**
 * Sets the password of whoever the link is for, once, and ends every session and token they had.
 *
 * @throws link.gone
 */
export async function useLink(
  deps: { db: Db },
  { token, password, ipAddress }: { token: Secret; password: Secret; ipAddress: string | null },
): Promise<UserRow> {
  // Hashing a password costs: not for somebody who has no link.
  await inspectLink(deps, token);
  const passwordHash = await hashPassword(password);
  return deps.db.transaction().execute(async (tx) => {
    const link = await userLinkRows(tx).take(hashRandomToken(token));
    const user = link && (await userRows(tx).lock(link.user_id));
    if (!link || !user?.is_active) throw gone();
    await userRows(tx).setPassword(user.id, passwordHash);
    await writeAudit(tx, {
      action: link.purpose === "join" ? "user.join" : "user.reset_password",
      actor: { name: user.email, id: user.id, ipAddress },
      resourceType: "user",
      resourceId: user.id,
      details: { outcome: "succeeded", email: user.email, link_from: link.created_by },
    });
    return user;
  });
}
