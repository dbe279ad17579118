import { KeyGateError } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { deleteAccount, deleteDeployments, isStuck, openAccount, purgeAccount } from "./accounts.ts";
import type { KeySlot } from "./client.ts";
import { comeBack, whenReady } from "./patience.ts";
import type { AzureAccount } from "./schemas.ts";
import { type AzureState, type AzureStep, type Ctx, isState, markOf, type OwnAccount } from "./state.ts";

/** Longer than any lag that was seen between a deletion and its being shown. */
const deletedShowsMs = 10_000;

type Run = (ctx: Ctx, state: AzureState, account: OwnAccount) => Promise<Partial<AzureState>>;

/** A step that may be repeated, and has nothing to do for a key that never had an account. */
const ending = (name: string, run: Run): AzureStep => ({
  name,
  onFound: "repeat",
  find: null,
  undo: null,
  run: async (ctx, state) => (state.account ? run(ctx, state, state.account) : {}),
});

const keysOff =
  "Keys are switched off (disableLocalAuth) on the account. None works now, but this one cannot be replaced until they are allowed again, and would then work.";

/** The account of a key that is about to end. Looks lag behind a creation, so "not found" has to last. */
async function findLive(ctx: Ctx, account: OwnAccount): Promise<AzureAccount | null> {
  const found = await openAccount(ctx, account);
  const unsureMs = ctx.client.settleMs - (await ctx.stepAgeMs());
  if (found || unsureMs <= 0) return found;
  throw new WaitForVendor(
    Math.min(ctx.client.paced(5_000), unsureMs),
    "making sure that the account does not exist any more",
  );
}

/** Whether the slot of an issued key still holds it. */
async function isStillThere(ctx: Ctx, account: OwnAccount, issued: { slot: KeySlot; mark: string }): Promise<boolean> {
  const found = await findLive(ctx, account);
  if (!found) return false;
  if (found.properties.disableLocalAuth === true) throw new KeyGateError("vendor.refused", { detail: keysOff });
  const keys = await ctx.client.listKeys(account);
  return keys !== null && markOf(keys[issued.slot]) === issued.mark;
}

/** Slot and mark are noted together, when the key is made. */
const issuedIn = ({ slot, mark }: AzureState) => (slot && mark ? { slot, mark } : null);

/**
 * Ends one of an account's two keys by replacing it; nobody gets the new one. A slot that holds another key by now is
 * left alone: the next rotation may have put its own there.
 */
const replaceKey = ending("replace-key", async (ctx, state, account) => {
  const issued = issuedIn(state);
  if (issued && (await isStillThere(ctx, account, issued))) {
    await whenReady(ctx, () => ctx.client.regenerateKey(account, issued.slot));
  }
  return {};
});

const confirmKeyReplaced = ending("confirm-key-replaced", async (ctx, state, account) => {
  const issued = issuedIn(state);
  if (issued && (await isStillThere(ctx, account, issued))) throw comeBack(ctx, 1_000, "Azure still shows the old key");
  return {};
});

/** Ends access first: a deleted account can be brought back within 48 hours, and must not bring its keys back to life. */
const replaceBothKeys = ending("replace-both-keys", async (ctx, _state, account) => {
  const found = await findLive(ctx, account);
  if (!found) return {};
  const isBlocked = isStuck(ctx, found, await ctx.stepAgeMs());
  // Where it cannot be done, deleting and purging the account has to do: that must not be held up.
  const isPossible = !found.properties.disableLocalAuth && isState(found.properties.provisioningState, "Succeeded");
  if (isBlocked || !isPossible) return { keysReplaced: false };
  try {
    for (const slot of ["Key1", "Key2"] satisfies KeySlot[]) {
      await whenReady(ctx, () => ctx.client.regenerateKey(account, slot));
    }
  } catch (error) {
    if (!(error instanceof KeyGateError) || error.code !== "vendor.refused") throw error;
    return { keysReplaced: false };
  }
  return { keysReplaced: true };
});

const removeDeployments = ending("delete-deployments", async (ctx, _state, account) => {
  await deleteDeployments(ctx, account, await ctx.stepAgeMs());
  return {};
});

const removeAccount = ending("delete-account", async (ctx, _state, account) => {
  await deleteAccount(ctx, account, await ctx.stepAgeMs());
  return {};
});

const purge = ending("purge-account", async (ctx, state, account) => {
  const ageMs = await ctx.stepAgeMs();
  const outcome = await purgeAccount(ctx, account, ageMs);
  if (outcome !== "unseen") return withWarning(outcome, state);
  // Not shown yet, or gone for good before this job: then name, subdomain and quota would stay taken for two days. What
  // this job has seen alive must be among the deleted sooner or later; a deletion may go on out of sight.
  const sawIt = state.keysReplaced !== undefined;
  const patienceMs = sawIt ? ctx.client.settleMs : Math.min(deletedShowsMs, ctx.client.settleMs);
  if (ageMs >= patienceMs) return {};
  // Soon at first, then less often.
  throw comeBack(ctx, 1_000 + ageMs / 4, "Azure does not show the deleted account yet");
});

/** An account that can be brought back with keys that somebody holds is more than a matter of quota. */
function withWarning({ notPurged }: Pick<AzureState, "notPurged">, state: AzureState): Partial<AzureState> {
  if (!notPurged) return {};
  if (state.keysReplaced !== false) return { notPurged };
  const warning = "Its keys could not be replaced either: whoever brings the account back brings them back.";
  return { notPurged: { ...notPurged, why: `${notPurged.why} ${warning}` } };
}

/** Revoked means that neither a look at the account nor one at the deleted accounts finds it. */
const confirmGone = ending("confirm-gone", async (ctx, state, account) => {
  if (await openAccount(ctx, account)) throw comeBack(ctx, 2_000, "Azure still shows the account");
  if (state.notPurged) return {};
  const outcome = await purgeAccount(ctx, account, await ctx.stepAgeMs());
  return outcome === "unseen" ? {} : outcome;
});

const takeDown = [replaceBothKeys, removeDeployments, removeAccount, purge, confirmGone] as const;

/** The last key takes the account with it; any other is replaced in its slot, and the account lives on. */
export const revoke = (last: boolean): readonly AzureStep[] => (last ? takeDown : [replaceKey, confirmKeyReplaced]);

export const dismantle: readonly AzureStep[] = takeDown;
