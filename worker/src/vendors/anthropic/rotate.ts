import { must } from "@keygate/shared/errors";
import { awaitKey } from "./hand-over.ts";
import type { AnthropicStep } from "./state.ts";
import { endStrayKeys, requireOpenWorkspace } from "./workspace.ts";

/**
 * Notes the key that is replaced before anything is done, so that no later step can take it for a stray one. Undone last:
 * a key that was made a moment before the job was stopped may not have been on the list yet.
 */
const noteOldKey: AnthropicStep = {
  name: "note-old-key",
  onFound: "repeat",
  find: null,
  async undo(ctx, state) {
    if (!state.oldKeyId) return undefined;
    await endStrayKeys(ctx, state, [state.oldKeyId], "archived");
    return "unsure";
  },
  async run(ctx, state) {
    await requireOpenWorkspace(ctx, state);
    return { oldKeyId: must(state.keyId, "keyId") };
  },
};

/** The same hand-over in the same workspace, so limits and spend carry over. Here no workspace goes with the undoing. */
const awaitNextKey: AnthropicStep = {
  ...awaitKey,
  async undo(ctx, state) {
    await endStrayKeys(ctx, state, [state.oldKeyId], "archived");
  },
};

export const rotate = [noteOldKey, awaitNextKey] as const satisfies readonly AnthropicStep[];
