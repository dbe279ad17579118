import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { deleteDeployments } from "./accounts.ts";
import { type PlannedModel, perMinute, type Shortage } from "./capacity.ts";
import { isArmCode } from "./errors.ts";
import { type Market, planModels, readMarket } from "./placing.ts";
import type { AzureDeployment } from "./schemas.ts";
import { type AzureStep, type Ctx, type DeployedModel, type OwnAccount, pollDelayMs } from "./state.ts";

// A new account may say "Succeeded" and then, for a while, refuse what is put below it.
const earlySucceededMaxMs = 2 * 60_000;
const deploymentMaxMs = 15 * 60_000;

/** Makes a call below an account that may not be quite ready yet. */
export async function whenReady<T>(ctx: Ctx, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isArmCode(error, "AccountProvisioningStateInvalid")) throw error;
    if ((await ctx.stepAgeMs()) < earlySucceededMaxMs) {
      throw new WaitForVendor(await pollDelayMs(ctx), "Azure has made the account, but does not let it be used yet");
    }
    throw new KeyGateError("vendor.refused", { ...(error.detail ? { detail: error.detail } : {}) });
  }
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** Azure's own default would change the model under the key as soon as there is a newer version. */
const upgradeOption = "NoAutoUpgrade";

/** Putting what is right already can fail when the pool is overbooked, so what is right is left alone. */
const isAsWished = (ctx: Ctx, { sku, properties }: AzureDeployment, plan: PlannedModel): boolean =>
  same(properties.model.name, plan.model) &&
  same(properties.model.version ?? "", plan.version) &&
  (properties.versionUpgradeOption ?? upgradeOption) === upgradeOption &&
  ctx.client.settings.deploymentTypes.some((type) => same(type, sku.name)) &&
  (sku.capacity ?? 0) >= 1 &&
  (sku.capacity ?? 0) <= plan.wishedUnits;

async function deploy(ctx: Ctx, account: OwnAccount, plan: PlannedModel): Promise<AzureDeployment> {
  try {
    return await ctx.client.putDeployment(account, plan.deployment, {
      sku: { name: plan.sku, capacity: plan.units },
      properties: {
        model: { format: "OpenAI", name: plan.model, version: plan.version },
        versionUpgradeOption: upgradeOption,
      },
    });
  } catch (error) {
    if (!isArmCode(error, "InsufficientQuota")) throw error;
    const pool = plan.usageName ? (await ctx.client.usages(account.location)).get(plan.usageName) : undefined;
    const counts = pool ? `${pool.used} of ${pool.limit} units are used, ${plan.units} were asked for. ` : "";
    throw new KeyGateError("vendor.refused", {
      detail: `Azure has no capacity left for ${plan.model} (${plan.sku}) in ${account.location}: ${counts}${error.detail ?? ""}`,
    });
  }
}

function describeDeployment(there: AzureDeployment, plan: PlannedModel): DeployedModel {
  const { rateLimits } = there.properties;
  return {
    deployment: there.name,
    model: plan.model,
    version: plan.version,
    sku: there.sku.name,
    units: there.sku.capacity ?? plan.units,
    rpmPerUnit: plan.rpmPerUnit,
    requestsPerMinute: perMinute(rateLimits, "request"),
    tokensPerMinute: perMinute(rateLimits, "token"),
    retiresOn: plan.retiresOn,
  };
}

/** Waits until Azure has made the deployment. */
async function requireDeployed(ctx: Ctx, there: AzureDeployment): Promise<void> {
  const status = there.properties.provisioningState ?? "Succeeded";
  if (status === "Succeeded") return;
  const detail = `Azure's deployment of ${there.name} is ${status}.`;
  const isFinal = ["Failed", "Canceled", "Disabled", "Deleting"].includes(status);
  if (isFinal || (await ctx.stepAgeMs()) > deploymentMaxMs) throw new KeyGateError("vendor.refused", { detail });
  throw new WaitForVendor(await pollDelayMs(ctx), `Azure is deploying ${there.name}`);
}

const unplannable = (location: string, { problem, words }: Shortage) =>
  new KeyGateError(problem === "unknown" ? "vendor.limits_unsupported" : "vendor.refused", {
    detail: `Azure cannot deploy what was asked for in ${location}: ${words}.`,
  });

interface Wish {
  plan: PlannedModel;
  /** What an earlier try made. */
  there: AzureDeployment | null;
}

/** What is to be deployed, and what of it is there already: only the rest has to find room in the pools. */
async function planWishes(ctx: Ctx, account: OwnAccount, models: readonly string[]): Promise<Wish[]> {
  const existing = (await ctx.client.listDeployments(account)) ?? [];
  const market = await readMarket(ctx, account.location);
  const plansFrom = (some: readonly string[], pools: Market["pools"]) =>
    planModels(ctx, some, { ...market, pools }).map((plan) => {
      if ("problem" in plan) throw unplannable(account.location, plan);
      return plan;
    });
  const wishes = plansFrom(models, new Map()).map((plan): Wish => {
    const there = existing.find(({ name }) => same(name, plan.deployment)) ?? null;
    return { plan, there: there && isAsWished(ctx, there, plan) ? there : null };
  });
  const missing = wishes.filter(({ there }) => !there).map(({ plan }) => plan.deployment);
  const planned = new Map(plansFrom(missing, market.pools).map((plan) => [plan.deployment, plan]));
  return wishes.map(({ plan, there }) => ({ plan: planned.get(plan.deployment) ?? plan, there }));
}

/** One deployment after another, since an account takes one change at a time; each is looked for before it is put. */
export const deployModels: AzureStep = {
  name: "deploy-models",
  onFound: "repeat",
  find: null,
  async undo(ctx, state) {
    if (state.account) await deleteDeployments(ctx, state.account);
  },
  async run(ctx, state) {
    const account = must(state.account, "account");
    const models = must(state.models, "models");
    const deployments: DeployedModel[] = [];
    for (const wish of await planWishes(ctx, account, models)) {
      const there = wish.there ?? (await whenReady(ctx, () => deploy(ctx, account, wish.plan)));
      await requireDeployed(ctx, there);
      deployments.push(describeDeployment(there, wish.plan));
    }
    return { deployments };
  },
};
