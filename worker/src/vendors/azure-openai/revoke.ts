import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { deleteAccount, deleteDeployments, openAccount, purgeAccount, requireUnchanging } from "./accounts.ts";
import type { KeySlot } from "./client.ts";
import { whenReady } from "./deployments.ts";
import { type AzureState, type AzureStep, type Ctx, markOf } from "./state.ts";

/** Longer than any lag that was seen between a deletion and its being shown. */
const deletedShowsMs = 10_000;

type Run = (ctx: Ctx, state: AzureState, account: NonNullable<AzureState["account"]>) => Promise<Partial<AzureState>>;

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

/** Whether the slot of an issued key still holds it. */
async function isStillThere(ctx: Ctx, state: AzureState, issued: { slot: KeySlot; mark: string }): Promise<boolean> {
  const account = must(state.account, "account");
  const found = await openAccount(ctx, account);
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
  if (issued && (await isStillThere(ctx, state, issued))) await ctx.client.regenerateKey(account, issued.slot);
  return {};
});

const confirmKeyReplaced = ending("confirm-key-replaced", async (ctx, state) => {
  const issued = issuedIn(state);
  if (issued && (await isStillThere(ctx, state, issued)))
    throw new WaitForVendor(1_000, "Azure still shows the old key");
  return {};
});

/** Ends access first: a deleted account can be brought back within 48 hours, and must not bring its keys back to life. */
const replaceBothKeys = ending("replace-both-keys", async (ctx, _state, account) => {
  const found = await openAccount(ctx, account);
  // With keys switched off they cannot be replaced; deleting and purging the account then ends them.
  if (!found || found.properties.disableLocalAuth === true) return {};
  requireUnchanging(found);
  if (found.properties.provisioningState !== "Succeeded") return {};
  for (const slot of ["Key1", "Key2"] satisfies KeySlot[]) {
    await whenReady(ctx, () => ctx.client.regenerateKey(account, slot));
  }
  return {};
});

const removeDeployments = ending("delete-deployments", async (ctx, _state, account) => {
  await deleteDeployments(ctx, account);
  return {};
});

const removeAccount = ending("delete-account", async (ctx, _state, account) => {
  await deleteAccount(ctx, account);
  return {};
});

const purge = ending("purge-account", async (ctx, _state, account) => {
  const outcome = await purgeAccount(ctx, account);
  if (outcome !== "unseen") return outcome;
  // Gone before this job, or not shown yet: until then name, subdomain and quota would stay taken for two days.
  if ((await ctx.stepAgeMs()) >= Math.min(deletedShowsMs, ctx.client.settleMs)) return {};
  throw new WaitForVendor(1_000, "Azure does not show the deleted account yet");
});

/** Revoked means that neither a look at the account nor one at the deleted accounts finds it. */
const confirmGone = ending("confirm-gone", async (ctx, state, account) => {
  if (await openAccount(ctx, account)) throw new WaitForVendor(2_000, "Azure still shows the account");
  if (state.notPurged) return {};
  const outcome = await purgeAccount(ctx, account);
  return outcome === "unseen" ? {} : outcome;
});

const takeDown = [replaceBothKeys, removeDeployments, removeAccount, purge, confirmGone] as const;

/** The last key takes the account with it; any other is replaced in its slot, and the account lives on. */
export const revoke = (last: boolean): readonly AzureStep[] => (last ? takeDown : [replaceKey, confirmKeyReplaced]);

export const dismantle: readonly AzureStep[] = takeDown;
