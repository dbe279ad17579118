import { WaitForVendor } from "../../saga/wait.ts";
import { type AnthropicStep, requireSameOrganization } from "./state.ts";
import { archiveAndConfirm, archiveKey, disableKey, isDead } from "./workspace.ts";

const lookAgainMs = 1_000;

/** Ends access at once. */
const disable: AnthropicStep = {
  name: "disable-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    if (state.keyId) await disableKey(client, state, state.keyId);
    return {};
  },
};

/** Makes the end permanent: a disabled key could be enabled again by anybody with access to the Console. */
const archive: AnthropicStep = {
  name: "archive-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    if (state.keyId) await archiveKey(client, state, state.keyId);
    return {};
  },
};

/**
 * Archived keys stay on the list, so "gone" is a status: by its id, and among the workspace's active keys. Which status a
 * key shows that was archived and has expired is not published; both say that it is over.
 */
const confirmKeyGone: AnthropicStep = {
  name: "confirm-key-gone",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    const { keyId, workspaceId } = state;
    if (!keyId) return {};
    const byId = await client.getKey(keyId);
    if (!byId) await requireSameOrganization(client, state);
    const active = workspaceId ? ((await client.listKeys(workspaceId, "active")) ?? []) : [];
    if ((byId && !isDead(byId)) || active.some((key) => key.id === keyId)) {
      throw new WaitForVendor(lookAgainMs, "Anthropic still shows the key");
    }
    return {};
  },
};

const archiveWorkspace: AnthropicStep = {
  name: "archive-workspace",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    await archiveAndConfirm(client, state);
    return {};
  },
};

/** The key first, since that ends access; the workspace, which takes every other key along, goes with the last one. */
export const revoke = (last: boolean): readonly AnthropicStep[] =>
  last ? [disable, archive, confirmKeyGone, archiveWorkspace] : [disable, archive, confirmKeyGone];

export const dismantle = [archiveWorkspace] as const satisfies readonly AnthropicStep[];
