import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import type { OpenAiClient } from "./client.ts";
import {
  archiveAndConfirm,
  type OpenAiStep,
  removeServiceAccount,
  requireProject,
  unlessArchived,
} from "./provision.ts";

const lookAgainMs = 1_000;

const deleteKey = (last: boolean): OpenAiStep => ({
  name: "delete-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    const { keyId } = state;
    if (!keyId) return {};
    const projectId = must(state.projectId, "projectId");
    try {
      await unlessArchived(client, projectId, () => client.deleteApiKey(projectId, keyId));
    } catch (error) {
      // Before October 2026 keys of service accounts could not be deleted by id; deleting the account does the same.
      if (!(last && error instanceof KeyGateError && error.code === "vendor.refused")) throw error;
    }
    return {};
  },
});

const deleteAccount: OpenAiStep = {
  name: "delete-service-account",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    if (state.serviceAccountId) {
      await removeServiceAccount(client, must(state.projectId, "projectId"), state.serviceAccountId);
    }
    return {};
  },
};

/** Revoked means that a look does not find the key any more: by its id, and in the list. */
const confirmKeyGone: OpenAiStep = {
  name: "confirm-key-gone",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }, state) {
    if (!state.keyId) return {};
    const projectId = must(state.projectId, "projectId");
    if (await isShown(client, projectId, state.keyId)) {
      throw new WaitForVendor(lookAgainMs, "OpenAI still shows the key");
    }
    await requireProject(client, projectId);
    return {};
  },
};

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
  last ? [deleteKey(true), deleteAccount, confirmKeyGone, archiveProject] : [deleteKey(false), confirmKeyGone];

export const dismantle = [deleteAccount, archiveProject] as const satisfies readonly OpenAiStep[];
