import { randomBytes } from "node:crypto";
import type { UserId } from "@keygate/shared/contracts/ids";
import type { InviteUser, LinkPurpose } from "@keygate/shared/contracts/users";
import { hashPassword } from "@keygate/shared/crypto/password";
import { hashRandomToken, newRandomToken } from "@keygate/shared/crypto/random-token";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Db, Tx } from "@keygate/shared/db/client";
import { type UserLinkRow, userLinkRows } from "@keygate/shared/db/user-links";
import { userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { z } from "zod";
import type { KeepAnswer } from "../middleware/idempotency.ts";

/** A link that was just made: the only time that its token is known. */
export interface NewLink {
  userId: UserId;
  token: Secret;
  row: UserLinkRow;
}

/** The page behind a link. The token stands behind the #: it reaches no server before the page sends it in a body. */
export const welcomeLink = (publicUrl: string | null, token: Secret): string =>
  `${publicUrl ?? ""}/welcome#${token.reveal()}`;

async function makeLink(
  tx: Tx,
  by: Actor,
  { userId, purpose, hours }: { userId: UserId; purpose: LinkPurpose; hours: number },
): Promise<NewLink> {
  const token = newRandomToken("");
  const link = { userId, purpose, hours, tokenHash: hashRandomToken(token), createdBy: by.name };
  return { userId, token, row: await userLinkRows(tx).replace(link) };
}

/** A password that nobody knows, so that signing in to an account without one takes as long as to any other. */
const nobodysPassword = () => hashPassword(new Secret(randomBytes(32).toString("base64")));

/**
 * Makes the user, who can sign in once they set a password by the link. Somebody who was removed comes back under
 * their old id, with nothing of what they had.
 *
 * @throws user.email_taken
 */
export async function inviteUser(
  deps: { db: Db },
  by: Actor,
  { email, role, expires_in_hours: hours }: z.output<typeof InviteUser>,
  keep: KeepAnswer<NewLink>,
): Promise<NewLink> {
  const passwordHash = await nobodysPassword();
  const taken = () =>
    new KeyGateError("user.email_taken", { errors: [{ field: "email", message: "Another user has this e-mail" }] });
  return deps.db.transaction().execute(async (tx) => {
    const users = userRows(tx);
    const made = await users.insert({ email, passwordHash, role, isInvited: true });
    const earlier = made ? undefined : await users.findByEmail(email);
    const row = made ?? (earlier && (await users.lock(earlier.id)));
    if (!row || (!made && row.is_active)) throw taken();
    if (!made) await users.reinvite(row.id, { passwordHash, role });
    const link = await makeLink(tx, by, { userId: row.id, purpose: "join", hours });
    await writeAudit(tx, {
      action: "user.invite",
      actor: by,
      resourceType: "user",
      resourceId: row.id,
      details: { outcome: "succeeded", email, role, link_expires_at: link.row.expires_at.toISOString() },
    });
    await keep(tx, link);
    return link;
  });
}

/**
 * A new link for a user: to join for who was invited, to set a new password for everybody else. An earlier one ends;
 * the old password works until the link is used.
 *
 * @throws user.not_found, user.removed
 */
export async function createUserLink(
  deps: { db: Db },
  by: Actor,
  { userId, hours }: { userId: UserId; hours: number },
): Promise<NewLink> {
  return deps.db.transaction().execute(async (tx) => {
    const user = await userRows(tx).lock(userId);
    if (!user) throw new KeyGateError("user.not_found");
    if (!user.is_active) throw new KeyGateError("user.removed", { detail: "Invite them again instead." });
    const purpose = user.joined_at ? "reset_password" : "join";
    const link = await makeLink(tx, by, { userId, purpose, hours });
    await writeAudit(tx, {
      action: "user.create_link",
      actor: by,
      resourceType: "user",
      resourceId: userId,
      details: {
        outcome: "succeeded",
        email: user.email,
        purpose,
        link_expires_at: link.row.expires_at.toISOString(),
      },
    });
    return link;
  });
}
