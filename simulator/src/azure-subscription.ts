/** What Azure's own services tell about a subscription: its group, provider, rights, locks, and what is ours by tag. */
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { malformed } from "./azure-errors.ts";
import {
  COGNITIVE_VERSIONS,
  GROUP,
  LOCK_VERSIONS,
  PERMISSION_VERSIONS,
  PROVIDER_PATH,
  RESOURCE_VERSIONS,
  SUBSCRIPTION_PATH,
} from "./azure-paths.ts";
import { ACTIONS } from "./azure-settings.ts";
import { accountKey } from "./azure-state.ts";
import { accountView, cased, page } from "./azure-views.ts";
import type { SimResponse } from "./core.ts";

const elsewhere = ["registration", "lock"] as const;

export const subscriptionRoutes: ArmRoute[] = [
  route("GET", GROUP, { versions: RESOURCE_VERSIONS, right: "group_read", ignores: elsewhere, handle: group }),
  route("GET", PROVIDER_PATH, {
    versions: RESOURCE_VERSIONS,
    right: "provider_read",
    ignores: elsewhere,
    handle: provider,
  }),
  route("GET", `${SUBSCRIPTION_PATH}/resources`, {
    versions: RESOURCE_VERSIONS,
    right: "resources_read",
    query: ["$filter", "$skiptoken"],
    ignores: elsewhere,
    handle: resources,
  }),
  ...[SUBSCRIPTION_PATH, GROUP].flatMap((scope) => [
    route("GET", `${scope}/providers/Microsoft.Authorization/permissions`, {
      versions: PERMISSION_VERSIONS,
      right: "permissions_read",
      ignores: elsewhere,
      handle: permissions,
    }),
    route("GET", `${scope}/providers/Microsoft.Authorization/locks`, {
      versions: LOCK_VERSIONS,
      right: "locks_read",
      ignores: elsewhere,
      handle: locks,
    }),
  ]),
];

function group(call: ArmCall): SimResponse {
  const { subscriptionId, resourceGroups, locations } = call.state.place;
  const asked = call.params.group?.toLowerCase();
  const name = resourceGroups.find((one) => one.toLowerCase() === asked);
  return {
    status: 200,
    body: {
      id: cased(call, `/subscriptions/${subscriptionId}/resourceGroups/${name}`),
      name,
      type: "Microsoft.Resources/resourceGroups",
      location: locations[0],
      properties: { provisioningState: "Succeeded" },
    },
  };
}

function provider(call: ArmCall): SimResponse {
  const { subscriptionId, locations } = call.state.place;
  return {
    status: 200,
    body: {
      id: `/subscriptions/${subscriptionId}/providers/Microsoft.CognitiveServices`,
      namespace: "Microsoft.CognitiveServices",
      registrationPolicy: "RegistrationRequired",
      registrationState: call.settings.registered ? "Registered" : "NotRegistered",
      resourceTypes: [{ resourceType: "accounts", locations, apiVersions: [...COGNITIVE_VERSIONS].reverse() }],
    },
  };
}

/** Soft-deleted accounts are not in it, and a filter by tag goes with no other. */
function resources(call: ArmCall): SimResponse {
  const filter = call.req.query.get("$filter") ?? "";
  const byTag = /^tagName eq '([^']*)'(?: and tagValue eq '([^']*)')?$/i.exec(filter.trim());
  const byType = /^resourceType eq '([^']*)'$/i.exec(filter.trim());
  if (filter !== "" && !byTag && !byType) {
    throw malformed("InvalidFilterInQueryString", `The filter '${filter}' cannot be used: tags go with nothing else.`);
  }
  const [, tagName = "", tagValue] = byTag ?? [];
  const items = call.state.listed.asOf(call.now() - call.settings.list_lag_ms).filter((account) => {
    if (byType) return byType[1]?.toLowerCase() === "microsoft.cognitiveservices/accounts";
    if (!byTag) return true;
    // Tag names have no case; their values have one.
    const tag = Object.entries(account.tags ?? {}).find(([name]) => name.toLowerCase() === tagName.toLowerCase());
    return tag !== undefined && (tagValue === undefined || tag[1] === tagValue);
  });
  return page(
    call,
    items,
    (account) => accountKey(account.group, account.name),
    (account) => {
      const { properties: _, etag: __, systemData: ___, ...shown } = accountView(call, account);
      return shown;
    },
  );
}

/**
 * What may be done, as the role's wildcard and what is taken from it. A missing right to purge shows at the
 * subscription alone: that is what becomes of a role that was given at the group.
 */
function permissions(call: ArmCall): SimResponse {
  const missing = call.settings.missing_roles.filter((right) => call.params.group === undefined || right !== "purge");
  const actions = ["Microsoft.CognitiveServices/*", "Microsoft.Authorization/*/read", "Microsoft.Resources/*/read"];
  const notActions = missing.map((right) => ACTIONS[right]);
  return { status: 200, body: { value: [{ actions, notActions, dataActions: [], notDataActions: [] }] } };
}

function locks(call: ArmCall): SimResponse {
  const { subscriptionId, resourceGroups } = call.state.place;
  const { lock } = call.settings;
  const asked = call.params.group?.toLowerCase();
  const groups =
    lock === "none" ? [] : resourceGroups.filter((one) => asked === undefined || one.toLowerCase() === asked);
  const value = groups.map((one) => ({
    id: `/subscriptions/${subscriptionId}/resourceGroups/${one}/providers/Microsoft.Authorization/locks/simulated`,
    name: "simulated",
    type: "Microsoft.Authorization/locks",
    properties: { level: lock },
  }));
  return { status: 200, body: { value } };
}
