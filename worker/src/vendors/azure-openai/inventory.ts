import { differs, type Inventory, ifAllowed, type Listed, type Scan, type Seen, type SeenKey } from "../inventory.ts";
import type { AzureClient, KeySlot } from "./client.ts";
import type { AzureAccount, AzureDeployment } from "./schemas.ts";
import { normalLocation } from "./settings.ts";
import { type AzureState, isState, markOf, type OwnAccount } from "./state.ts";

const tagOf = (tags: AzureAccount["tags"], wanted: string): string | null =>
  // Tag names have no case, their values have one.
  Object.entries(tags ?? {}).find(([name]) => name.toLowerCase() === wanted)?.[1] ?? null;

// Ids differ in case between the parts of Azure that tell them.
const idOf = ({ resourceGroup, name }: Pick<OwnAccount, "resourceGroup" | "name">) =>
  `${resourceGroup}/${name}`.toLowerCase();

interface Facts {
  disabled: string | null;
  isReady: boolean;
  publicNetworkAccess: string | null;
}

function listedOf(place: Omit<OwnAccount, "ownerKeyId">, tags: AzureAccount["tags"], state: Listed["state"]): Listed {
  const keyId = tagOf(tags, "keygate-key");
  const account: OwnAccount = { ...place, ownerKeyId: keyId ?? "" };
  return {
    id: idOf(place),
    what: state === "live" ? "account" : "deleted account",
    name: place.name,
    mark: tagOf(tags, "keygate-instance") || keyId ? { keyId } : null,
    state,
    ref: { account },
  };
}

function liveAccount(place: Pick<OwnAccount, "subscriptionId" | "resourceGroup">, found: AzureAccount): Listed {
  const { name, tags, properties } = found;
  const facts: Facts = {
    disabled:
      properties.disableLocalAuth === true
        ? "Keys are switched off on the account (disableLocalAuth), often by a policy of the tenant: none of them works."
        : null,
    isReady: isState(properties.provisioningState, "Succeeded"),
    publicNetworkAccess: properties.publicNetworkAccess ?? null,
  };
  const location = normalLocation(found.location ?? "");
  return { ...listedOf({ ...place, name, location }, tags, "live"), facts: { ...facts } };
}

/** The slots by what tells one key from another; the keys themselves are forgotten at once. */
async function slotsOf({ client, once }: Scan<AzureClient>, account: OwnAccount): Promise<SeenKey[] | null> {
  const slots = await once("slots", async () => {
    const read = await ifAllowed(client.listKeys(account));
    const keys = read?.value;
    if (!read) return null;
    return keys ? (["Key1", "Key2"] satisfies KeySlot[]).map((slot) => ({ slot, mark: markOf(keys[slot]) })) : [];
  });
  return (
    slots?.map(({ slot, mark }) => ({
      id: `${slot}:${mark}`,
      name: slot,
      hint: null,
      expiresAt: null,
      disabled: null,
      isInherent: true as const,
      ref: { account, slot, mark },
    })) ?? null
  );
}

const describe = (sku: string, units: number, model: string, version: string) => `${model} ${version}, ${sku} ${units}`;
const foundIn = ({ name, sku, properties }: AzureDeployment) =>
  [
    name.toLowerCase(),
    describe(sku.name ?? "", sku.capacity ?? 0, properties.model.name ?? "", properties.model.version ?? ""),
  ] as const;

const othersWords =
  "KeyGate did not make this account. It has two keys of equal power that never end; KeyGate would have to delete the account to revoke one.";

