import { must } from "@keygate/shared/errors";
import { extendBinding } from "./bindings.ts";
import { createKey, verifyKey } from "./keys.ts";
import { type GoogleStep, requireAccount } from "./state.ts";

/** Before there is a new key: which keys of the account are somebody's. Those that are gone by now are forgotten. */
const noteKnownKeys: GoogleStep = {
  name: "note-known-keys",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    const ref = requireAccount(state);
    const old = must(state.keyId, "keyId");
    const standing: string[] = [];
    for (const id of state.previousKeyIds ?? []) if (await client.getKey(ref, id)) standing.push(id);
    return { previousKeyIds: [...standing, old] };
  },
};

/** A second key on the same account, under the same grant. The old one is not touched. */
export const rotate = [noteKnownKeys, extendBinding, createKey, verifyKey] as const satisfies readonly GoogleStep[];
