import { KeyGateError } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import type { AnthropicApiKey, AnthropicClient } from "./client.ts";
import { keyNameFor } from "./instructions.ts";
import { type AnthropicState, type Ctx, clockSkewMs, isRefusal, requireSameOrganization } from "./state.ts";

const lookAgainMs = 1_000;

/** @throws `vendor.refused` when the workspace can't take a key any more: archiving is for good. */
export async function requireOpenWorkspace(ctx: Ctx, state: AnthropicState): Promise<void> {
  const { client } = ctx;
  const { workspaceId } = state;
  if (!workspaceId) {
    throw new KeyGateError("vendor.refused", {
      detail:
        "The key belongs to no workspace, so there is none for its successor. Ask for a new key, then revoke this one.",
    });
  }
  const workspace = await client.getWorkspace(workspaceId);
  if (workspace && !workspace.archived_at) return;
  if (!workspace) {
    await requireSameOrganization(client, state);
    await waitWhileYoung(ctx);
  }
  throw new KeyGateError("vendor.refused", {
    detail: `The workspace ${workspaceId} ${workspace ? "was archived" : "does not exist"} at Anthropic. Ask for a new key.`,
  });
}

/**
 * To be asked when something of a new workspace is not found: looks may lag behind its creation.
 *
 * @throws WaitForVendor while the step is younger than the settle time.
 */
export async function waitWhileYoung(ctx: Ctx): Promise<void> {
  if ((await ctx.stepAgeMs()) >= ctx.client.connection.settleMs) return;
  throw new WaitForVendor(lookAgainMs, "Anthropic does not show the workspace yet");
}

/**
 * Archives the workspace, and all its keys with it, and looks. What counts is that it is archived in the end: a second
 * time is refused.
 */
export async function archiveAndConfirm(client: AnthropicClient, state: AnthropicState): Promise<void> {
  const { workspaceId } = state;
  if (!workspaceId) return;
  const isOpen = async () => {
    const workspace = await client.getWorkspace(workspaceId);
    if (!workspace) await requireSameOrganization(client, state);
    return workspace !== null && !workspace.archived_at;
  };
  if (await isOpen()) {
    try {
      await client.archiveWorkspace(workspaceId);
    } catch (error) {
      if (!isRefusal(error) || (await isOpen())) throw error;
    }
    if (await isOpen()) throw new WaitForVendor(1_000, "Anthropic is archiving the workspace");
  }
  const left = (await client.listKeys(workspaceId, "active")) ?? [];
  if (left.length > 0) throw new WaitForVendor(1_000, "Anthropic still shows an active key in the archived workspace");
}

/** Takes the key's access, reversibly. A key that has expired or was deleted can't be disabled and needs not. */
export async function disableKey(client: AnthropicClient, state: AnthropicState, keyId: string): Promise<void> {
  try {
    await client.setKeyStatus(keyId, "inactive");
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const key = await client.getKey(keyId);
    if (!key) await requireSameOrganization(client, state);
    if (key?.status === "active") throw error;
  }
}

/** What never opens anything again: deleted, or expired, which nobody can revive. */
export const isDead = ({ status }: { status: string }): boolean => status === "archived" || status === "expired";

/** Deletes the key, as the Console calls it. For good; it stays on the list. */
export async function archiveKey(client: AnthropicClient, state: AnthropicState, keyId: string): Promise<void> {
  try {
    await client.setKeyStatus(keyId, "archived");
  } catch (error) {
    if (!isRefusal(error)) throw error;
    const key = await client.getKey(keyId);
    if (!key) await requireSameOrganization(client, state);
    if (key && !isDead(key)) throw error;
  }
}

/**
 * Whether a key that appeared while the job was asking for one can only have been made for it. In a workspace of KeyGate's
 * own that is every one; among other people's keys it takes the name that nobody but this job asked for.
 */
const isForThisJob = (listed: AnthropicApiKey, { key }: Ctx, { sharesContainer }: AnthropicState): boolean =>
  sharesContainer !== true || listed.name === keyNameFor(key);

/**
 * Takes the access of every key that appeared in the workspace while the job was asking for one: the workspace is
 * KeyGate's own, and a key in it that KeyGate does not know is nobody's. Where it is not KeyGate's own, other people's keys
 * are left alone.
 *
 * @param keep the keys that are known.
 */
export async function endStrayKeys(
  ctx: Ctx,
  state: AnthropicState,
  keep: readonly (string | undefined)[],
  ending: "inactive" | "archived",
): Promise<void> {
  const { client, key } = ctx;
  const { workspaceId } = state;
  if (!workspaceId) return;
  const inWorkspace = (await client.listKeys(workspaceId)) ?? [];
  if (inWorkspace.length === 0) await requireSameOrganization(client, state);
  const notBefore = key.jobCreatedAt.getTime() - clockSkewMs;
  for (const listed of inWorkspace) {
    const isDone = listed.status === "archived" || (ending === "inactive" && listed.status !== "active");
    const isInOurWorkspace = listed.scope.type === "workspace" && listed.scope.workspace_id === workspaceId;
    if (isDone || !isInOurWorkspace || keep.includes(listed.id) || !isForThisJob(listed, ctx, state)) continue;
    if (Date.parse(listed.created_at) < notBefore || (await ctx.isTracked({ vendorKeyId: listed.id }))) continue;
    if (listed.status === "active") await disableKey(client, state, listed.id);
    if (ending === "archived") await archiveKey(client, state, listed.id);
  }
}
