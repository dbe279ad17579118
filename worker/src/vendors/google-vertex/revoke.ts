import { endAccess, removeAccount } from "./accounts.ts";
import { removeGrant } from "./bindings.ts";
import type { AccountRef } from "./client.ts";
import { endKey, endKeys } from "./keys.ts";
import { patient } from "./patience.ts";
import { accountOf, type Ctx, type GoogleState, type GoogleStep } from "./state.ts";

type End = (ctx: Ctx, ref: AccountRef, state: GoogleState) => Promise<void>;

/** A step of ending: repeatable, nothing to find, nothing to undo, and nothing to do where no account was made. */
const ending = (name: string, end: End): GoogleStep => ({
  name,
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const ref = accountOf(state);
    if (ref) await end(ctx, ref, state);
    return {};
  },
});

/** Its account lives on for other keys. Tokens that were made with the key before live on for up to an hour. */
const deleteOneKey = ending("delete-key", async ({ client }, ref, { keyId }) => {
  if (keyId) await endKey(client, ref, keyId);
});

// The one call that ends running tokens too, so it comes first.
const disableAccount = ending("disable-account", endAccess);
const deleteAllKeys = ending("delete-keys", ({ client }, ref, { keyId }) =>
  endKeys(client, ref, keyId ? [keyId] : [], []),
);
// Before the account: a grant of a deleted account stays behind under another spelling.
const removeBinding = ending("remove-binding", async ({ client }, _ref, state) => {
  if (state.role) await removeGrant(client, state);
});
const deleteAccount = ending("delete-account", ({ client }, ref) => removeAccount(client, ref));

const endAll = [disableAccount, deleteAllKeys, removeBinding, deleteAccount].map(patient);

/** With the last key goes everything; before that, the key alone. */
export const revoke = (last: boolean): readonly GoogleStep[] => (last ? endAll : [patient(deleteOneKey)]);

export const dismantle = endAll;
