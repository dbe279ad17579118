/** The models that the simulated Azure offers, and what one unit of capacity brings for each. */

export interface RateLimit {
  key: "request" | "token";
  renewalPeriod: number;
  count: number;
}

export interface CatalogSku {
  name: string;
  usageName: string;
  capacity: { minimum?: number; maximum: number; step?: number; default: number; allowedValues?: number[] };
  /** For one unit of capacity. */
  rateLimits: RateLimit[];
  /** Units that a subscription has in one region when nothing else is set. */
  quota: number;
}

export interface CatalogModel {
  name: string;
  version: string;
  isDefaultVersion: boolean;
  lifecycleStatus: "GenerallyAvailable" | "Deprecating";
  maxCapacity: number;
  capabilities: Record<string, string>;
  retiresOn: string;
  skus: CatalogSku[];
}

/** Requests come in slices of 10 seconds where a unit brings 6 per minute, and of a minute where it brings 1. */
const perUnit = (requestsPerMinute: 6 | 1, tokensPerMinute: number): RateLimit[] => [
  requestsPerMinute === 6
    ? { key: "request", renewalPeriod: 10, count: 1 }
    : { key: "request", renewalPeriod: 60, count: 1 },
  { key: "token", renewalPeriod: 60, count: tokensPerMinute },
];

interface Choice {
  quota: number;
  capacity?: CatalogSku["capacity"];
}

function model(
  name: string,
  version: string,
  rateLimits: RateLimit[],
  skus: Record<string, Choice>,
  more: Partial<CatalogModel> = {},
): CatalogModel {
  return {
    name,
    version,
    isDefaultVersion: true,
    lifecycleStatus: "GenerallyAvailable",
    maxCapacity: 3,
    capabilities: { chatCompletion: "true", maxContextToken: "128000" },
    retiresOn: "2027-10-01T00:00:00Z",
    skus: Object.entries(skus).map(([sku, { quota, capacity }]) => ({
      name: sku,
      usageName: `OpenAI.${sku}.${name}`,
      capacity: capacity ?? { maximum: 10_000, default: 10 },
      // Provisioned units are bought as throughput and carry no published limits per unit.
      rateLimits: sku.includes("Provisioned") ? [] : rateLimits,
      quota,
    })),
    ...more,
  };
}

const provisioned: Choice = { quota: 300, capacity: { minimum: 15, maximum: 100_000, step: 5, default: 15 } };

/** Four ratios are in it, a model without a request limit, one in two versions, one with few allowed capacities. */
export const CATALOG: readonly CatalogModel[] = [
  model("gpt-4o", "2024-11-20", perUnit(6, 1_000), {
    GlobalStandard: { quota: 450 },
    Standard: { quota: 150 },
    DataZoneStandard: { quota: 300 },
    GlobalProvisionedManaged: provisioned,
  }),
  model(
    "gpt-4o",
    "2024-08-06",
    perUnit(6, 1_000),
    { GlobalStandard: { quota: 450 }, Standard: { quota: 150 } },
    { isDefaultVersion: false, lifecycleStatus: "Deprecating", retiresOn: "2027-03-31T00:00:00Z" },
  ),
  model("gpt-4o-mini", "2024-07-18", perUnit(6, 1_000), {
    GlobalStandard: { quota: 2_000 },
    Standard: { quota: 450 },
    DataZoneStandard: { quota: 1_000 },
  }),
  model("gpt-35-turbo", "0125", perUnit(6, 1_000), { Standard: { quota: 240 } }),
  model("gpt-4.1", "2025-04-14", perUnit(1, 1_000), {
    GlobalStandard: { quota: 1_000 },
    DataZoneStandard: { quota: 300 },
  }),
  model("gpt-4.1-mini", "2025-04-14", perUnit(1, 1_000), { GlobalStandard: { quota: 5_000 } }),
  model("o1", "2024-12-17", perUnit(1, 6_000), { GlobalStandard: { quota: 500 } }),
  model("o3", "2025-04-16", perUnit(1, 1_000), { GlobalStandard: { quota: 1_000 } }),
  model("o4-mini", "2025-04-16", perUnit(1, 1_000), { GlobalStandard: { quota: 1_000 } }),
  model("o3-mini", "2025-01-31", perUnit(1, 10_000), {
    GlobalStandard: {
      quota: 500,
      capacity: { minimum: 1, maximum: 100, default: 10, allowedValues: [1, 5, 10, 20, 50, 100] },
    },
  }),
  model(
    "tts",
    "001",
    [{ key: "token", renewalPeriod: 60, count: 1_000 }],
    { Standard: { quota: 30 } },
    { capabilities: { audio: "true" } },
  ),
];

/** SKUs whose deployments can be paused. */
export const PAUSABLE_SKUS: ReadonlySet<string> = new Set(["Standard", "GlobalStandard", "DataZoneStandard"]);

export const findModel = (name: string, version: string) =>
  CATALOG.find((entry) => entry.name === name && entry.version === version);

/** The limits of a deployment with that many units. */
export const rateLimitsFor = (sku: CatalogSku, capacity: number): RateLimit[] =>
  sku.rateLimits.map((limit) => ({ ...limit, count: limit.count * capacity }));

/** Why a capacity is not one that the SKU offers; `null` when it is. */
export function capacityProblem({ capacity: offer }: CatalogSku, wanted: number): string | null {
  const minimum = offer.minimum ?? 1;
  if (wanted < minimum || wanted > offer.maximum) return `must be between ${minimum} and ${offer.maximum}`;
  if (offer.allowedValues && !offer.allowedValues.includes(wanted)) {
    return `must be one of ${offer.allowedValues.join(", ")}`;
  }
  if (offer.step && (wanted - minimum) % offer.step !== 0) return `must be ${minimum} plus a multiple of ${offer.step}`;
  return null;
}
