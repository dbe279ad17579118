import { randomBytes } from "node:crypto";
import { hashPassword, verifyPassword } from "@keygate/shared/crypto/password";
import { writeAudit } from "@keygate/shared/db/audit";
import { type UserRow, userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import type { ApiDeps } from "../deps.ts";
import type { AccessTokens } from "./access-tokens.ts";
import {
  bucketsOf,
  bucketsOfDevice,
  countFailure,
  type LoginBuckets,
  networkOf,
  refuseWhenThrottled,
} from "./throttle.ts";

export interface SignInAttempt {
  email: string;
  password: Secret;
  address: string | null;
  /** Where, for the audit log: `api` or `queues`. */
  door: string;
  /** What the browser brings that shows an earlier sign-in from it. */
  device?: string | undefined;
}

export type SignIn = (attempt: SignInAttempt) => Promise<UserRow>;

/** Runs what has the same name one after the other. */
function inTurns() {
  const last = new Map<string, Promise<unknown>>();
  return <T>(name: string, run: () => Promise<T>): Promise<T> => {
    const mine = (last.get(name) ?? Promise.resolve()).then(run, run);
    last.set(name, mine);
    const forget = () => last.get(name) === mine && last.delete(name);
    mine.then(forget, forget);
    return mine;
  };
}

async function recordFailure(deps: ApiDeps, attempt: SignInAttempt, buckets: LoginBuckets, user: UserRow | undefined) {
  await deps.db.transaction().execute(async (tx) => {
    await countFailure(tx, buckets);
    await writeAudit(tx, {
      action: "auth.login_failed",
      // People type passwords into the wrong field: only the e-mail of an account that exists is kept.
      actor: { name: user?.email ?? "unknown", id: user?.id ?? "unknown", ipAddress: attempt.address },
      resourceType: "user",
      resourceId: user?.id ?? "unknown",
      details: { outcome: "failed", door: attempt.door, reason: reasonOf(user) },
    });
  });
}

const reasonOf = (user: UserRow | undefined) =>
  user ? (user.is_active ? "wrong password" : "deactivated") : "no such account";

async function recordSuccess(deps: ApiDeps, attempt: SignInAttempt, buckets: LoginBuckets, user: UserRow) {
  await deps.db.transaction().execute(async (tx) => {
    const users = userRows(tx);
    await users.forgetFailures([buckets.pair.name]);
    await users.rememberAddress(user.id, networkOf(attempt.address));
    await writeAudit(tx, {
      action: "auth.login",
      actor: { name: user.email, id: user.id, ipAddress: attempt.address },
      resourceType: "user",
      resourceId: user.id,
      details: { outcome: "succeeded", door: attempt.door },
    });
  });
}

/**
 * Makes the check of e-mail and password that every door shares. It takes as long for an unknown e-mail as for a wrong
 * password, and attempts of one address at one account wait for each other, so that a burst of them counts like a row.
 *
 * @returns a function that throws auth.invalid_credentials or auth.throttled.
 */
export function createSignIn(deps: ApiDeps, devices: AccessTokens): SignIn {
  const nobodysHash = hashPassword(new Secret(randomBytes(32).toString("base64")));
  const inTurn = inTurns();

  return async (attempt) => {
    const email = attempt.email.trim().toLowerCase();
    const network = networkOf(attempt.address);
    const device = attempt.device ? await devices.verify(attempt.device) : null;
    const byDevice = attempt.device && device ? bucketsOfDevice(attempt.device) : null;
    const byAddress = bucketsOf(network, email);
    return inTurn((byDevice ?? byAddress).pair.name, async () => {
      const user = await userRows(deps.db).findByEmail(email);
      const isTheirs = user && device?.userId === user.id && device.tokenVersion === user.token_version;
      const buckets = byDevice && isTheirs ? byDevice : byAddress;
      await refuseWhenThrottled(deps.db, buckets, { userId: user?.id ?? null, network });
      const fits = await verifyPassword(attempt.password, user?.password_hash ?? (await nobodysHash));
      if (!user?.is_active || !fits) {
        await recordFailure(deps, attempt, buckets, user);
        throw new KeyGateError("auth.invalid_credentials");
      }
      await recordSuccess(deps, attempt, buckets, user);
      return user;
    });
  };
}
