/** How accounts and deployments look on the wire, and how lists are paged. */
import type { ArmCall } from "./azure-arm.ts";
import { CATALOG, findModel, rateLimitsFor } from "./azure-catalog.ts";
import { malformed } from "./azure-errors.ts";
import { type Account, accountId, type Deployment, hostLabel, SOFT_DELETE_MS } from "./azure-state.ts";
import type { SimResponse } from "./core.ts";

const time = (ms: number) => new Date(ms).toISOString().replace("Z", "0000Z");

/** Ids of one thing differ in case between parts of Azure. */
export const cased = ({ settings }: ArmCall, id: string) => (settings.id_case === "lower" ? id.toLowerCase() : id);

/** What is left of a view when Azure leaves out what the specification lets it leave out, or knows news. */
function shaped(call: ArmCall, view: Record<string, unknown>, kept: readonly string[]): Record<string, unknown> {
  const { members } = call.settings;
  if (members === "all") return view;
  const isKept = ([name]: [string, unknown]) => kept.includes(name);
  const few = Object.fromEntries(Object.entries(view).filter(isKept));
  if (members === "few") return few;
  const none = Object.fromEntries(Object.keys(view).map((name) => [name, null]));
  return { ...none, ...few, memberOfNextYear: { kind: ["unheard of"] } };
}

interface Dated {
  createdAt: number;
  modifiedAt: number;
  revision: number;
}

const dates = ({ createdAt, modifiedAt, revision }: Dated) => ({
  etag: `"${revision.toString(16).padStart(8, "0")}-0000-0000-0000-${modifiedAt.toString(16).padStart(12, "0")}"`,
  systemData: {
    createdBy: "11111111-0000-0000-0000-000000000000",
    createdByType: "Application",
    createdAt: time(createdAt),
    lastModifiedBy: "11111111-0000-0000-0000-000000000000",
    lastModifiedByType: "Application",
    lastModifiedAt: time(modifiedAt),
  },
});

export function accountView(call: ArmCall, account: Account): Record<string, unknown> {
  const endpoint = `${call.baseUrl}/_data/${hostLabel(account)}/`;
  const view = {
    id: cased(call, accountId(call.state, account)),
    name: account.name,
    type: "Microsoft.CognitiveServices/accounts",
    location: account.location,
    sku: account.sku,
    kind: account.kind,
    ...(account.tags && { tags: account.tags }),
    ...dates(account),
  };
  const properties = {
    publicNetworkAccess: "Enabled",
    disableLocalAuth: false,
    ...account.options,
    ...(account.subdomain !== undefined && { customSubDomainName: account.subdomain }),
    endpoint,
    endpoints: { "OpenAI Language Model Instance API": endpoint },
    internalId: account.internalId,
    dateCreated: time(account.createdAt),
    // An account-wide ceiling that nobody can set.
    callRateLimit: {
      rules: [
        {
          key: "openai.default",
          renewalPeriod: 1,
          count: 30,
          matchPatterns: [{ path: "openai/*", method: "*" }],
        },
      ],
    },
    isMigrated: false,
    privateEndpointConnections: [],
    provisioningState: account.provisioningState,
  };
  return {
    ...shaped(call, view, ["name", "tags"]),
    properties: shaped(call, properties, ["endpoint", "provisioningState"]),
  };
}

export function deletedAccountView(call: ArmCall, account: Account): Record<string, unknown> {
  const { place } = call.state;
  const location = account.location.toLowerCase().replace(/\s/g, "");
  const deletedAt = account.deletedAt ?? call.now();
  const id =
    `/subscriptions/${place.subscriptionId}/providers/Microsoft.CognitiveServices/locations/${location}` +
    `/resourceGroups/${account.group}/deletedAccounts/${account.name}`;
  return {
    id: cased(call, id),
    name: account.name,
    type: "Microsoft.CognitiveServices/deletedAccounts",
    location: account.location,
    kind: account.kind,
    sku: account.sku,
    ...(account.tags && { tags: account.tags }),
    properties: {
      ...(account.subdomain !== undefined && { customSubDomainName: account.subdomain }),
      deletionDate: time(deletedAt),
      scheduledPurgeDate: time(deletedAt + SOFT_DELETE_MS),
      provisioningState: "Succeeded",
    },
  };
}

/** The offer that a deployment was made from. It is in the catalogue, or the deployment could not have been made. */
export function offerOf({ model, sku }: Deployment) {
  const found = findModel(model.name, model.version) ?? CATALOG[0];
  return { model: found, sku: found?.skus.find(({ name }) => name === sku.name) };
}

export function deploymentView(call: ArmCall, account: Account, deployment: Deployment): Record<string, unknown> {
  const offer = offerOf(deployment);
  const view = {
    id: cased(call, `${accountId(call.state, account)}/deployments/${deployment.name}`),
    type: "Microsoft.CognitiveServices/accounts/deployments",
    name: deployment.name,
    sku: deployment.sku,
    ...(deployment.tags && { tags: deployment.tags }),
    ...dates(deployment),
  };
  const properties = {
    model: deployment.model,
    ...deployment.options,
    deploymentState: deployment.paused ? "Paused" : "Running",
    currentCapacity: deployment.sku.capacity,
    capabilities: offer.model?.capabilities ?? {},
    provisioningState: deployment.provisioningState,
    rateLimits: offer.sku ? rateLimitsFor(offer.sku, deployment.sku.capacity) : [],
  };
  return {
    ...shaped(call, view, ["name", "sku"]),
    properties: shaped(call, properties, ["model", "provisioningState"]),
  };
}

const LAST_PAGE = { absent: {}, null: { nextLink: null }, empty: { nextLink: "" } } as const;

/** One page of `items`, which are in the order of `keyOf`. The address of the next one holds all that it needs. */
export function page<T>(
  call: ArmCall,
  items: readonly T[],
  keyOf: (item: T) => string,
  view: (item: T) => unknown,
): SimResponse {
  const token = call.req.query.get("$skiptoken");
  const after = token === null ? null : Buffer.from(token, "base64url").toString("utf8");
  if (after !== null && !after.startsWith("after:"))
    throw malformed("InvalidSkipToken", "The skip token is not valid.");
  const rest = after === null ? items : items.filter((item) => `after:${keyOf(item)}` > after);
  const shown = rest.slice(0, call.settings.page_size);
  const last = shown.at(-1);
  if (last === undefined || shown.length === rest.length) {
    return { status: 200, body: { value: shown.map(view), ...LAST_PAGE[call.settings.last_next_link] } };
  }
  const next = new URLSearchParams(call.req.query);
  next.set("$skiptoken", Buffer.from(`after:${keyOf(last)}`).toString("base64url"));
  return { status: 200, body: { value: shown.map(view), nextLink: `${call.baseUrl}${call.req.path}?${next}` } };
}
