import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import type { OpenAiClient } from "./client.ts";
import {
  archiveAndConfirm,
  type OpenAiState,
  type OpenAiStep,
  removeServiceAccount,
  requireProject,
  unlessArchived,
} from "./provision.ts";

const lookAgainMs = 1_000;
/** What was deleted may be shown for a moment; after this it is deleted again. */
const deletedShowsMs = 5_000;

const removeKey = async (client: OpenAiClient, projectId: string, keyId: string) =>
  void (await unlessArchived(client, projectId, () => client.deleteApiKey(projectId, keyId)));

const deleteKey = (last: boolean): OpenAiStep => ({
  name: "delete-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    const { keyId } = state;
    if (!keyId) return {};
    try {
      await removeKey(client, must(state.projectId, "projectId"), keyId);
    } catch (error) {
      // Before October 2026 keys of service accounts could not be deleted by id; deleting the account does the same.
      if (!(last && error instanceof KeyGateError && error.code === "vendor.refused")) throw error;
    }
    return {};
  },
});

async function endAccount(client: OpenAiClient, state: OpenAiState): Promise<void> {
  if (!state.serviceAccountId) return;
  await removeServiceAccount(client, must(state.projectId, "projectId"), state.serviceAccountId);
}

const deleteAccount: OpenAiStep = {
  name: "delete-service-account",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    await endAccount(client, state);
    return {};
  },
};

/**
 * Revoked means that a look does not find the key any more: by its id, and in the list. One that stays is deleted again:
 * its deletion may have been answered by somebody who did not do it.
 */
const confirmKeyGone = (last: boolean): OpenAiStep => ({
  name: "confirm-key-gone",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const { client } = ctx;
    const { keyId } = state;
    if (!keyId) return {};
    const projectId = must(state.projectId, "projectId");
    if (await isShown(client, projectId, keyId)) {
      if ((await ctx.stepAgeMs()) > deletedShowsMs) {
        if (last && state.serviceAccountId) await endAccount(client, state);
        else await removeKey(client, projectId, keyId);
      }
      throw new WaitForVendor(lookAgainMs, "OpenAI still shows the key");
    }
    await requireProject(client, projectId);
    return {};
  },
});

/** Whether the key is still there, by its id or in the list. */
async function isShown(client: OpenAiClient, projectId: string, keyId: string): Promise<boolean> {
  const shown = await unlessArchived(client, projectId, async () => {
    if (await client.getApiKey(projectId, keyId)) return true;
    return ((await client.listApiKeys(projectId)) ?? []).some((key) => key.id === keyId);
  });
  return shown ?? false;
}

const archiveProject: OpenAiStep = {
  name: "archive-project",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    if (state.projectId) await archiveAndConfirm(client, state.projectId);
    return {};
  },
};

/** The key first, since that ends access; what it shared goes with the last key. */
export const revoke = (last: boolean): readonly OpenAiStep[] =>
  last
    ? [deleteKey(true), deleteAccount, confirmKeyGone(true), archiveProject]
    : [deleteKey(false), confirmKeyGone(false)];

export const dismantle = [deleteAccount, archiveProject] as const satisfies readonly OpenAiStep[];
