import { setTimeout as sleep } from "node:timers/promises";
import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import type { AccountRef, GoogleAccount, GoogleClient } from "./client.ts";
import { isTaken, isVagueLimit } from "./errors.ts";
import { endKeys } from "./keys.ts";
import { type Ctx, type GoogleState, type GoogleStep, mayBeInvisible, pauseFor, requireAccount } from "./state.ts";

/** Google's own number for a project whose limit nobody raised. */
export const accountsUsualMax = 100;
const displayNameMax = 100;
const goodReads = 3;
/** Between two of them, as a part of the settle time: 200 ms of the usual two minutes. */
const betweenReadsPart = 1 / 600;
/** However short the settle time is configured. */
const visibleWithinMs = 10_000;
const lookAgainMs = 1_000;

/** Accounts have no labels: the description says whose it is. */
const markOf = (keyId: string) => `keygate-key=${keyId}`;
const isOurs = (account: GoogleAccount, keyId: string) =>
  (account.description ?? "").split(";").includes(markOf(keyId));

const refFor = (projectId: string, accountId: string): AccountRef => ({
  projectId,
  email: `${accountId}@${projectId}.iam.gserviceaccount.com`,
});

const noted = ({ now }: Ctx, { email, uniqueId }: GoogleAccount): Partial<GoogleState> => ({
  email,
  uniqueId,
  accountMadeAt: now().toISOString(),
});

/** A 429 on creation may also say that the project is full; waiting would never end then. */
async function explainLimit({ client }: Ctx, projectId: string, error: unknown): Promise<never> {
  if (isVagueLimit(error)) {
    const count = (await client.listAccounts(projectId)).length;
    if (count >= accountsUsualMax) {
      throw new KeyGateError("vendor.refused", {
        detail: `The project has ${count} service accounts and Google lets it have no more (${accountsUsualMax} unless the quota was raised). Revoke keys, raise the quota or use another project.`,
        nothingHappened: true,
      });
    }
  }
  throw error;
}

export const createAccount: GoogleStep = {
  name: "create-account",
  onFound: "adopt",
  async run(ctx, state) {
    const { client, key } = ctx;
    const projectId = must(state.projectId, "projectId");
    const displayName = `KeyGate ${key.projectName}`.slice(0, displayNameMax);
    try {
      const made = await client.createAccount(projectId, key.projectName, displayName, markOf(key.id));
      return noted(ctx, made);
    } catch (error) {
      if (!isTaken(error)) return explainLimit(ctx, projectId, error);
      const existing = await client.getAccount(refFor(projectId, key.projectName));
      if (existing && isOurs(existing, key.id)) return noted(ctx, existing);
      if (existing) throw error;
      // The name is taken by what cannot be seen yet: most likely by our own first try.
      throw new KeyGateError("vendor.not_ready", { detail: "Google does not show the new service account yet." });
    }
  },
  async find(ctx, state) {
    const ref = refFor(must(state.projectId, "projectId"), ctx.key.projectName);
    const existing = await ctx.client.getAccount(ref);
    return existing && isOurs(existing, ctx.key.id) ? noted(ctx, existing) : null;
  },
  async undo(ctx, state) {
    const ref = requireAccount(state);
    await endAccess(ctx, ref, state);
    await endKeys(ctx.client, ref, [], []);
    await removeAccount(ctx.client, ref);
  },
};

/** Other parts of Google learn of a new account later than the one that made it. */
export const awaitAccount: GoogleStep = {
  name: "await-account",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const { client } = ctx;
    const ref = requireAccount(state);
    for (let read = 0; read < goodReads; read++) {
      if (read > 0) await sleep(client.settleMs * betweenReadsPart);
      const account = await client.getAccount(ref);
      if (!account) await giveUpOrWait(ctx, state);
      if (account?.disabled) {
        throw new KeyGateError("vendor.refused", { detail: "Somebody disabled the new service account at Google." });
      }
    }
    return { isVisible: true };
  },
};

async function giveUpOrWait(ctx: Ctx, state: GoogleState): Promise<never> {
  if ((await ctx.stepAgeMs()) > Math.max(ctx.client.settleMs, visibleWithinMs)) {
    throw new KeyGateError("vendor.not_ready", { detail: "Google has not shown the new service account in time." });
  }
  throw new WaitForVendor(pauseFor(ctx, state), "Google does not show the new service account everywhere yet");
}

/**
 * Disables the account, which ends its running tokens too, and looks. A new one that is not there may only not be seen
 * from everywhere yet, also when it was seen before; "not found" is no proof of its end then.
 */
export async function endAccess(ctx: Ctx, ref: AccountRef, state: GoogleState): Promise<void> {
  const { client } = ctx;
  const isThere = (await client.disableAccount(ref)) !== null;
  const account = await client.getAccount(ref);
  if ((!isThere || !account) && mayBeInvisible(ctx, state)) {
    throw new WaitForVendor(pauseFor(ctx, state), "making sure that the new service account does not come up later");
  }
  if (account && !account.disabled) throw new WaitForVendor(lookAgainMs, "Google is disabling the service account");
}

/** Deletes the account and looks. */
export async function removeAccount(client: GoogleClient, ref: AccountRef): Promise<void> {
  await client.deleteAccount(ref);
  if (await client.getAccount(ref)) throw new WaitForVendor(lookAgainMs, "Google is deleting the service account");
}
