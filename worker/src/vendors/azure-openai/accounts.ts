import { KeyGateError } from "@keygate/shared/errors";
import { isStatus } from "./errors.ts";
import { blockedMaxMs, comeBack, whenFree } from "./patience.ts";
import type { AzureAccount, AzureDeletedAccount } from "./schemas.ts";
import { type AzureState, type Ctx, isState, type OwnAccount } from "./state.ts";

/** Tags that are put on each account: ids, since tags show in cost exports. */
export const tagsFor = (ctx: Ctx, account: OwnAccount): Record<string, string> => ({
  "keygate-instance": "keygate",
  "keygate-key": account.ownerKeyId,
  "keygate-developer": ctx.key.developerId,
});

type Tagged = Pick<AzureAccount, "tags"> | Pick<AzureDeletedAccount, "tags">;

// Tag names have no case, their values have one.
const ownerOf = ({ tags }: Tagged): string | null =>
  Object.entries(tags ?? {}).find(([name]) => name.toLowerCase() === "keygate-key")?.[1] ?? null;

/** Whether the tags say that it was made for this key. */
export const isOurs = (found: Tagged, account: OwnAccount): boolean => ownerOf(found) === account.ownerKeyId;

/** Whether the tags say that it was made for another key. Lost tags make nobody else's of what we know to have made. */
const isForeign = (found: Tagged, account: OwnAccount): boolean => {
  const owner = ownerOf(found);
  return owner !== null && owner !== account.ownerKeyId;
};

/** The account that we know to have made, or null when it is gone or somebody else's has taken its name. */
export async function openAccount({ client }: Ctx, account: OwnAccount): Promise<AzureAccount | null> {
  const found = await client.getAccount(account);
  return found && !isForeign(found, account) ? found : null;
}

// Nothing can be changed below an account in one of these, not even to take it away.
const changing = ["Accepted", "Creating", "Moving", "ResolvingDNS"] as const;
/**
 * Waits while Azure makes or moves the account.
 *
 * @param ageMs for how long that has been waited for.
 * @returns whether it is stuck: then only deleting the whole account is left to be tried. Access must end, and a refusal
 *   at least shows as one.
 */
export function isStuck(ctx: Ctx, { properties }: AzureAccount, ageMs: number): boolean {
  if (!isState(properties.provisioningState, ...changing)) return false;
  if (ageMs > blockedMaxMs) return true;
  throw comeBack(ctx, 2_000, "Azure has not finished making the account");
}

/** Deletes the deployments, which frees their capacity at once; capacity of soft-deleted ones stays taken. */
export async function deleteDeployments(ctx: Ctx, account: OwnAccount, ageMs: number): Promise<void> {
  const found = await openAccount(ctx, account);
  if (!found || isStuck(ctx, found, ageMs)) return;
  if (isState(found.properties.provisioningState, "Deleting")) return;
  // One after another: an account takes one change at a time, and one that takes its time is waited for.
  for (const { name, properties } of (await ctx.client.listDeployments(account)) ?? []) {
    const isGoing = isState(properties.provisioningState, "Deleting");
    const goesOn = isGoing || (await whenFree(ageMs, () => ctx.client.deleteDeployment(account, name)));
    if (goesOn) throw comeBack(ctx, 2_000, "Azure is deleting the deployments");
  }
  const left = (await ctx.client.listDeployments(account)) ?? [];
  if (left.length > 0) throw comeBack(ctx, 2_000, "Azure is deleting the deployments");
}

/**
 * Deletes the account and looks. It is asked for even when a look finds nothing: looks lag behind a creation, deletions
 * do not.
 *
 * @param ageMs for how long that has been tried.
 * @returns whether there was one.
 */
