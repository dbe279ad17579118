/** What stands in the simulated Azure, told from its own side: what tests hold against what KeyGate says. */
import { poolsOf } from "./azure-quota.ts";
import { settingsOf } from "./azure-settings.ts";
import { type Account, type AzureEvent, type AzureState, accountId, keyIsLive, SOFT_DELETE_MS } from "./azure-state.ts";
import type { SimContext } from "./core.ts";

export interface AzureBooks {
  accounts: {
    id: string;
    name: string;
    resource_group: string;
    location: string;
    kind: string;
    state: string;
    subdomain: string | null;
    tags: Record<string, string>;
    disable_local_auth: boolean;
    deployments: string[];
  }[];
  deployments: {
    account: string;
    name: string;
    model: string;
    version: string;
    sku: string;
    capacity: number;
    state: string;
    paused: boolean;
    /** Its account is soft-deleted, and it still occupies quota. */
    soft_deleted: boolean;
  }[];
  deleted_accounts: {
    id: string;
    name: string;
    resource_group: string;
    location: string;
    tags: Record<string, string>;
    deleted_at: number;
    scheduled_purge_at: number;
  }[];
  /** Every key that ever was. */
  keys: {
    account: string;
    slot: string;
    sha256: string;
    live: boolean;
    created_at: number;
    retired_at: number | null;
    retired_because: string | null;
    secret?: string;
  }[];
  quota: { location: string; usage: string; used: number; limit: number }[];
  events: AzureEvent[];
}

export function azureBooks(state: AzureState, sim: SimContext, { secrets }: { secrets: boolean }): AzureBooks {
  const settings = settingsOf(sim);
  const live = [...state.accounts.values()];
  const deleted = [...state.deleted.values()];
  return {
    accounts: live.map((account) => ({
      ...common(state, account),
      kind: account.kind,
      state: account.provisioningState,
      subdomain: account.subdomain ?? null,
      disable_local_auth: account.localAuthDisabledAt !== null,
      deployments: [...account.deployments.values()].map(({ name }) => name),
    })),
    deployments: [...live, ...deleted].flatMap((account) =>
      [...account.deployments.values()].map((deployment) => ({
        account: account.name,
        name: deployment.name,
        model: deployment.model.name,
        version: deployment.model.version,
        sku: deployment.sku.name,
        capacity: deployment.sku.capacity,
        state: deployment.provisioningState,
        paused: deployment.paused,
        soft_deleted: account.deletedAt !== null,
      })),
    ),
    deleted_accounts: deleted.map((account) => ({
      ...common(state, account),
      deleted_at: account.deletedAt ?? 0,
      scheduled_purge_at: (account.deletedAt ?? 0) + SOFT_DELETE_MS,
    })),
    keys: state.keys.map((key) => ({
      account: key.account.name,
      slot: key.slot,
      sha256: key.sha256,
      live: keyIsLive(state, key, sim.now(), settings),
      created_at: key.createdAt,
      retired_at: key.retired?.at ?? null,
      retired_because: key.retired?.because ?? null,
      ...(secrets && { secret: key.secret }),
    })),
    quota: state.place.locations.flatMap((location) =>
      poolsOf(state, settings, location)
        .filter(({ used }) => used > 0)
        .map(({ usageName, used, limit }) => ({ location, usage: usageName, used, limit })),
    ),
    events: [...state.events],
  };
}

const common = (state: AzureState, account: Account) => ({
  id: accountId(state, account),
  name: account.name,
  resource_group: account.group,
  location: account.location,
  tags: account.tags ?? {},
});
