import { describe, expect, it } from "vitest";
import { failureOf, startWorld } from "./azure-openai-support.ts";

const accountCount = "OpenAI.S0.AccountCount";
const rateOf = (limits: { limit: string; effective: unknown; enforced_by: string; fine_print: string }[]) =>
  limits.find(({ limit }) => limit === "rate_limit");

describe("limits", () => {
  it.each([
    ["gpt-4o", 60, 10, 60, "60 RPM ÷ 6 RPM per unit = 10"],
    ["o3", 60, 60, 60, "60 RPM ÷ 1 RPM per unit = 60"],
    ["gpt-4o", 5, 1, 6, "the smallest there is → 6 RPM"],
    ["o3-mini", 90, 50, 50, "50 units of GlobalStandard, all that could be had → 50 RPM"],
  ])("turn %s at %d requests per minute into %d units, and say how", async (model, rpm, units, effective, words) => {
    const world = await startWorld();
    const { limits } = await world.provisioned({ modelsAllowed: [model], rateLimitRpm: rpm });
    expect(world.books().deployments).toMatchObject([{ name: model, capacity: units, sku: "GlobalStandard" }]);
    expect(rateOf(limits)).toMatchObject({ effective, enforced_by: "vendor" });
    expect(rateOf(limits)?.fine_print).toContain(words);
  });

  it("do not claim a request limit where Azure has none", async () => {
    const world = await startWorld();
    const { limits } = await world.provisioned({ modelsAllowed: ["tts"] });
    expect(rateOf(limits)).toMatchObject({ effective: null, enforced_by: "none" });
  });

  it("say who enforces what, and when a model retires before its key", async () => {
    const world = await startWorld();
    const { limits } = await world.provisioned({ expiresAt: new Date("2028-01-01T00:00:00Z") });
    expect(limits.map(({ limit, enforced_by }) => [limit, enforced_by])).toEqual([
      ["budget", "none"],
      ["rate_limit", "vendor"],
      ["models", "vendor"],
      ["expiry", "keygate"],
    ]);
    expect(limits[2]?.fine_print).toContain("retires on 2027-10-01). A model retires before the key expires.");
  });

  it("are in force when the key is handed over", async () => {
    const world = await startWorld();
    await world.provisioned({ modelsAllowed: ["gpt-4o", "o3"] });
    const order = world.arm.calls().filter(({ method }) => method === "PUT" || method === "POST");
    expect(order.map(({ method, path }) => `${method} ${path.split("/").at(-1)}`).slice(1)).toEqual([
      "PUT gpt-4o",
      "PUT o3",
      "POST listKeys",
    ]);
  });
});

describe("the place of a key", () => {
  it.each([
    ["accounts", { quota_limits: { [`swedencentral/${accountCount}`]: 0 } }],
    ["capacity", { quota_limits: { "swedencentral/OpenAI.GlobalStandard.o3": 59 } }],
  ])("is the first location that has enough %s", async (_, settings) => {
    const world = await startWorld(settings);
    await world.provisioned({ modelsAllowed: ["o3"] });
    expect(world.books().accounts).toMatchObject([{ location: "eastus2" }]);
  });

  it("is one with less where none has all, and the report says so", async () => {
    const world = await startWorld({ quota_limits: { "OpenAI.GlobalStandard.o3": 7 } });
    const { limits } = await world.provisioned({ modelsAllowed: ["o3"] });
    expect(world.books().accounts).toMatchObject([{ location: "swedencentral" }]);
    expect(rateOf(limits)).toMatchObject({ effective: 7 });
    expect(rateOf(limits)?.fine_print).toContain("7 units of GlobalStandard, all that could be had");
  });

  it.each([
    ["accounts", { quota_limits: { [accountCount]: 30 }, quota_occupied: { [accountCount]: 30 } }, "30 of 30 accounts"],
    ["capacity", { quota_limits: { "OpenAI.GlobalStandard.o3": 0 } }, "0 of 0 units of GlobalStandard"],
  ])("is refused with the numbers before anything is made when no location has %s", async (_, settings, words) => {
    const world = await startWorld(settings);
    const failure = await failureOf(world.job({ modelsAllowed: ["o3"] }).run("provision"));
    expect(failure).toMatchObject({ kind: "permanent", nothingHappened: true });
    expect(failure.detail).toContain(`in swedencentral ${words.startsWith("30") ? words : `o3: ${words}`}`);
    expect(failure.detail).toContain("in westeurope");
    expect(world.arm.calls().filter(({ method }) => method !== "GET")).toEqual([]);
  });

  it("is refused in words for a model that is not offered, and for more models than an account holds", async () => {
    const world = await startWorld();
    const unknown = await failureOf(world.job({ modelsAllowed: ["gpt-4o", "gpt-99"] }).run("provision"));
    expect(unknown.code).toBe("vendor.limits_unsupported");
    expect(unknown.detail).toContain("there is no model gpt-99");
    const many = Array.from({ length: 33 }, (_, i) => `model-${i}`);
    const tooMany = await failureOf(world.job({ modelsAllowed: many }).run("provision"));
    expect(tooMany.detail).toContain("at most 32 deployments; 33 models");
  });

  it("is another location when others took the last account meanwhile", async () => {
    const world = await startWorld();
    world.arm.faults.add({
      match: { method: "PUT", path: "/accounts/" },
      when: "before",
      do: { type: "respond", status: 400, body: { error: { code: "InsufficientQuota", message: "full" } } },
    });
    const { use, vendorRef } = await world.provisioned();
    expect(vendorRef.account?.location).toBe("eastus2");
    expect(await use()).toBe("accepted");
  });

  it("says used and limit when others took the capacity meanwhile, and leaves nothing", async () => {
    const world = await startWorld();
    const job = world.job();
    world.arm.faults.add({
      match: { method: "PUT", path: "/deployments/" },
      when: "before",
      do: { type: "respond", status: 400, body: { error: { code: "InsufficientQuota", message: "full" } } },
    });
    expect((await failureOf(job.run("provision"))).detail).toContain("0 of 450 units are used, 10 were asked for");
    await job.undo("provision");
    expect(world.leftovers()).toEqual([]);
  });

  it("does not put again what is right, since that can fail when a pool is overbooked", async () => {
    const world = await startWorld({ deploy_ms: 5_000 });
    const { job } = await world.provisioned();
    world.arm.mergeSettings({ quota_limits: { "OpenAI.GlobalStandard.gpt-4o": 1 } });
    await job.journal.reopen(["deploy-models"]);
    await job.run("provision");
    const puts = world.arm.calls().filter(({ method, path }) => method === "PUT" && path.includes("/deployments/"));
    expect(puts).toHaveLength(1);
  });

  it("keeps to the kinds of deployment that the operator allows, and to spellings of locations that people use", async () => {
    const world = await startWorld();
    const client = world.connect({ deployment_types: "Standard", location: ["West Europe"] });
    await world.job({}, client).run("provision");
    expect(world.books().deployments).toMatchObject([{ sku: "Standard" }]);
    expect(world.books().accounts).toMatchObject([{ location: "westeurope" }]);
  });

  it("skips a location that Azure does not know, and names it when there is no other", async () => {
    const world = await startWorld();
    await world.job({}, world.connect({ location: "atlantis,eastus2" })).run("provision");
    expect(world.books().accounts).toMatchObject([{ location: "eastus2" }]);
    const failure = await failureOf(world.job({}, world.connect({ location: "atlantis" })).run("provision"));
    expect(failure.detail).toContain("in atlantis it offers no Azure OpenAI");
  });
});
