import { azureOpenAi as contract } from "@keygate/shared/contracts/vendors/azure-openai";
import { KeyGateError } from "@keygate/shared/errors";
import { type PlannedModel, planModel, type Shortage } from "./capacity.ts";
import type { AzureClient, Pools } from "./client.ts";
import { isStatus } from "./errors.ts";
import type { AzureOffer } from "./schemas.ts";
import type { Ctx } from "./state.ts";

/** Standard deployments that one account can have. */
const deploymentsMax = 32;
/** Each deployment reserves capacity of a shared pool whether it is used or not, so nobody gets many without asking. */
const defaultModelsMax = 3;
const accountPool = "OpenAI.S0.AccountCount";

/** Where a key goes, and the models that it gets there. */
export interface Placement {
  location: string;
  models: string[];
}

/** What one location offers. */
export interface Market {
  offers: AzureOffer[];
  pools: Pools;
}

export const readMarket = async ({ client }: Ctx, location: string): Promise<Market> => ({
  offers: await client.models(location),
  pools: await readPools(client, location),
});

/** Seeing what is used is a right of its own at the whole subscription; without it, room is Azure's to refuse. */
export async function readPools(client: AzureClient, location: string): Promise<Pools> {
  try {
    return await client.usages(location);
  } catch (error) {
    if (!isStatus(error, 403)) throw error;
    return new Map();
  }
}

/** Names without repetition, whatever their case: deployments are told apart without it. */
const distinct = (models: readonly string[]) => [
  ...new Map(models.map((model) => [model.toLowerCase(), model])).values(),
];

/** Plans the models one after another, each with what the ones before left in its pool. */
export function planModels(ctx: Ctx, models: readonly string[], market: Market): (PlannedModel | Shortage)[] {
  const taken = new Map<string, number>();
  return models.map((model) => {
    const plan = planModel(model, {
      ...market,
      taken,
      deploymentTypes: ctx.client.settings.deploymentTypes,
      requestsPerMinute: ctx.key.rateLimitRpm,
      now: ctx.now(),
    });
    if (!("problem" in plan) && plan.usageName) {
      taken.set(plan.usageName, (taken.get(plan.usageName) ?? 0) + plan.units);
    }
    return plan;
  });
}

type Verdict = (Placement & { hasAll: boolean }) | Shortage;

async function judge(ctx: Ctx, location: string): Promise<Verdict> {
  let market: Market;
  try {
    market = await readMarket(ctx, location);
  } catch (error) {
    const isNoLocation = isStatus(error, 404) || isStatus(error, 400);
    if (!isNoLocation || error.code !== "vendor.refused") throw error;
    return { problem: "unknown", words: `it offers no Azure OpenAI. ${error.detail ?? ""}` };
  }
  const accounts = market.pools.get(accountPool);
  if (accounts && accounts.used >= accounts.limit) {
    return { problem: "full", words: `${accounts.used} of ${accounts.limit} accounts are used` };
  }
  const wanted = ctx.key.modelsAllowed ? distinct(ctx.key.modelsAllowed) : contract.suggestedModels;
  const plans = planModels(ctx, wanted, market);
  const good = plans.filter((plan) => !("problem" in plan)) as PlannedModel[];
  const hasAll = (some: readonly PlannedModel[]) => some.every((plan) => plan.units >= plan.wishedUnits);
  if (!ctx.key.modelsAllowed) {
    const chosen = good.slice(0, defaultModelsMax);
    if (chosen.length === 0) return { problem: "full", words: "no capacity is left for any of the default models" };
    return { location, models: chosen.map((plan) => plan.deployment), hasAll: hasAll(chosen) };
  }
  const short = plans.filter((plan): plan is Shortage => "problem" in plan);
  if (short.length > 0) {
    const problem = short.some((each) => each.problem === "unknown") ? "unknown" : "full";
    return { problem, words: short.map((each) => each.words).join("; ") };
  }
  return { location, models: good.map((plan) => plan.deployment), hasAll: hasAll(good) };
}

/**
 * Chooses where a key goes: the first location that has everything, else the first that has something of everything.
 *
 * @param except locations that turned out to be full.
 * @throws KeyGateError, permanent, that says for each location what it lacks.
 */
export async function choosePlacement(ctx: Ctx, except: ReadonlySet<string> = new Set()): Promise<Placement> {
  const wanted = ctx.key.modelsAllowed ? distinct(ctx.key.modelsAllowed) : [];
  if (wanted.length > deploymentsMax) {
    throw new KeyGateError("vendor.limits_unsupported", {
      detail: `An Azure OpenAI account has at most ${deploymentsMax} deployments; ${wanted.length} models were asked for.`,
      nothingHappened: true,
    });
  }
  const shortages: { location: string; shortage: Shortage }[] = [];
  let partial: Placement | null = null;
  for (const location of ctx.client.settings.locations.filter((each) => !except.has(each))) {
    const verdict = await judge(ctx, location);
    if ("problem" in verdict) shortages.push({ location, shortage: verdict });
    else if (verdict.hasAll) return { location: verdict.location, models: verdict.models };
    else partial ??= { location: verdict.location, models: verdict.models };
  }
  if (partial) return partial;
  const isUnknown = shortages.length > 0 && shortages.every(({ shortage }) => shortage.problem === "unknown");
  const words = shortages.map(({ location, shortage }) => `in ${location} ${shortage.words}`);
  const lacking = words.length > 0 ? words.join("; ") : "every location turned out to be full";
  throw new KeyGateError(isUnknown ? "vendor.limits_unsupported" : "vendor.refused", {
    detail: `Azure has no room for the key: ${lacking}. Other locations can be added to the configuration.`,
    nothingHappened: true,
  });
}
