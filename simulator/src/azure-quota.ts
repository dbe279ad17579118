/** Quota: pools of capacity that a region's deployments share, soft-deleted ones included, and the count of accounts. */
import { CATALOG } from "./azure-catalog.ts";
import type { AzureSettings } from "./azure-settings.ts";
import { type Account, type AzureState, type Deployment, normalLocation } from "./azure-state.ts";

export const ACCOUNT_COUNT = "OpenAI.S0.AccountCount";
const ACCOUNTS_MAX = 30;

export interface Pool {
  usageName: string;
  label: string;
  used: number;
  limit: number;
}

const DEFAULT_LIMITS = new Map([
  [ACCOUNT_COUNT, ACCOUNTS_MAX],
  ...CATALOG.flatMap(({ skus }) => skus.map(({ usageName, quota }): [string, number] => [usageName, quota])),
]);

/** The pools of a region. A deployment named in `without` does not count: it is about to be resized. */
export function poolsOf(state: AzureState, s: AzureSettings, location: string, without?: Deployment): Pool[] {
  const here = (account: Account) => normalLocation(account.location) === location;
  const live = [...state.accounts.values()].filter(here);
  const deleted = [...state.deleted.values()].filter(here);
  const used = new Map<string, number>();
  used.set(ACCOUNT_COUNT, live.length + (s.deleted_accounts_count ? deleted.length : 0));
  // Soft deletion keeps the units of the deployments that were not deleted before, until the purge.
  for (const account of [...live, ...deleted]) {
    for (const deployment of account.deployments.values()) {
      if (deployment === without) continue;
      const name = usageNameOf(deployment.sku.name, deployment.model.name);
      used.set(name, (used.get(name) ?? 0) + deployment.sku.capacity);
    }
  }
  const set = (amounts: Record<string, number>, name: string) => amounts[`${location}/${name}`] ?? amounts[name];
  return [...DEFAULT_LIMITS].map(([usageName, limit]) => ({
    usageName,
    label: labelOf(usageName),
    used: (used.get(usageName) ?? 0) + (set(s.quota_occupied, usageName) ?? 0),
    limit: set(s.quota_limits, usageName) ?? limit,
  }));
}

export const usageNameOf = (skuName: string, modelName: string) => `OpenAI.${skuName}.${modelName}`;

function labelOf(usageName: string): string {
  if (usageName === ACCOUNT_COUNT) return "OpenAI S0 account count";
  const [, sku = "", ...model] = usageName.split(".");
  return `Tokens Per Minute (thousands) - ${model.join(".")} - ${sku}`;
}
