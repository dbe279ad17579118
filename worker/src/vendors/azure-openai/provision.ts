import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { isOurs, purgeLeftover, removeAccount, tagsFor } from "./accounts.ts";
import { deployModels } from "./deployments.ts";
import { isArmCode } from "./errors.ts";
import { comeBack, pollDelayMs, whenReady } from "./patience.ts";
import { choosePlacement } from "./placing.ts";
import type { AzureAccount } from "./schemas.ts";
import { normalLocation } from "./settings.ts";
import { type AzureState, type AzureStep, type Ctx, isState, markOf, type OwnAccount } from "./state.ts";

const creationMaxMs = 15 * 60_000;

/** Chooses location and models while nothing has been made, so that a full subscription fails here and not half-way. */
const preflight: AzureStep = {
  name: "preflight",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx) {
    const { location, models } = await choosePlacement(ctx);
    const { subscriptionId, resourceGroup } = ctx.client.settings;
    const { projectName: name, id: ownerKeyId } = ctx.key;
    return { models, account: { subscriptionId, resourceGroup, name, location, ownerKeyId } };
  },
};

/** The whole body each time: a PUT replaces, and what it leaves out is removed, tags too. */
const accountBody = (ctx: Ctx, account: OwnAccount) => ({
  kind: "OpenAI",
  sku: { name: "S0" },
  location: account.location,
  tags: tagsFor(ctx, account),
  properties: { customSubDomainName: account.name, publicNetworkAccess: "Enabled", disableLocalAuth: false },
});

/** What a subscription cannot have in one location, and may have in the next. */
const unavailableHere = [
  "InsufficientQuota",
  "SpecialFeatureOrQuotaIdRequired",
  "LocationNotAvailableForResourceType",
] as const;

const notOurs = (name: string) =>
  new KeyGateError("vendor.refused", {
    detail: `An account named ${name} exists in the resource group, and its tags say that it is not this key's.`,
    nothingHappened: true,
  });

/** Puts the account; what an earlier deletion of ours left under the name is purged first. */
async function putAccount(ctx: Ctx, account: OwnAccount): Promise<Partial<AzureState>> {
  const put = async () => {
    const started = await ctx.client.putAccount(account, accountBody(ctx, account));
    return { account, ...started, madeAt: ctx.now().toISOString() };
  };
  try {
    return await put();
  } catch (error) {
    if (isArmCode(error, "CustomDomainInUse")) {
      throw new KeyGateError("vendor.refused", { detail: domainWords(account.name), facts: error.facts });
    }
    if (!isArmCode(error, "FlagMustBeSetForRestore")) throw error;
    await purgeLeftover(ctx, account);
    return whenPurged(ctx, put);
  }
}

// A purge that was answered may take a moment to free name and subdomain, and to be seen at all.
const purgeShowsMaxMs = 2 * 60_000;

async function whenPurged<T>(ctx: Ctx, put: () => Promise<T>): Promise<T> {
  try {
    return await put();
  } catch (error) {
    const isHeld = isArmCode(error, "FlagMustBeSetForRestore") || isArmCode(error, "CustomDomainInUse");
    if (!isHeld || (await ctx.stepAgeMs()) > purgeShowsMaxMs) throw error;
    throw comeBack(ctx, 5_000, "Azure has purged a deleted account of the same name, but does not free the name yet");
  }
}

const createAccount: AzureStep = {
  name: "create-account",
  onFound: "adopt",
  async run(ctx, state) {
    let account = must(state.account, "account");
    // Azure has no "create only": a PUT over somebody else's account would take its tags and its network rules away.
    const there = await ctx.client.getAccount(account);
    if (there && !isOurs(there, account)) throw notOurs(account.name);
    if (there) return atHome(ctx, account, there);

    // Others may have taken the last places since the preflight; such a refusal leaves nothing, so the next may be tried.
    const full = new Set<string>();
    let models = must(state.models, "models");
    for (;;) {
      try {
        return { ...(await putAccount(ctx, account)), models };
      } catch (error) {
        if (!unavailableHere.some((code) => isArmCode(error, code))) throw error;
        full.add(account.location);
        if (ctx.client.settings.locations.every((location) => full.has(location))) throw error;
        const next = await choosePlacement(ctx, full);
        account = { ...account, location: next.location };
        models = next.models;
      }
    }
  },
  async find(ctx, state) {
    const account = must(state.account, "account");
    const there = await ctx.client.getAccount(account);
    if (there) return isOurs(there, account) ? atHome(ctx, account, there) : null;
    await purgeOwnLeftover(ctx, account);
    return null;
  },
  async undo(ctx, state) {
    return state.account && state.madeAt ? removeAccount(ctx, state.account, new Date(state.madeAt)) : undefined;
  },
};

