/** Deployments: the models of an account, with the capacity that is its rate limit. */
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { type CatalogSku, capacityProblem, findModel, PAUSABLE_SKUS } from "./azure-catalog.ts";
import { ArmError, malformed, notFound, notOffered } from "./azure-errors.ts";
import { ACCOUNT_PATH, COGNITIVE_VERSIONS, DEPLOYMENT_PATH, PAUSE_SINCE } from "./azure-paths.ts";
import { poolsOf } from "./azure-quota.ts";
import { DeploymentPatch, DeploymentPut, Empty } from "./azure-schemas.ts";
import { type Account, accountId, type Deployment, logEvent, normalLocation } from "./azure-state.ts";
import { deploymentView, offerOf, page } from "./azure-views.ts";
import { accepted, accountOf, begin, exclusively, mustBeReady } from "./azure-writes.ts";
import type { SimResponse } from "./core.ts";

const TYPE = "Microsoft.CognitiveServices/accounts/deployments";
/** Standard deployments per account. */
const DEPLOYMENTS_MAX = 32;
const versions = COGNITIVE_VERSIONS;

const pausing = { versions, since: PAUSE_SINCE, right: "pause", body: Empty } as const;

export const deploymentRoutes: ArmRoute[] = [
  route("PUT", DEPLOYMENT_PATH, { versions, right: "deployments_write", body: DeploymentPut, handle: putDeployment }),
  route("PATCH", DEPLOYMENT_PATH, { versions, right: "deployments_write", body: DeploymentPatch, handle: resize }),
  route("GET", DEPLOYMENT_PATH, { versions, right: "deployments_read", handle: getDeployment }),
  route("DELETE", DEPLOYMENT_PATH, { versions, right: "deployments_delete", handle: deleteDeployment }),
  route("GET", `${ACCOUNT_PATH}/deployments`, {
    versions,
    right: "deployments_read",
    query: ["$skiptoken"],
    handle: listDeployments,
  }),
  route("POST", `${DEPLOYMENT_PATH}/pause`, { ...pausing, handle: (call) => setPaused(call, true) }),
  route("POST", `${DEPLOYMENT_PATH}/resume`, { ...pausing, handle: (call) => setPaused(call, false) }),
  route("GET", `${DEPLOYMENT_PATH}/skus`, { versions, right: "deployments_read", handle: listSkus }),
];

const keyOf = (name: string) => name.toLowerCase();

function parentOf(call: ArmCall): Account {
  const account = accountOf(call);
  if (account) return account;
  const { account: name = "", group = "" } = call.params;
  if (call.req.method === "GET") throw notFound("Microsoft.CognitiveServices/accounts", name, group);
  const message =
    `Failed to perform 'write' on resource(s) of type 'accounts/deployments', because the parent resource ` +
    `'${accountId(call.state, { group, name })}' could not be found.`;
  throw new ArmError(404, { code: "ParentResourceNotFound", message });
}

function existing(call: ArmCall): { account: Account; deployment: Deployment } {
  const account = parentOf(call);
  const { account: accountName = "", deployment: name = "", group = "" } = call.params;
  const deployment = account.deployments.get(keyOf(name));
  if (deployment === undefined) throw notFound(TYPE, `${accountName}/${name}`, group);
  return { account, deployment };
}

async function putDeployment(call: ArmCall<DeploymentPut>): Promise<SimResponse> {
  const account = parentOf(call);
  const { deployment: name = "" } = call.params;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}$/.test(name)) {
    throw malformed("InvalidResourceName", `'${name}' is not a name for a deployment.`);
  }
  const { sku, tags, properties } = call.body;
  const { model, deploymentState, ...options } = properties;
  mustBeReady(call, account);
  const offer = offeredSku(call, model.name, model.version, sku.name);
  if (deploymentState === "Paused") mustBePausable(sku.name);

  return exclusively(call, account, () => {
    const now = call.now();
    const found = account.deployments.get(keyOf(name));
    if (found === undefined && account.deployments.size >= DEPLOYMENTS_MAX) {
      throw notOffered(`An account has at most ${DEPLOYMENTS_MAX} deployments.`);
    }
    checkCapacity(call, account, offer, sku.capacity, found);
    const deployment: Deployment = {
      name: found?.name ?? name,
      sku: { name: sku.name, capacity: sku.capacity },
      model,
      options,
      tags,
      provisioningState: call.settings.deploy_ms > 0 ? "Creating" : "Succeeded",
      paused: deploymentState === "Paused",
      createdAt: found?.createdAt ?? now,
      modifiedAt: now,
      revision: (found?.revision ?? 0) + 1,
    };
    account.deployments.set(keyOf(name), deployment);
    const what = found === undefined ? "deployment.created" : "deployment.replaced";
    log(call, account, deployment, what);
    const headers = call.settings.deploy_ms > 0 ? deployLater(call, account, deployment) : {};
    if (call.settings.deploy_bare) return accepted(headers);
    return { status: found === undefined ? 201 : 200, headers, body: deploymentView(call, account, deployment) };
  });
}

function deployLater(call: ArmCall, account: Account, deployment: Deployment): Record<string, string> {
  return begin(call, account, {
    style: "async",
    verb: "Creating",
    ms: call.settings.deploy_ms,
    retryAfterS: 1,
    finish: (at) => {
      deployment.provisioningState = "Succeeded";
      deployment.modifiedAt = at;
      return null;
    },
  });
}

