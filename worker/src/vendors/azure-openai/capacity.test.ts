import { describe, expect, it } from "vitest";
import { type PlanInput, planModel, unitsFor } from "./capacity.ts";
import { arithmeticOf } from "./limits.ts";
import type { AzureOffer, AzureSku } from "./schemas.ts";

const perMinute = (requests: number, tokens: number) => [
  { key: "request", renewalPeriod: 60, count: requests },
  { key: "token", renewalPeriod: 60, count: tokens },
];
const sku = (over: Partial<AzureSku> = {}): AzureSku => ({
  name: "GlobalStandard",
  usageName: "OpenAI.GlobalStandard.m",
  capacity: { maximum: 1_000 },
  rateLimits: perMinute(1, 1_000),
  ...over,
});
const sixPer10s = [{ key: "request", renewalPeriod: 10, count: 1 }];

describe("units of capacity", () => {
  it.each([
    ["gpt-4o brings 6 requests per unit", sku({ rateLimits: sixPer10s }), 60, 10],
    ["o3 brings 1", sku(), 60, 60],
    ["what does not divide is rounded down", sku({ rateLimits: sixPer10s }), 65, 10],
    ["less than a unit becomes one", sku({ rateLimits: sixPer10s }), 5, 1],
    ["less than the smallest becomes the smallest", sku({ capacity: { minimum: 15, maximum: 100 } }), 5, 15],
    ["more than the largest becomes the largest", sku({ capacity: { maximum: 50 } }), 60, 50],
    ["steps count from the smallest, downwards", sku({ capacity: { minimum: 3, maximum: 100, step: 10 } }), 60, 53],
    [
      "of the allowed values the next lower",
      sku({ capacity: { maximum: 100, allowedValues: [1, 5, 50, 100] } }),
      90,
      50,
    ],
    ["or the lowest of them", sku({ capacity: { maximum: 100, allowedValues: [10, 50] } }), 3, 10],
    ["no request limit: the usual size", sku({ capacity: { default: 7 }, rateLimits: [] }), 60, 7],
    ["no capacity is told", sku({ capacity: null }), 60, 60],
  ])("%s", (_, offered, rpm, units) => {
    expect(unitsFor(offered, rpm, Number.POSITIVE_INFINITY)).toEqual({ units, wishedUnits: units });
  });

  it("take no more than is free, in what can be had", () => {
    expect(unitsFor(sku(), 60, 7)).toEqual({ units: 7, wishedUnits: 60 });
    expect(unitsFor(sku({ capacity: { maximum: 100, allowedValues: [1, 5, 50] } }), 60, 7)).toMatchObject({ units: 5 });
    expect(unitsFor(sku({ capacity: { minimum: 10, maximum: 100 } }), 60, 7)).toBeNull();
    expect(unitsFor(sku(), 60, 0)).toBeNull();
  });
});

const offer = (over: Partial<AzureOffer> = {}): AzureOffer => ({
  name: "m",
  version: "1",
  isDefaultVersion: true,
  lifecycleStatus: "GenerallyAvailable",
  deprecation: { inference: "2027-10-01T00:00:00Z" },
  skus: [sku(), sku({ name: "Standard", usageName: "OpenAI.Standard.m" })],
  ...over,
});
const input = (over: Partial<PlanInput> = {}): PlanInput => ({
  offers: [offer()],
  pools: new Map([
    ["OpenAI.GlobalStandard.m", { used: 440, limit: 450 }],
    ["OpenAI.Standard.m", { used: 0, limit: 100 }],
  ]),
  taken: new Map(),
  deploymentTypes: ["GlobalStandard", "DataZoneStandard", "Standard"],
  requestsPerMinute: 60,
  now: new Date("2026-11-23T00:00:00Z"),
  ...over,
});

describe("planning a model", () => {
  it("prefers the kind of deployment that has all of it, then the operator's order", () => {
    expect(planModel("m", input())).toMatchObject({ sku: "Standard", units: 60 });
    expect(planModel("m", input({ requestsPerMinute: 5 }))).toMatchObject({ sku: "GlobalStandard", units: 5 });
    expect(planModel("M", input({ deploymentTypes: ["GlobalStandard"] }))).toMatchObject({
      deployment: "m",
      units: 10,
    });
  });

  it("counts what was planned before", () => {
    const taken = new Map([["OpenAI.GlobalStandard.m", 10]]);
    expect(planModel("m", input({ taken, deploymentTypes: ["GlobalStandard"] }))).toMatchObject({ problem: "full" });
  });

  it("says how much of a pool is used", () => {
    const pools = new Map([["OpenAI.GlobalStandard.m", { used: 450, limit: 450 }]]);
    expect(planModel("m", input({ pools, deploymentTypes: ["GlobalStandard"] }))).toEqual({
      problem: "full",
      words: "m: 450 of 450 units of GlobalStandard are used",
    });
  });

  it("takes the default version that is not retired, or the one that was named", () => {
    const older = offer({ version: "0", isDefaultVersion: false });
    const retired = offer({ version: "2", deprecation: { inference: "2026-01-01T00:00:00Z" } });
    const offers = [older, retired, offer()];
    expect(planModel("m", input({ offers }))).toMatchObject({ version: "1", deployment: "m" });
    expect(planModel("m-0", input({ offers }))).toMatchObject({ version: "0", deployment: "m-0" });
    expect(planModel("m-2", input({ offers }))).toMatchObject({ problem: "unknown" });
    expect(planModel("n", input({ offers }))).toMatchObject({ problem: "unknown" });
  });

  it("never plans a kind of deployment that bills by the hour", () => {
    const offers = [offer({ skus: [sku({ name: "GlobalProvisionedManaged" })] })];
    expect(planModel("m", input({ offers }))).toMatchObject({ problem: "unknown" });
  });
});

describe("the arithmetic in words", () => {
  const model = {
    deployment: "gpt-4o",
    model: "gpt-4o",
    version: "1",
    sku: "GlobalStandard",
    units: 10,
    rpmPerUnit: 6,
    requestsPerMinute: 60,
    tokensPerMinute: 10_000,
    retiresOn: null,
  };
  it.each([
    [
      60,
      {},
      "gpt-4o: 60 RPM ÷ 6 RPM per unit = 10 → 10 units of GlobalStandard → 60 RPM and 10,000 tokens per minute.",
    ],
    [
      5,
      { units: 1, requestsPerMinute: 6, tokensPerMinute: 1_000 },
      "gpt-4o: 5 RPM ÷ 6 RPM per unit = 0.83 → 1 unit of GlobalStandard, the smallest there is → 6 RPM and 1,000 tokens per minute.",
    ],
    [
      600,
      {},
      "gpt-4o: 600 RPM ÷ 6 RPM per unit = 100 → 10 units of GlobalStandard, all that could be had → 60 RPM and 10,000 tokens per minute.",
    ],
    [
      60,
      { rpmPerUnit: null, requestsPerMinute: null },
      "gpt-4o: Azure has no limit on its requests; 10 units of GlobalStandard and 10,000 tokens per minute.",
    ],
  ])("is shown for %d requests per minute", (rpm, over, words) => {
    expect(arithmeticOf(rpm, { ...model, ...over })).toBe(words);
  });
});
