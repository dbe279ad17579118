import type { ServiceTokenId } from "@keygate/shared/contracts/ids";
import { type CreateServiceToken, serviceTokenPrefix } from "@keygate/shared/contracts/tokens";
import { hashRandomToken, newRandomToken } from "@keygate/shared/crypto/random-token";
import { type Actor, writeAudit } from "@keygate/shared/db/audit";
import { type Db, isUniqueViolation } from "@keygate/shared/db/client";
import { type ServiceTokenRow, serviceTokenRows } from "@keygate/shared/db/service-tokens";
import type { UserRow } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import type { z } from "zod";
import type { KeepAnswer } from "../middleware/idempotency.ts";

const hintOfToken = (token: Secret) => `${serviceTokenPrefix}...${token.reveal().slice(-4)}`;

const nameTaken = () =>
  new KeyGateError("token.name_taken", {
    errors: [{ field: "name", message: "Another service token has this name; revoke it first" }],
  });

/** A token that was just made: the only time that it is known. */
export interface NewToken {
  token: Secret;
  row: ServiceTokenRow;
}

/** A service token by id. @throws token.not_found */
export async function findServiceToken(db: Db, id: ServiceTokenId): Promise<ServiceTokenRow> {
  const row = await serviceTokenRows(db).find(id);
  if (!row) throw new KeyGateError("token.not_found");
  return row;
}

/**
 * Makes a service token. Only its hash is kept: the token itself is known here and to whoever gets the answer.
 *
 * @throws token.name_taken
 */
export async function createServiceToken(
  deps: { db: Db },
  { actor, user }: { actor: Actor; user: UserRow },
  { name, scopes, expires_in_days: days }: z.output<typeof CreateServiceToken>,
  keep: KeepAnswer<NewToken>,
): Promise<NewToken> {
  const token = newRandomToken(serviceTokenPrefix);
  const made = deps.db.transaction().execute(async (tx) => {
    const tokens = serviceTokenRows(tx);
    await tokens.freeExpiredName(name);
    const row = await tokens.insert({
      name,
      tokenHash: hashRandomToken(token),
      hint: hintOfToken(token),
      scopes,
      createdBy: { id: user.id, name: user.email },
      days,
    });
    await writeAudit(tx, {
      action: "token.create",
      actor,
      resourceType: "service_token",
      resourceId: row.id,
      details: { outcome: "succeeded", name, scopes, hint: row.hint, expires_at: row.expires_at.toISOString() },
    });
    await keep(tx, { token, row });
    return { token, row };
  });
  return made.catch((error: unknown) => {
    throw isUniqueViolation(error) ? nameTaken() : error;
  });
}

/** Ends a service token at once; doing it twice is fine. @throws token.not_found */
export async function revokeServiceToken(deps: { db: Db }, by: Actor, id: ServiceTokenId): Promise<void> {
  await deps.db.transaction().execute(async (tx) => {
    const revoked = await serviceTokenRows(tx).revoke(id, by.name);
    if (!revoked) {
      if (!(await serviceTokenRows(tx).find(id))) throw new KeyGateError("token.not_found");
      return;
    }
    await writeAudit(tx, {
      action: "token.revoke",
      actor: by,
      resourceType: "service_token",
      resourceId: id,
      details: { outcome: "succeeded", name: revoked.name },
    });
  });
}
