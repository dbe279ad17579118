import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { extendBinding } from "./bindings.ts";
import { createKey, verifyKey } from "./keys.ts";
import { patient } from "./patience.ts";
import { type GoogleStep, mayBeInvisible, pauseFor, requireAccount } from "./state.ts";

/** Before there is a new key: which keys of the account are somebody's. Those that are gone by now are forgotten. */
const noteKnownKeys: GoogleStep = {
  name: "note-known-keys",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const { client } = ctx;
    const ref = requireAccount(state);
    const old = must(state.keyId, "keyId");
    const account = await client.getAccount(ref);
    if (!account && mayBeInvisible(ctx, state)) {
      throw new WaitForVendor(pauseFor(ctx, state), "Google does not show the new service account everywhere yet");
    }
    // A key on such an account would be handed over and never work.
    if (!account || account.disabled) {
      const what = account ? "is disabled" : "does not exist any more";
      throw new KeyGateError("vendor.refused", {
        detail: `The developer's service account ${what} at Google. Revoke this key and provision a new one.`,
        nothingHappened: true,
      });
    }
    const standing: string[] = [];
    for (const id of state.previousKeyIds ?? []) if (await client.getKey(ref, id)) standing.push(id);
    return { previousKeyIds: [...standing, old] };
  },
};

/** A second key on the same account, under the same grant. The old one is not touched. */
export const rotate = [noteKnownKeys, extendBinding, createKey, verifyKey].map(patient);
