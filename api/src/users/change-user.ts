import type { UserRole } from "@keygate/shared/contracts/auth";
import type { UserId } from "@keygate/shared/contracts/ids";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import type { Db, Tx } from "@keygate/shared/db/client";
import { serviceTokenRows } from "@keygate/shared/db/service-tokens";
import { userLinkRows } from "@keygate/shared/db/user-links";
import { type ListedUser, type UserRow, userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";

/** A user by id. @throws user.not_found */
export async function findUser(db: Db | Tx, id: UserId): Promise<ListedUser> {
  const row = await userRows(db).findListed(id);
  if (!row) throw new KeyGateError("user.not_found");
  return row;
}

/** The user, locked; and whether KeyGate would be without an owner if they stopped being one. */
async function lockUser(tx: Tx, id: UserId): Promise<{ user: UserRow; isLastOwner: boolean }> {
  // Owners first and always: of two who take each other's role away, the second finds itself the last.
  const owners = await userRows(tx).lockOwners();
  const user = await userRows(tx).lock(id);
  if (!user) throw new KeyGateError("user.not_found");
  return { user, isLastOwner: owners.length === 1 && owners[0] === id };
}

async function revokeTokensOf(tx: Tx, by: Actor, user: UserRow, { butReaders }: { butReaders: boolean }) {
  const revoked = await serviceTokenRows(tx).revokeOf(user.id, by.name, { butReaders });
  const reason = butReaders ? "whoever made it may only read now" : "whoever made it was removed";
  await writeAudit(
    tx,
    revoked.map((token) => ({
      action: "token.revoke",
      actor: by,
      resourceType: "service_token",
      resourceId: token.id,
      details: { outcome: "succeeded" as const, name: token.name, reason },
    })),
  );
  return revoked.length;
}

/**
 * Gives a user another role, which holds from their next request on. The service tokens that they made never reach
 * further than they do: an admin who becomes an auditor takes those that change something along.
 *
 * @throws user.not_found, user.removed, user.last_owner
 */
export async function setUserRole(deps: { db: Db }, by: Actor, id: UserId, role: UserRole): Promise<ListedUser> {
  return deps.db.transaction().execute(async (tx) => {
    const { user, isLastOwner } = await lockUser(tx, id);
    if (!user.is_active) throw new KeyGateError("user.removed");
    if (isLastOwner && role !== "owner") throw new KeyGateError("user.last_owner");
    if (user.role === role) return findUser(tx, id);
    await userRows(tx).setRole(id, role);
    const tokensRevoked = role === "auditor" ? await revokeTokensOf(tx, by, user, { butReaders: true }) : 0;
    await writeAudit(tx, {
      action: "user.set_role",
      actor: by,
      resourceType: "user",
      resourceId: id,
      details: { outcome: "succeeded", email: user.email, before: user.role, role, tokens_revoked: tokensRevoked },
    });
    return findUser(tx, id);
  });
}

/**
 * Takes everything from a user that lets them in: password, sessions, access tokens, open links, and the service tokens
 * that they made, whose secrets they have seen. Doing it twice is fine.
 *
 * @returns how many service tokens ended.
 * @throws user.not_found, user.last_owner
 */
export async function removeUser(
  deps: { db: Db },
  by: Actor,
  id: UserId,
  { keepTokens }: { keepTokens: boolean },
): Promise<number> {
  return deps.db.transaction().execute(async (tx) => {
    const { user, isLastOwner } = await lockUser(tx, id);
    if (isLastOwner) throw new KeyGateError("user.last_owner");
    const tokensRevoked = keepTokens ? 0 : await revokeTokensOf(tx, by, user, { butReaders: false });
    if (!user.is_active) return tokensRevoked;
    await userRows(tx).remove(id);
    await userLinkRows(tx).drop(id);
    await writeAudit(tx, {
      action: "user.remove",
      actor: by,
      resourceType: "user",
      resourceId: id,
      details: {
        outcome: "succeeded",
        email: user.email,
        role: user.role,
        tokens_revoked: tokensRevoked,
        tokens_kept: keepTokens,
      },
    });
    return tokensRevoked;
  });
}
