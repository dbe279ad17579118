import { KeyGateError, must } from "@keygate/shared/errors";
import { openAccount } from "./accounts.ts";
import { comeBack, whenReady } from "./patience.ts";
import { type AzureStep, type Ctx, markOf, type OwnAccount, otherSlot } from "./state.ts";

/** Enough for a revocation that was asked for together with the rotation; nobody's grace ends by waiting here. */
const predecessorMaxMs = 10 * 60_000;

const accountGone = (detail = "The key's Azure account does not exist any more.") =>
  new KeyGateError("vendor.refused", { detail });

async function requireKeys(ctx: Ctx, account: OwnAccount) {
  const found = await openAccount(ctx, account);
  if (!found) throw accountGone();
  if (found.properties.disableLocalAuth === true) {
    throw accountGone("Keys are switched off (disableLocalAuth) on the key's Azure account, so none can be issued.");
  }
  const keys = await whenReady(ctx, () => ctx.client.listKeys(account));
  if (!keys) throw accountGone();
  return keys;
}

/**
 * An account has two slots. While the key before this one has its grace, it lives in the other slot, and a new key there
 * would end it without a word.
 */
const chooseSlot: AzureStep = {
  name: "choose-slot",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const freeSlot = otherSlot(must(state.slot, "slot"));
    const keys = await requireKeys(ctx, must(state.account, "account"));
    if (!state.previousMark || markOf(keys[freeSlot]) !== state.previousMark) return { freeSlot };
    if ((await ctx.stepAgeMs()) < predecessorMaxMs) {
      throw comeBack(ctx, 2_000, "the key before this one still lives in the account's other slot");
    }
    throw new KeyGateError("vendor.limits_unsupported", {
      detail:
        "An Azure account has two keys, and the other one is the key before this one, which has not ended yet. Revoke it or wait for the end of its grace period, then rotate again.",
      nothingHappened: true,
    });
  },
};

/** Makes the new key in the slot that nobody uses. After a lost answer it is made again: nobody holds the one before. */
const regenerateFreeSlot: AzureStep = {
  name: "regenerate-free-slot",
  onFound: "repeat",
  delivers: true,
  find: null,
  async run(ctx, state) {
    const slot = must(state.freeSlot, "freeSlot");
    const account = must(state.account, "account");
    const keys = await whenReady(ctx, () => ctx.client.regenerateKey(account, slot));
    if (!keys) throw accountGone();
    const issued = await ctx.deliver(keys[slot]);
    return { slot, mark: markOf(keys[slot]), previousMark: state.mark ?? null, issued };
  },
  /** What was sealed and never handed out must not open anything either. */
  async undo(ctx, state) {
    const account = must(state.account, "account");
    const found = await openAccount(ctx, account);
    // With keys switched off none works and none can be replaced; the slot is replaced before it is used again.
    if (!found || found.properties.disableLocalAuth === true) return;
    await ctx.client.regenerateKey(account, must(state.freeSlot, "freeSlot"));
  },
};

/** Account, deployments, limits and endpoint stay; the old key lives on in its slot until it is revoked. */
export const rotate = [chooseSlot, regenerateFreeSlot] as const satisfies readonly AzureStep[];
