import { createHash } from "node:crypto";
import { isIPv6 } from "node:net";
import type { UserId } from "@keygate/shared/contracts/ids";
import type { Db, Tx } from "@keygate/shared/db/client";
import { userRows } from "@keygate/shared/db/users";
import { KeyGateError } from "@keygate/shared/errors";

interface Bucket {
  name: string;
  failuresMax: number;
  windowSeconds: number;
}

export interface LoginBuckets {
  /** One guesser at one account. */
  pair: Bucket;
  /** One guesser at many accounts. */
  address?: Bucket;
  /** Many guessers at one account. */
  account?: Bucket;
}

/** Whoever has one IPv6 address has the whole /64 around it. */
export function networkOf(address: string | null): string {
  if (address === null || !isIPv6(address)) return address ?? "unknown";
  const [head = "", tail = ""] = address.split("::");
  const before = head.split(":").filter(Boolean);
  const after = tail.split(":").filter(Boolean);
  const missing = address.includes("::") ? Math.max(0, 8 - before.length - after.length) : 0;
  const groups = [...before, ...Array<string>(missing).fill("0"), ...after].slice(0, 4);
  return `${groups.map((group) => Number.parseInt(group, 16).toString(16)).join(":")}::/64`;
}

/** The counters that one attempt belongs to. */
export function bucketsOf(network: string, email: string): LoginBuckets {
  return {
    pair: { name: `pair:${network}:${email}`, failuresMax: 5, windowSeconds: 5 * 60 },
    address: { name: `address:${network}`, failuresMax: 30, windowSeconds: 15 * 60 },
    account: { name: `account:${email}`, failuresMax: 100, windowSeconds: 15 * 60 },
  };
}

/**
 * The counter of a browser from which the account's owner signed in before (OWASP's "device cookies"). It counts its own
 * failures alone, so that nobody else is able to lock it out, from the same address neither.
 */
export function bucketsOfDevice(deviceToken: string): LoginBuckets {
  const name = createHash("sha256").update(deviceToken).digest("base64url");
  return { pair: { name: `device:${name}`, failuresMax: 5, windowSeconds: 5 * 60 } };
}

/**
 * Refuses an attempt after too many failures. What strangers do to an account never keeps out an address from which its
 * owner signed in before.
 *
 * @throws auth.throttled with the time until the window ends.
 */
export async function refuseWhenThrottled(
  db: Db,
  buckets: LoginBuckets,
  who: { userId: UserId | null; network: string },
): Promise<void> {
  const users = userRows(db);
  // For an unknown account a user that cannot exist is looked up, so that the answer takes the same time.
  const lookedUp = who.userId ?? ("usr-" as UserId);
  const [failures, isKnown] = await Promise.all([
    users.failures(Object.values(buckets).map(({ name }: Bucket) => name)),
    users.knowsAddress(lookedUp, who.network),
  ]);
  const { pair, address, account } = buckets;
  const secondsLeft = [pair, address, isKnown ? undefined : account].flatMap((bucket) => {
    if (!bucket) return [];
    const found = failures.get(bucket.name);
    return found && found.failures >= bucket.failuresMax ? [found.secondsLeft] : [];
  });
  if (secondsLeft.length > 0) {
    const wait = Math.max(...secondsLeft);
    throw new KeyGateError("auth.throttled", {
      detail: `Too many failed sign-ins. Try again in ${Math.ceil(wait / 60)} minutes.`,
      retryAfterMs: wait * 1000,
    });
  }
}

export async function countFailure(tx: Db | Tx, buckets: LoginBuckets): Promise<void> {
  // Always in the same order, so that two transactions never wait for each other.
  for (const bucket of [buckets.account, buckets.address, buckets.pair]) {
    if (bucket) await userRows(tx).countFailure(bucket.name, bucket.windowSeconds);
  }
}
