/** What Cognitive Services can be asked before anything is made: quota, models, names; and how an operation goes. */

import { isTaken } from "./azure-accounts.ts";
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { CATALOG, type CatalogModel, type CatalogSku } from "./azure-catalog.ts";
import { ArmError, malformed, notFound } from "./azure-errors.ts";
import { isSigned, operationPath, operationUrl } from "./azure-operations.ts";
import { ACCOUNT_PATH, COGNITIVE_VERSIONS, LOCATION_PATH, PROVIDER_PATH } from "./azure-paths.ts";
import { type Pool, poolsOf } from "./azure-quota.ts";
import { CheckDomain, CheckSku } from "./azure-schemas.ts";
import { normalLocation } from "./azure-state.ts";
import { page } from "./azure-views.ts";
import { accountOf, mustBeReady } from "./azure-writes.ts";
import type { SimResponse } from "./core.ts";

const versions = COGNITIVE_VERSIONS;
const MODEL_QUERY = ["modelFormat", "modelName", "modelVersion"];

export const lookupRoutes: ArmRoute[] = [
  route("GET", `${LOCATION_PATH}/usages`, {
    versions,
    right: "usages",
    query: ["$filter", "$skiptoken"],
    handle: usages,
  }),
  route("GET", `${LOCATION_PATH}/models`, { versions, right: "models", query: ["$skiptoken"], handle: models }),
  route("GET", `${ACCOUNT_PATH}/models`, { versions, right: "read", query: ["$skiptoken"], handle: accountModels }),
  route("GET", `${LOCATION_PATH}/modelCapacities`, {
    versions,
    right: "models",
    query: MODEL_QUERY,
    handle: capacities,
  }),
  route("GET", `${PROVIDER_PATH}/modelCapacities`, {
    versions,
    right: "models",
    query: MODEL_QUERY,
    handle: capacities,
  }),
  route("POST", `${PROVIDER_PATH}/checkDomainAvailability`, {
    versions,
    right: "check_domain",
    body: CheckDomain,
    handle: (call) => {
      const { subdomainName } = call.body;
      const isSubdomainAvailable = !isTaken(call, subdomainName);
      const reason = isSubdomainAvailable ? {} : { reason: `'${subdomainName}' is not available.` };
      return { status: 200, body: { ...call.body, isSubdomainAvailable, ...reason } };
    },
  }),
  route("POST", `${LOCATION_PATH}/checkSkuAvailability`, {
    versions,
    right: "models",
    body: CheckSku,
    handle: checkSkus,
  }),
  route("GET", `${LOCATION_PATH}/operationResults/{operation}`, { versions: [], right: null, handle: operationResult }),
];

function regionOf(call: ArmCall): string {
  const { location = "" } = call.params;
  const region = normalLocation(location);
  if (call.state.place.locations.includes(region)) return region;
  throw malformed("NoRegisteredProviderFound", `No registered resource provider found for location '${location}'.`);
}

function usages(call: ArmCall): SimResponse {
  const pools = poolsOf(call.state, call.settings, regionOf(call));
  pools.sort((a, b) => (a.usageName < b.usageName ? -1 : 1));
  const view = ({ usageName, label, used, limit }: Pool) => ({
    name: { value: usageName, localizedValue: label },
    currentValue: used,
    limit,
    unit: "Count",
  });
  return page(call, pools, ({ usageName }) => usageName, view);
}

const modelKey = ({ name, version }: CatalogModel) => `${name}/${version}`;

function models(call: ArmCall): SimResponse {
  regionOf(call);
  return listModels(call, (model) => ({ model, kind: "OpenAI", skuName: "S0" }));
}

function accountModels(call: ArmCall): SimResponse {
  const account = accountOf(call);
  if (account === undefined) {
    throw notFound("Microsoft.CognitiveServices/accounts", call.params.account ?? "", call.params.group ?? "");
  }
  mustBeReady(call, account);
  return listModels(call, (model) => model);
}

/** `rateLimits` are for one unit of capacity here, and for all of them on a deployment. */
function listModels(call: ArmCall, wrap: (model: object) => object): SimResponse {
  const offered = CATALOG.filter(({ name }) => !call.settings.retired_models.includes(name));
  const items = offered.sort((a, b) => (modelKey(a) < modelKey(b) ? -1 : 1));
  const sku = ({ quota: _, ...shown }: CatalogSku) => shown;
  return page(call, items, modelKey, ({ retiresOn, skus, ...rest }) =>
    wrap({ format: "OpenAI", ...rest, deprecation: { inference: retiresOn }, skus: skus.map(sku) }),
  );
}

function capacities(call: ArmCall): SimResponse {
  const [format, name, version] = MODEL_QUERY.map((parameter) => {
    const value = call.req.query.get(parameter);
    if (!value) throw malformed("InvalidRequestParameter", `The query parameter '${parameter}' is required.`);
    return value;
  });
  const regions = call.params.location === undefined ? call.state.place.locations : [regionOf(call)];
  const found = CATALOG.find((model) => format === "OpenAI" && model.name === name && model.version === version);
  const value = regions.flatMap((location) => {
    const pools = poolsOf(call.state, call.settings, location);
    return (found?.skus ?? []).map((sku) => {
      const pool = pools.find(({ usageName }) => usageName === sku.usageName);
      const availableCapacity = pool ? Math.max(0, pool.limit - pool.used) : 0;
      return { location, properties: { model: { format, name, version }, skuName: sku.name, availableCapacity } };
    });
  });
  return { status: 200, body: { value } };
}

function checkSkus(call: ArmCall<CheckSku>): SimResponse {
  regionOf(call);
  const { skus, kind, type } = call.body;
  const value = skus.map((skuName) => {
    const skuAvailable = skuName === "S0";
    const why = skuAvailable ? {} : { reason: "NotAvailableForSubscription", message: `There is no SKU ${skuName}.` };
    return { kind, type, skuName, skuAvailable, ...why };
  });
  return { status: 200, body: { value } };
}

/** The whole address is signed. What is not as it was given out gets nothing. */
function operationResult(call: ArmCall): SimResponse {
  const operation = call.state.operations.get(call.params.operation ?? "");
  if (operation === undefined || !isSigned(operation, call.req.query)) {
    throw malformed("InvalidOperationResultUrl", "The address of the operation is not the one that was given out.");
  }
  const { outcome, style } = operation;
  if (style === "location") {
    // The answer of the call itself, whatever that is.
    if (operation.error) throw new ArmError(409, operation.error);
    if (outcome !== "running") return { status: 200 };
    const location = operationUrl(call.state, operation, call.baseUrl);
    return { status: 202, headers: { location, "retry-after": "1" } };
  }
  const iso = (ms: number) => new Date(ms).toISOString();
  return {
    status: 200,
    body: {
      id: operationPath(call.state, operation),
      name: operation.id,
      status: outcome === "running" ? operation.verb : outcome,
      startTime: iso(operation.startedAt),
      ...(outcome !== "running" && { endTime: iso(operation.endsAt) }),
      ...(operation.error && { error: operation.error }),
    },
  };
}
