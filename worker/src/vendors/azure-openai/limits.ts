import type { LimitReport } from "@keygate/shared/contracts/limits";
import { azureOpenAi as contract } from "@keygate/shared/contracts/vendors/azure-openai";
import type { SagaKey } from "../../saga/step.ts";
import { reportLimits } from "../limits-report.ts";
import type { AzureState, DeployedModel } from "./state.ts";

const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** How one model came to its limits, like “gpt-4o: 60 RPM ÷ 6 RPM per unit = 10 units of GlobalStandard → 60 RPM …”. */
export function arithmeticOf(requestsPerMinute: number, model: DeployedModel): string {
  const { deployment, sku, units, rpmPerUnit } = model;
  const tokens = model.tokensPerMinute === null ? "" : ` and ${count(model.tokensPerMinute)} tokens per minute`;
  const size = `${count(units)} ${units === 1 ? "unit" : "units"} of ${sku}`;
  const effective = model.requestsPerMinute;
  if (rpmPerUnit === null || effective === null) {
    return `${deployment}: Azure has no limit on its requests; ${size}${tokens}.`;
  }
  const wish = requestsPerMinute / rpmPerUnit;
  // Division first, then what rounding, the smallest size, or the free capacity made of it.
  const sum = Number.isInteger(wish) ? count(wish) : wish.toFixed(2);
  const why = units > wish ? ", the smallest there is" : units < Math.floor(wish) ? ", all that could be had" : "";
  return `${deployment}: ${requestsPerMinute} RPM ÷ ${rpmPerUnit} RPM per unit = ${sum} → ${size}${why} → ${count(effective)} RPM${tokens}.`;
}

function rateLimitOf(models: readonly DeployedModel[], key: SagaKey) {
  const rates = models.flatMap(({ requestsPerMinute: rpm }) => (rpm === null ? [] : [rpm]));
  const note = models.map((model) => arithmeticOf(key.rateLimitRpm, model)).join(" ");
  return {
    effective: rates.length > 0 ? Math.min(...rates) : null,
    ...(rates.length > 0 ? {} : { enforcedBy: "none" as const }),
    note,
  };
}

function modelsOf(models: readonly DeployedModel[], key: SagaKey) {
  const named = models.map(({ deployment, version, retiresOn }) => {
    const end = retiresOn ? `, retires on ${retiresOn.slice(0, 10)}` : "";
    return `${deployment} (version ${version}${end})`;
  });
  const early = models.some(({ retiresOn }) => key.expiresAt && retiresOn && Date.parse(retiresOn) < +key.expiresAt);
  return {
    effective: models.map(({ deployment }) => deployment),
    note: [
      ...(key.modelsAllowed ? [] : ["No models were named, so KeyGate deployed a few that are usual."]),
      ...(named.length > 0 ? [`Deployed: ${named.join(", ")}.`] : []),
      ...(early ? ["A model retires before the key expires."] : []),
    ].join(" "),
  };
}

/** One key's limits: what was asked for, what Azure made of it, and how. */
export function limitsOf(state: AzureState, key: SagaKey): LimitReport[] {
  const models = state.deployments ?? [];
  return reportLimits(contract.limits, key, {
    budget: { effective: null },
    rate_limit: rateLimitOf(models, key),
    models: modelsOf(models, key),
    expiry: { effective: key.expiresAt?.toISOString() ?? null },
  });
}
