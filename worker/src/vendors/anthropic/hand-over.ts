import { KeyGateError, must } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import { WaitForInput } from "../../saga/wait.ts";
import { isGone } from "./errors.ts";
import { refuse, verifyGivenKey } from "./given-key.ts";
import { keyNameFor, waitingFor } from "./instructions.ts";
import { type AnthropicState, type AnthropicStep, type Ctx, isRefusal } from "./state.ts";
import { endStrayKeys, requireOpenWorkspace } from "./workspace.ts";

function requireTimeLeft({ key, now }: Ctx): void {
  if (!key.expiresAt || key.expiresAt.getTime() > now().getTime()) return;
  throw new KeyGateError("vendor.refused", {
    detail: "The key's expiry passed before anybody made it in the Console.",
    nothingHappened: true,
  });
}

/** Gives the key its own name, whatever the person called it. */
async function normalizeName({ client, key }: Ctx, listed: { id: string; name?: string | null | undefined }) {
  if (listed.name === keyNameFor(key)) return;
  try {
    await client.renameKey(listed.id, keyNameFor(key));
  } catch (error) {
    if (isGone(error)) throw refuse("The key was removed while KeyGate looked at it. Make a new one.");
    // The name helps people; a rule about names that nobody published must not cost the key.
    if (!isRefusal(error)) throw error;
  }
}

async function takeOver(ctx: Ctx, input: Secret, state: AnthropicState, workspaceId: string) {
  const { listed, kind } = await verifyGivenKey(ctx, input, state, workspaceId);
  await normalizeName(ctx, listed);
  // Refused or extra keys that were made on the way: only the one that is handed over stays alive.
  await endStrayKeys(ctx, state, [listed.id, state.oldKeyId], "inactive");
  const issued = await ctx.deliver(input);
  return { keyId: listed.id, keyKind: kind, keyExpiresAt: listed.expires_at ?? null, issued };
}

/**
 * Waits for the key that only a person can make, and hands it over when it is the right one. Repeatable: the given key
 * stays with the job until the job has ended, so what broke off is simply done again.
 */
export const awaitKey: AnthropicStep = {
  name: "await-key",
  onFound: "repeat",
  delivers: true,
  find: null,
  async run(ctx, state) {
    const workspaceId = must(state.workspaceId, "workspaceId");
    await requireOpenWorkspace(ctx, state);
    requireTimeLeft(ctx);
    const waiting = waitingFor(ctx, state, workspaceId);
    const until = ctx.key.expiresAt;
    if (!ctx.input) throw new WaitForInput(waiting, { until });
    try {
      return await takeOver(ctx, ctx.input, state, workspaceId);
    } catch (error) {
      const isRefused = error instanceof KeyGateError && error.code === "job.input_refused";
      throw isRefused ? new WaitForInput(waiting, { until, refusal: error.detail ?? error.title }) : error;
    }
  },
  /** Nobody brought it in time, or the job was stopped: whatever key was made by then loses its access. */
  async undo(ctx, state) {
    await endStrayKeys(ctx, state, [state.oldKeyId], "inactive");
  },
};
