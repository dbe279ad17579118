import type { Pools } from "./client.ts";
import type { AzureOffer, AzureRateLimit, AzureSku } from "./schemas.ts";

/** How a model is to be deployed. */
export interface PlannedModel {
  /** The deployment is named like the model that was asked for. */
  deployment: string;
  model: string;
  version: string;
  sku: string;
  usageName: string | null;
  units: number;
  /** What the wished rate needs, before the pool had a say. */
  wishedUnits: number;
  rpmPerUnit: number | null;
  tpmPerUnit: number | null;
  retiresOn: string | null;
}

/** What stands in the way of a model. */
export interface Shortage {
  problem: "unknown" | "full";
  words: string;
}

/** What a limit brings per minute, over all the units that it is told for. */
export function perMinute(limits: readonly AzureRateLimit[] | null | undefined, key: string): number | null {
  const limit = limits?.find((each) => each.key === key);
  if (typeof limit?.count !== "number" || !limit.renewalPeriod || limit.renewalPeriod < 0) return null;
  return (limit.count * 60) / limit.renewalPeriod;
}

type Capacity = NonNullable<AzureSku["capacity"]>;

/** The largest capacity that the SKU offers and that is not above what is wanted; null when even its smallest is. */
function offeredCapacity(capacity: Capacity, wanted: number): number | null {
  const smallest = Math.max(1, capacity.minimum ?? 1);
  const bounded = Math.min(wanted, capacity.maximum ?? wanted);
  if (capacity.allowedValues?.length) {
    const fitting = capacity.allowedValues.filter((value) => value >= smallest && value <= bounded);
    return fitting.length > 0 ? Math.max(...fitting) : null;
  }
  if (bounded < smallest) return null;
  const step = capacity.step ?? 1;
  return step > 1 ? smallest + Math.floor((bounded - smallest) / step) * step : Math.floor(bounded);
}

/** The smallest capacity that can be had at all. */
function smallestCapacity(capacity: Capacity): number {
  const smallest = Math.max(1, capacity.minimum ?? 1);
  const allowed = (capacity.allowedValues ?? []).filter((value) => value >= smallest);
  return allowed.length > 0 ? Math.min(...allowed) : smallest;
}

/**
 * Units of capacity for a rate: what fits into the rate, never above it, but at least the smallest that is offered; and
 * no more than the pool has left.
 */
export function unitsFor(
  sku: AzureSku,
  requestsPerMinute: number,
  free: number,
): { units: number; wishedUnits: number } | null {
  const capacity = sku.capacity ?? {};
  const rpmPerUnit = perMinute(sku.rateLimits, "request");
  // Without a request limit the rate says nothing about the size.
  const wish = rpmPerUnit ? Math.floor(requestsPerMinute / rpmPerUnit) : (capacity.default ?? 1);
  const smallest = smallestCapacity(capacity);
  const wishedUnits = offeredCapacity(capacity, Math.max(wish, smallest)) ?? smallest;
  const units = offeredCapacity(capacity, Math.min(wishedUnits, free));
  return units === null ? null : { units, wishedUnits };
}

const same = (a: string, b: string) => a.toLowerCase() === b.toLowerCase();
const isRetired = (offer: AzureOffer, now: Date) =>
  offer.lifecycleStatus === "Deprecated" || Date.parse(offer.deprecation?.inference ?? "") <= now.getTime();

/** The version to deploy: the one that was named (`model-version`), or the default, or the newest that will stay longest. */
function pickOffer(wanted: string, offers: readonly AzureOffer[], now: Date): AzureOffer | null {
  const usable = offers.filter((offer) => offer.version && !isRetired(offer, now));
  const rank = (offer: AzureOffer) =>
    (offer.isDefaultVersion ? 2 : 0) + (offer.lifecycleStatus === "Deprecating" ? 0 : 1);
  const [best] = usable
    .filter((offer) => same(offer.name, wanted))
    .sort((a, b) => rank(b) - rank(a) || (b.version ?? "").localeCompare(a.version ?? ""));
  return best ?? usable.find((offer) => same(`${offer.name}-${offer.version}`, wanted)) ?? null;
}

export interface PlanInput {
  offers: readonly AzureOffer[];
  pools: Pools;
  /** Units that were planned already, by pool. */
  taken: ReadonlyMap<string, number>;
  deploymentTypes: readonly string[];
  requestsPerMinute: number;
  now: Date;
}

/** How one model can be deployed: the first kind of deployment that has all the capacity, else the one that has most. */
export function planModel(wanted: string, input: PlanInput): PlannedModel | Shortage {
  const offer = pickOffer(wanted, input.offers, input.now);
  if (!offer?.version) return { problem: "unknown", words: `there is no model ${wanted}` };
  const plans: PlannedModel[] = [];
  const full: string[] = [];
  for (const type of input.deploymentTypes) {
    const sku = offer.skus?.find(({ name }) => same(name, type));
    if (!sku) continue;
    const pool = sku.usageName ? input.pools.get(sku.usageName) : undefined;
    const used = (pool?.used ?? 0) + (input.taken.get(sku.usageName ?? "") ?? 0);
    // A pool that Azure does not tell of is Azure's to refuse.
    const free = pool ? Math.max(0, pool.limit - used) : Number.POSITIVE_INFINITY;
    const units = unitsFor(sku, input.requestsPerMinute, free);
    if (!units) {
      full.push(`${used} of ${pool?.limit} units of ${type} are used`);
      continue;
    }
    plans.push({
      deployment: same(offer.name, wanted) ? offer.name : `${offer.name}-${offer.version}`,
      model: offer.name,
      version: offer.version,
      sku: sku.name,
      usageName: sku.usageName ?? null,
      ...units,
      rpmPerUnit: perMinute(sku.rateLimits, "request"),
      tpmPerUnit: perMinute(sku.rateLimits, "token"),
      retiresOn: offer.deprecation?.inference ?? null,
    });
  }
  const share = (plan: PlannedModel) => plan.units / plan.wishedUnits;
  const best = plans.reduce<PlannedModel | null>((a, b) => (a && share(a) >= share(b) ? a : b), null);
  if (best) return best;
  const why = full.length > 0 ? full.join(", ") : `it is not offered as ${input.deploymentTypes.join(" or ")}`;
  return { problem: full.length > 0 ? "full" : "unknown", words: `${wanted}: ${why}` };
}
