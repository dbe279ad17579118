import { KeyGateError } from "@keygate/shared/errors";
import { differs, type Inventory, ifAllowed, type Listed, type Scan, type SeenKey } from "../inventory.ts";
import type { AnthropicApiKey, AnthropicClient, AnthropicWorkspace } from "./client.ts";
import { centsTextToMicros } from "./provision.ts";
import type { AnthropicState } from "./state.ts";

/** Not a container at all, but keys without a workspace have to stand somewhere. */
const wholeOrganization = "organization";

const organizationOf = ({ client, once }: Scan<AnthropicClient>) => once("me", async () => (await client.me()).id);

const listedOf = (workspace: AnthropicWorkspace, organizationId: string): Listed => ({
  id: workspace.id,
  what: "workspace",
  name: workspace.name ?? workspace.id,
  mark: workspace.tags?.["keygate-job"] ? { keyId: workspace.tags.keygate ?? null } : null,
  state: workspace.archived_at ? "gone" : "live",
  ref: { organizationId, workspaceId: workspace.id },
});

function noteOn({ scope, principal }: AnthropicApiKey): string {
  const reach =
    scope.type === "workspace"
      ? ""
      : "It belongs to no workspace: it can spend in every one, and may open the Admin API with its owner's rights. ";
  if (principal === null) return `${reach}It belongs to nobody and survives whoever made it.`;
  return `${reach}It belongs to ${principal?.type === "service_account_actor" ? "a service account" : "a person"}.`;
}

const seenKeyOf = (ref: Listed["ref"], key: AnthropicApiKey): SeenKey => ({
  id: key.id,
  name: key.name ?? null,
  hint: key.partial_key_hint ?? null,
  expiresAt: key.expires_at ?? null,
  disabled: key.status === "inactive" ? "Anthropic shows the key as inactive: somebody disabled it." : null,
  ...(key.status === "expired" ? { isOver: true as const } : {}),
  note: noteOn(key),
  ref: { ...ref, keyId: key.id },
});

// Archived keys are deleted ones that stay on the list.
const standing = new Set(["active", "inactive", "expired"]);

async function limitsOf({ client, once }: Scan<AnthropicClient>, workspaceId: string) {
  const rates = await once("rates", () =>
    ifAllowed(
      client.listWorkspaceRateLimits(workspaceId).then((entries) =>
        entries.flatMap(({ rate_limit_id: entryId, group, models, limits }) => {
          const rpm = limits.find(({ type }) => type === "requests_per_minute");
          const name = group.display_name ?? models?.join(", ");
          // Above the organization's number it is stored all the same, and the lower one acts.
          const value = Math.min(rpm?.value ?? Number.POSITIVE_INFINITY, rpm?.org_limit ?? Number.POSITIVE_INFINITY);
          const names = [entryId, name].filter((one) => typeof one === "string");
          return Number.isFinite(value) ? names.map((one) => [one, value] as const) : [];
        }),
      ),
    ),
  );
  const spend = await once("spend", () =>
    ifAllowed(
      client.listSpendLimits(workspaceId).then((limits) => {
        const own = limits.find(
          ({ scope, period }) =>
            scope.type === "workspace" && scope.workspace_id === workspaceId && (period ?? "monthly") === "monthly",
        );
        return typeof own?.amount === "string" ? centsTextToMicros(own.amount) : null;
      }),
    ),
  );
  return {
    ...(rates ? { rates: Object.fromEntries(rates.value) } : {}),
    ...(spend ? { spendLimitMicros: spend.value } : {}),
  };
}

/** Anthropic's workspaces with their keys, and the keys that belong to none. */
export const inventory: Inventory<AnthropicClient> = {
  // Nothing is published about how many calls are too many; a whole organization takes two for each workspace.
  callsPerMinute: 30,
  async list(scan) {
    const organizationId = await organizationOf(scan);
    const workspaces = await scan.once("workspaces", async () =>
      (await scan.client.listWorkspacesWithDefault()).map((workspace) => listedOf(workspace, organizationId)),
    );
    const outside: Listed = {
      id: wholeOrganization,
      what: "organization",
      name: "keys without a workspace",
      mark: null,
      state: "live",
      ref: { organizationId },
    };
    return { items: [...workspaces, outside], next: null };
  },
  async find(scan, { workspaceId, organizationId }) {
    const ours = await organizationOf(scan);
    if (typeof organizationId === "string" && organizationId !== ours) {
      throw new KeyGateError("vendor.refused_us", {
        detail: `The Admin key belongs to the organization ${ours}, but keys of KeyGate stand in ${organizationId}.`,
        nothingHappened: true,
      });
    }
    if (typeof workspaceId !== "string") return null;
    const workspace = await scan.once("workspace", () => scan.client.getWorkspace(workspaceId));
    return workspace && listedOf(workspace, ours);
  },
  async look(scan, item) {
    if (item.state !== "live") return { item, keys: [], disabled: null, limits: {} };
    const keys = await scan.once("keys", async () => {
      const isOutside = item.id === wholeOrganization;
      const all = isOutside ? await scan.client.listAllKeys() : ((await scan.client.listKeys(item.id)) ?? []);
      return all
        .filter((key) => standing.has(key.status) && (key.scope.type !== "workspace") === isOutside)
        .map((key) => seenKeyOf(item.ref, key));
    });
    const limits = item.mark ? await limitsOf(scan, item.id) : {};
    return { item, keys, disabled: null, limits };
  },
  // An adopted key without a workspace stands in the organization.
  containerOf: ({ workspaceId, keyId }) =>
    typeof workspaceId === "string" ? workspaceId : keyId === undefined ? null : wholeOrganization,
  keyOf: ({ keyId }) => (typeof keyId === "string" ? keyId : null),
  driftOf({ limits }, ref) {
    const { rateLimits, spendLimitMicros } = ref as AnthropicState;
    const rates = limits.rates as Record<string, number> | undefined;
    // Older references know the group's name only, which is for display and may change.
    const inForce = ({ entryId, group }: { entryId?: string; group: string }) =>
      rates?.[entryId ?? group] ?? rates?.[group] ?? null;
    const changed = rates ? (rateLimits ?? []).filter((rate) => inForce(rate) !== rate.requestsPerMinute) : [];
    return [
      ...("spendLimitMicros" in limits ? differs("budget", spendLimitMicros, limits.spendLimitMicros) : []),
      ...(changed.length > 0
        ? differs(
            "rate_limit",
            Object.fromEntries(changed.map((rate) => [rate.group, rate.requestsPerMinute])),
            Object.fromEntries(changed.map((rate) => [rate.group, inForce(rate)])),
          )
        : []),
    ];
  },
  adopt: (_item, key) => ({ vendorRef: key.ref }),
  refusesRemoval: () => null,
};