/** Azure's accounts in KeyGate's resource group, the deleted ones included. */
export const inventory: Inventory<AzureClient> = {
  // A tenth of what Azure refills in a second of its smallest bucket.
  callsPerMinute: 60,
  async list({ client, once }) {
    const { subscriptionId, resourceGroup } = client.settings;
    const place = { subscriptionId, resourceGroup };
    const live = await once("accounts", async () =>
      (await client.listAccounts()).map((found) => liveAccount(place, found)),
    );
    // Seeing deleted accounts is a right of the whole subscription, which not everybody grants.
    const deleted = await once("deleted", () =>
      ifAllowed(
        client
          .listDeletedAccounts()
          .then((all) =>
            all.map(({ name, location, tags }) =>
              listedOf({ ...place, name, location: normalLocation(location ?? "") }, tags, "leftover"),
            ),
          ),
      ),
    );
    const ours = deleted?.value.filter(({ mark }) => mark) ?? [];
    return { items: [...live, ...ours], next: null };
  },
  async find({ client, once }, ref) {
    const { account } = ref as AzureState;
    if (!account) return null;
    const found = await once("account", () => client.getAccount(account));
    const isOthers = (tags: AzureAccount["tags"]) => {
      const owner = tagOf(tags, "keygate-key");
      return owner !== null && owner !== account.ownerKeyId;
    };
    if (found) return isOthers(found.tags) ? null : liveAccount(account, found);
    for (const at of client.locationsToSearch(account.location)) {
      const seen = await once(`deleted in ${at}`, () => ifAllowed(client.getDeletedAccount(account, at)));
      const tags = seen?.value?.tags;
      if (seen?.value && !isOthers(tags)) return listedOf({ ...account, location: at }, tags, "leftover");
    }
    return null;
  },
  async look(scan, item): Promise<Seen> {
    const { account } = item.ref as AzureState;
    const facts = item.facts as unknown as Facts | undefined;
    if (item.state !== "live" || !account || !facts) return { item, keys: [], disabled: null, limits: {} };
    const { disabled } = facts;
    if (!item.mark) {
      const ref = { account };
      const key = {
        id: `${item.id}#keys`,
        name: item.name,
        hint: null,
        expiresAt: null,
        disabled,
        note: othersWords,
        ref,
      };
      return { item, keys: disabled ? [] : [key], disabled, limits: {} };
    }
    const deployments = await scan.once("deployments", () =>
      ifAllowed(scan.client.listDeployments(account).then((all) => (all ?? []).map(foundIn))),
    );
    const keys = disabled || !facts.isReady ? null : await slotsOf(scan, account);
    return {
      item,
      keys,
      disabled,
      limits: {
        ...(deployments ? { deployments: Object.fromEntries(deployments.value) } : {}),
        publicNetworkAccess: facts.publicNetworkAccess,
      },
    };
  },
  containerOf: (ref) => {
    const { account } = ref as AzureState;
    return account ? idOf(account) : null;
  },
  keyOf: (ref) => {
    const { slot, mark } = ref as AzureState;
    return slot && mark ? `${slot}:${mark}` : null;
  },
  driftOf({ limits }, ref) {
    const { deployments, publicNetworkAccess } = ref as AzureState;
    const inForce = limits.deployments as Record<string, string> | undefined;
    const expected = (deployments ?? []).map(
      ({ deployment, sku, units, model, version }) =>
        [deployment.toLowerCase(), describe(sku, units, model, version)] as const,
    );
    const names = new Set([...expected.map(([name]) => name), ...Object.keys(inForce ?? {})]);
    const wanted = Object.fromEntries(expected);
    const changed = inForce && deployments ? [...names].filter((name) => inForce[name] !== wanted[name]) : [];
    return [
      ...(changed.length > 0
        ? differs(
            "models",
            Object.fromEntries(changed.map((name) => [name, wanted[name] ?? null])),
            Object.fromEntries(changed.map((name) => [name, inForce?.[name] ?? null])),
          )
        : []),
      ...differs("network", publicNetworkAccess, limits.publicNetworkAccess),
    ];
  },
  adopt: () => ({
    refusal:
      "An Azure account has two keys of equal power that can be read again at any time, so a key of an account that KeyGate did not make can be neither told apart nor taken back alone. Issue a new key and delete the account.",
  }),
  refusesRemoval: () => "It is an account of its own that KeyGate did not make. Delete it in Azure.",
};