async function resize(call: ArmCall<DeploymentPatch>): Promise<SimResponse> {
  const { account, deployment } = existing(call);
  mustBeReady(call, account);
  const { tags, sku } = call.body;
  const offer = offerOf(deployment).sku;
  if (sku !== undefined && sku.name !== deployment.sku.name) {
    throw notOffered("The SKU of a deployment cannot be changed by PATCH.");
  }
  return exclusively(call, account, () => {
    if (sku !== undefined && offer !== undefined) {
      checkCapacity(call, account, offer, sku.capacity, deployment);
      deployment.sku = { name: sku.name, capacity: sku.capacity };
    }
    if (tags !== undefined) deployment.tags = tags;
    return changed(call, account, deployment, "deployment.patched");
  });
}

function getDeployment(call: ArmCall): SimResponse {
  const { account, deployment } = existing(call);
  return { status: 200, body: deploymentView(call, account, deployment) };
}

function listDeployments(call: ArmCall): SimResponse {
  const account = parentOf(call);
  const items = [...account.deployments].sort(([a], [b]) => (a < b ? -1 : 1));
  return page(
    call,
    items,
    ([key]) => key,
    ([, deployment]) => deploymentView(call, account, deployment),
  );
}

/** Not soft: capacity is free at once. 204 when there was nothing, also when the account is gone. */
async function deleteDeployment(call: ArmCall): Promise<SimResponse> {
  const account = accountOf(call);
  const deployment = account?.deployments.get(keyOf(call.params.deployment ?? ""));
  if (account === undefined || deployment === undefined) return { status: 204 };
  const { undeploy_ms: ms } = call.settings;
  return exclusively(call, account, () => {
    const finish = () => {
      account.deployments.delete(keyOf(deployment.name));
      log(call, account, deployment, "deployment.deleted");
      return null;
    };
    if (ms === 0) {
      finish();
      return { status: 200 };
    }
    deployment.provisioningState = "Deleting";
    return accepted(begin(call, account, { style: "location", verb: "Deleting", ms, finish }));
  });
}

async function setPaused(call: ArmCall, paused: boolean): Promise<SimResponse> {
  const { account, deployment } = existing(call);
  mustBeReady(call, account);
  mustBePausable(deployment.sku.name);
  return exclusively(call, account, () => {
    deployment.paused = paused;
    return changed(call, account, deployment, paused ? "deployment.paused" : "deployment.resumed");
  });
}

function listSkus(call: ArmCall): SimResponse {
  const { deployment } = existing(call);
  const { sku } = offerOf(deployment);
  return { status: 200, body: { value: [{ resourceType: TYPE, sku: { name: sku?.name }, capacity: sku?.capacity }] } };
}

function changed(call: ArmCall, account: Account, deployment: Deployment, event: string): SimResponse {
  deployment.modifiedAt = call.now();
  deployment.revision += 1;
  log(call, account, deployment, event);
  return { status: 200, body: deploymentView(call, account, deployment) };
}

function log(call: ArmCall, account: Account, deployment: Deployment, event: string): void {
  const id = `${accountId(call.state, account)}/deployments/${deployment.name}`;
  logEvent(call.state, call.now(), event, id, { model: deployment.model.name, capacity: deployment.sku.capacity });
}

function mustBePausable(skuName: string): void {
  if (!PAUSABLE_SKUS.has(skuName)) throw notOffered(`Deployments of SKU '${skuName}' cannot be paused.`);
}

function offeredSku({ settings }: ArmCall, model: string, version: string, skuName: string): CatalogSku {
  const wanted = `Format: OpenAI, Name: ${model}, Version: ${version}`;
  if (settings.retired_models.includes(model)) {
    const message = `The model '${wanted}' has been deprecated. Please use a newer version.`;
    throw new ArmError(400, { code: "ServiceModelDeprecated", message });
  }
  const found = findModel(model, version);
  if (found === undefined) {
    const message = `The model '${wanted}' of account deployment is not supported.`;
    throw new ArmError(400, { code: "DeploymentModelNotSupported", message });
  }
  const sku = found.skus.find(({ name }) => name === skuName);
  if (sku === undefined) {
    throw notOffered(`The specified SKU '${skuName}' for model '${model} ${version}' is not supported in this region.`);
  }
  return sku;
}

/** Also for a PUT that changes nothing: when the pool is overbooked, it fails all the same. */
function checkCapacity(
  call: ArmCall,
  account: Account,
  offer: CatalogSku,
  wanted: number,
  replaced?: Deployment,
): void {
  const problem = capacityProblem(offer, wanted);
  if (problem !== null) throw notOffered(`The capacity ${wanted} of SKU '${offer.name}' ${problem}.`);
  const pools = poolsOf(call.state, call.settings, normalLocation(account.location), replaced);
  const pool = pools.find(({ usageName }) => usageName === offer.usageName);
  if (pool === undefined || pool.used + wanted <= pool.limit) return;
  throw new ArmError(400, {
    code: "InsufficientQuota",
    message:
      `This operation require ${wanted} new capacity in quota ${pool.label}, which is bigger than the current available ` +
      `capacity ${Math.max(0, pool.limit - pool.used)}. The current quota usage is ${pool.used} and the quota limit is ` +
      `${pool.limit} for quota ${pool.label}.`,
  });
}