/** The account where it really stands: a try whose answer was lost may have gone elsewhere than planned. */
const atHome = (ctx: Ctx, account: OwnAccount, there: AzureAccount): Partial<AzureState> => ({
  account: { ...account, location: normalLocation(there.location ?? account.location) },
  madeAt: ctx.now().toISOString(),
});

/** A soft-deleted account of ours is what an undoing that broke off has left; "nothing is there" needs it gone. */
async function purgeOwnLeftover(ctx: Ctx, account: OwnAccount): Promise<void> {
  try {
    await purgeLeftover(ctx, account);
  } catch (error) {
    // Somebody else's, or the right to purge is missing: nothing that could be done, and nothing that opens anything.
    const isOutOfReach = error instanceof KeyGateError && ["permanent", "credentials"].includes(error.kind);
    if (!isOutOfReach) throw error;
  }
}

/** Why the creation failed: the operation tells it once, under an address that may be unknown after a lost answer. */
async function failureWords(ctx: Ctx, state: AzureState, fallback: string): Promise<string> {
  const failure = state.operationUrl ? await ctx.client.failureOf(state.operationUrl) : null;
  if (failure?.code === "CustomDomainInUse") return domainWords(must(state.account, "account").name);
  if (!failure) return fallback;
  if (failure.words?.startsWith("Azure says: ")) return failure.words;
  return `Azure says: ${[failure.code, failure.words].filter(Boolean).join(": ")}`;
}

const domainWords = (name: string) =>
  `The subdomain ${name} is taken somewhere in the world, or by something that was deleted less than 48 hours ago. Ask for the key again: it gets another name.`;

/** Waits for the account by looking at the account itself, which survives a restart with nothing but its name. */
const awaitAccount: AzureStep = {
  name: "await-account",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const place = must(state.account, "account");
    const account = await ctx.client.getAccount(place);
    const status = account?.properties.provisioningState ?? "unknown";
    if (account && isState(status, "Succeeded")) return settledAccount(account);

    const ageMs = await ctx.stepAgeMs();
    const refuse = async (fallback: string) =>
      new KeyGateError("vendor.refused", { detail: await failureWords(ctx, state, fallback) });
    if (isState(status, "Failed", "Canceled", "Deleting")) {
      throw await refuse(`Azure could not make the account: its state is ${status}.`);
    }
    if (!account) {
      const failure = state.operationUrl ? await ctx.client.failureOf(state.operationUrl) : null;
      // Reads may lag behind the PUT; an operation that goes on outweighs that, an unknown one does not.
      const isLost = failure !== null || (!state.operationUrl && ageMs > ctx.client.settleMs);
      if (isLost) throw await refuse("Azure does not show the account that it has begun to make.");
    }
    if (ageMs > creationMaxMs) throw await refuse("Azure did not finish making the account within 15 minutes.");
    throw new WaitForVendor(await pollDelayMs(ctx, state.paceMs ?? 0), "Azure is creating the account");
  },
};

/** What was settled by the creation. Many tenants forbid keys, by a policy that refuses or by one that changes the account. */
function settledAccount({ name, properties }: AzureAccount): Partial<AzureState> {
  if (properties.disableLocalAuth === true) {
    throw new KeyGateError("vendor.limits_unsupported", {
      detail: `A policy of the tenant has switched keys off (disableLocalAuth) on the new account ${name}, so no key can be issued. Exempt the resource group from the policy.`,
    });
  }
  return {
    endpoint: endpointOf(properties.endpoint),
    publicNetworkAccess: properties.publicNetworkAccess ?? null,
    operationUrl: null,
    paceMs: null,
  };
}

/** Handed out as it is, so it has to be an address; where it leads is Azure's to say. */
function endpointOf(text: string | null | undefined): string {
  if (text && URL.canParse(text)) return text;
  throw new KeyGateError("vendor.unexpected", { detail: "Azure's account has no endpoint that is an address." });
}

/** Keys can be read again at any time, so a lost answer costs nothing. */
const readKeys: AzureStep = {
  name: "read-keys",
  onFound: "repeat",
  delivers: true,
  find: null,
  // The key ends with its account.
  undo: null,
  async run(ctx, state) {
    const place = must(state.account, "account");
    const keys = await whenReady(ctx, () => ctx.client.listKeys(place));
    if (!keys) {
      // What was just seen may be out of sight for a moment.
      if ((await ctx.stepAgeMs()) < ctx.client.settleMs) throw comeBack(ctx, 2_000, "Azure does not show the keys yet");
      throw new KeyGateError("vendor.refused", { detail: "Azure does not show the account any more." });
    }
    const issued = await ctx.deliver(keys.Key1);
    return { slot: "Key1", mark: markOf(keys.Key1), previousMark: null, issued };
  },
};

/** Models and their limits first, then the key: whoever gets it can call nothing else and no faster. */
export const provision = [
  preflight,
  createAccount,
  awaitAccount,
  deployModels,
  readKeys,
] as const satisfies readonly AzureStep[];
