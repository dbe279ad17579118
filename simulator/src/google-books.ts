/** Everything there is in the simulated project, for checks. */
import { createHash } from "node:crypto";
import type { SimContext } from "./core.ts";
import { holds, isKeyLive, PREDICT } from "./google-access.ts";
import { sha256, timeOf } from "./google-http.ts";
import type { Account, GoogleWorld, Key } from "./google-world.ts";

/** SHA-256 of the public key's SPKI form: what ties a key here to a private half elsewhere. */
const fingerprintOf = (key: Key) =>
  createHash("sha256")
    .update(key.publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");

function accountBook(world: GoogleWorld, sim: SimContext, account: Account, secrets: boolean): unknown {
  const isStanding = account.deletedAt === null && !account.disabled;
  return {
    email: account.email,
    unique_id: account.uniqueId,
    display_name: account.displayName,
    description: account.description,
    is_admin: account.email === world.adminEmail,
    disabled: account.disabled,
    created_at: timeOf(account.createdAt),
    deleted_at: account.deletedAt === null ? null : timeOf(account.deletedAt),
    /** Whether a token of this account opens Vertex AI right now. */
    may_predict: isStanding && holds(world, sim, `serviceAccount:${account.email}`, PREDICT),
    keys: account.keys.map((key) => ({
      id: key.id,
      origin: key.origin,
      live: isKeyLive(account, key, sim),
      disabled: key.disabled,
      disable_reason: key.disableReason,
      created_at: timeOf(key.createdAt),
      deleted_at: key.deletedAt === null ? null : timeOf(key.deletedAt),
      valid_until: timeOf(key.validBefore),
      public_key_sha256: fingerprintOf(key),
      /** Of the whole file as it was handed out; `null` for uploaded keys, whose secret was never here. */
      secret_sha256: key.file === null ? null : sha256(key.file),
      ...(secrets && { secret: key.file }),
    })),
  };
}

export function googleBooks(world: GoogleWorld, sim: SimContext, options: { secrets: boolean }): unknown {
  return {
    project_id: world.projectId,
    accounts: world.accounts.map((account) => accountBook(world, sim, account, options.secrets)),
    policy: structuredClone(world.policy),
    roles: [...world.roles.values()],
    tokens: [...world.tokens].map(([token_sha256, token]) => ({
      token_sha256,
      account_unique_id: token.accountId,
      key_id: token.keyId,
      expires_at: timeOf(token.expiresAt),
    })),
    events: world.events,
  };
}