export async function deleteAccount(ctx: Ctx, account: OwnAccount, ageMs: number): Promise<boolean> {
  const found = await ctx.client.getAccount(account);
  if (found && isForeign(found, account)) return false;
  const isGoing = found !== null && isState(found.properties.provisioningState, "Deleting");
  const wasThere = isGoing || (await whenFree(ageMs, () => ctx.client.deleteAccount(account)));
  if (await openAccount(ctx, account)) throw comeBack(ctx, 2_000, "Azure is deleting the account");
  return wasThere || found !== null;
}

/** A soft-deleted account of ours, in whichever of our locations it stands. */
async function findDeleted({ client }: Ctx, account: OwnAccount): Promise<{ at: string; until: string | null } | null> {
  for (const at of client.locationsToSearch(account.location)) {
    const found = await client.getDeletedAccount(account, at);
    if (found && !isForeign(found, account)) return { at, until: found.properties?.scheduledPurgeDate ?? null };
  }
  return null;
}

const noPurgeRight =
  "KeyGate may not purge deleted accounts, a right that must be granted for the whole subscription; Azure purges it by itself.";

type Purge = Pick<AzureState, "notPurged"> | "unseen";

/**
 * Purges the soft-deleted account for good and looks. Where the right is missing, access has ended all the same: then it
 * says until when Azure keeps what is left.
 *
 * @returns `unseen` when there was nothing to purge.
 */
export async function purgeAccount(ctx: Ctx, account: OwnAccount, ageMs: number): Promise<Purge> {
  let seen: Awaited<ReturnType<typeof findDeleted>> = null;
  try {
    seen = await findDeleted(ctx, account);
    if (!seen) return "unseen";
    const { at } = seen;
    await whenFree(ageMs, () => ctx.client.purgeAccount(account, at));
    if (await findDeleted(ctx, account)) throw comeBack(ctx, 2_000, "Azure is purging the deleted account");
    return {};
  } catch (error) {
    if (!isStatus(error, 403)) throw error;
    return { notPurged: { until: seen?.until ?? null, why: noPurgeRight } };
  }
}

/**
 * Takes away everything of an account that was just made. Repeatable.
 *
 * @param madeAt when it was asked for.
 * @returns `unsure` when there was neither an account nor a deleted one: an earlier try, whose process ended, may have
 *   deleted it a moment ago.
 */
export async function removeAccount(ctx: Ctx, account: OwnAccount, madeAt: Date): Promise<"unsure" | undefined> {
  const ageMs = ctx.now().getTime() - madeAt.getTime();
  await deleteDeployments(ctx, account, ageMs);
  const wasThere = await deleteAccount(ctx, account, ageMs);
  if ((await purgeAccount(ctx, account, ageMs)) !== "unseen") return undefined;
  // Whoever deleted it a moment ago must see it among the deleted.
  if (wasThere) throw comeBack(ctx, 2_000, "Azure does not show the deleted account yet");
  return "unsure";
}

const heldName = (name: string, why: string) =>
  new KeyGateError("vendor.refused", {
    detail: `The name ${name} belongs to a deleted account ${why}. Ask for the key again: it gets another name.`,
  });

/**
 * Purges what an earlier deletion of ours left under the name, so that the name can be used.
 *
 * @returns whether there was anything.
 * @throws KeyGateError, permanent, when it is not ours or may not be purged.
 */
export async function purgeLeftover(ctx: Ctx, account: OwnAccount): Promise<boolean> {
  let wasThere = false;
  for (const at of ctx.client.locationsToSearch(account.location)) {
    const found = await ctx.client.getDeletedAccount(account, at);
    if (!found) continue;
    // Unlike in a removal, nothing proves that an untagged one is ours.
    if (!isOurs(found, account)) throw heldName(account.name, "that KeyGate did not make");
    try {
      await ctx.client.purgeAccount(account, at);
    } catch (error) {
      if (!isStatus(error, 403)) throw error;
      throw heldName(account.name, "that KeyGate may not purge");
    }
    if (await ctx.client.getDeletedAccount(account, at)) {
      throw comeBack(ctx, 2_000, "Azure is purging a deleted account of the same name");
    }
    wasThere = true;
  }
  return wasThere;
}
