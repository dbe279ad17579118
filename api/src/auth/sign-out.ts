import { hashRandomToken } from "@keygate/shared/crypto/random-token";
import { writeAudit } from "@keygate/shared/db/audit";
import { userRows } from "@keygate/shared/db/users";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import type { AccessTokens } from "./access-tokens.ts";
import { sessionMinutes } from "./session.ts";

/** Whether somebody signed out of this session: a copy of its cookie is worth nothing any more. */
export const hasSignedOut = (deps: Pick<ApiDeps, "db">, token: string): Promise<boolean> =>
  userRows(deps.db).isSessionEnded(hashRandomToken(new Secret(token)));

/** Ends one session of the dashboard, in every process; nothing to do for a cookie that opens nothing. */
export async function signOut(
  deps: ApiDeps,
  sessions: AccessTokens,
  { token, address }: { token: string | undefined; address: string | null },
): Promise<void> {
  const claims = token ? await sessions.verify(token) : null;
  const user = claims && (await userRows(deps.db).find(claims.userId));
  if (!token || !user || user.token_version !== claims.tokenVersion) return;
  await deps.db.transaction().execute(async (tx) => {
    const isNew = await userRows(tx).endSession(hashRandomToken(new Secret(token)), sessionMinutes);
    if (!isNew) return;
    await writeAudit(tx, {
      action: "auth.logout",
      actor: { name: user.email, id: user.id, ipAddress: address },
      resourceType: "user",
      resourceId: user.id,
      details: { outcome: "succeeded", door: "dashboard" },
    });
  });
}
