import { KeyGateError, must } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { deleteDeployments } from "./accounts.ts";
import { type PlannedModel, perMinute, type Shortage } from "./capacity.ts";
import { isArmCode } from "./errors.ts";
import { comeBack, pollDelayMs, whenReady } from "./patience.ts";
import { type Market, planModels, readMarket, readPools } from "./placing.ts";
import type { AzureDeployment } from "./schemas.ts";
import { type AzureStep, type Ctx, type DeployedModel, isState, type OwnAccount } from "./state.ts";

const deploymentMaxMs = 15 * 60_000;

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();

/** Azure's own default would change the model under the key as soon as there is a newer version. */
const upgradeOption = "NoAutoUpgrade";

/** Putting what is right already can fail when the pool is overbooked, so what is right is left alone. */
const isAsWished = (ctx: Ctx, { sku, properties }: AzureDeployment, plan: PlannedModel): boolean =>
  same(properties.model.name ?? "", plan.model) &&
  same(properties.model.version ?? "", plan.version) &&
  (properties.versionUpgradeOption ?? upgradeOption) === upgradeOption &&
  ctx.client.settings.deploymentTypes.some((type) => same(type, sku.name ?? "")) &&
  (sku.capacity ?? 0) >= 1 &&
  (sku.capacity ?? 0) <= plan.wishedUnits;

async function deploy(ctx: Ctx, account: OwnAccount, plan: PlannedModel): Promise<AzureDeployment> {
  try {
    const put = await ctx.client.putDeployment(account, plan.deployment, {
      sku: { name: plan.sku, capacity: plan.units },
      properties: {
        model: { format: "OpenAI", name: plan.model, version: plan.version },
        versionUpgradeOption: upgradeOption,
      },
    });
    if (put) return put;
  } catch (error) {
    if (!isArmCode(error, "InsufficientQuota")) throw error;
    const pool = plan.usageName ? (await readPools(ctx.client, account.location)).get(plan.usageName) : undefined;
    const counts = pool ? `${pool.used} of ${pool.limit} units are used, ${plan.units} were asked for. ` : "";
    throw new KeyGateError("vendor.refused", {
      detail: `Azure has no capacity left for ${plan.model} (${plan.sku}) in ${account.location}: ${counts}${error.detail ?? ""}`,
    });
  }
  // Taken on, and not shown with the answer: what was made of it has to be looked at.
  throw comeBack(ctx, 1_000, `Azure is deploying ${plan.deployment}`);
}

function describeDeployment(there: AzureDeployment, plan: PlannedModel): DeployedModel {
  const { rateLimits } = there.properties;
  const units = there.sku.capacity ?? plan.units;
  return {
    deployment: there.name,
    model: plan.model,
    version: plan.version,
    sku: there.sku.name ?? plan.sku,
    units,
    rpmPerUnit: plan.rpmPerUnit,
    // Where the deployment does not say, what the location's list says of a unit counts.
    requestsPerMinute: perMinute(rateLimits, "request") ?? (plan.rpmPerUnit === null ? null : plan.rpmPerUnit * units),
    tokensPerMinute: perMinute(rateLimits, "token") ?? (plan.tpmPerUnit === null ? null : plan.tpmPerUnit * units),
    retiresOn: plan.retiresOn,
  };
}

/** Waits until Azure has made the deployment. */
async function requireDeployed(ctx: Ctx, there: AzureDeployment): Promise<void> {
  const status = there.properties.provisioningState ?? "Succeeded";
  if (isState(status, "Succeeded")) return;
  const detail = `Azure's deployment of ${there.name} is ${status}.`;
  const isFinal = isState(status, "Failed", "Canceled", "Disabled", "Deleting");
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
  const market = await readMarket(ctx, account.location);
  const plansFrom = (some: readonly string[], pools: Market["pools"]) =>
    planModels(ctx, some, { ...market, pools }).map((plan) => {
      if ("problem" in plan) throw unplannable(account.location, plan);
      return plan;
    });
  const wishes: Wish[] = [];
  for (const plan of plansFrom(models, new Map())) {
    // One by one, since lists lag behind what was put.
    const there = await ctx.client.getDeployment(account, plan.deployment);
    wishes.push({ plan, there: there && isAsWished(ctx, there, plan) ? there : null });
  }
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
    const ageMs = ctx.now().getTime() - Date.parse(state.madeAt ?? "");
    if (state.account) await deleteDeployments(ctx, state.account, Number.isFinite(ageMs) ? ageMs : 0);
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
