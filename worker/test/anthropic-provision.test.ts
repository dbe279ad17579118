import { must } from "@keygate/shared/errors";
import type { FaultSpec } from "@keygate/simulator/faults";
import { describe, expect, it } from "vitest";
import { persist, startWorld, type World } from "./anthropic-support.ts";

const ourWorkspaces = (world: World) => world.books().workspaces.filter(({ tags }) => tags.keygate !== undefined);
const limitOf = (limits: { limit: string }[], name: string) =>
  must(
    limits.find(({ limit }) => limit === name),
    name,
  );

describe("provisioning at Anthropic", () => {
  it("makes a limited workspace first, and then says exactly what a person has to do", async () => {
    const world = await startWorld();
    const job = world.job({ expiresAt: new Date("2027-05-06T07:08:09Z") });
    const { waiting, refusal } = await job.untilWaiting();

    const [workspace, ...others] = ourWorkspaces(world);
    expect(others).toEqual([]);
    expect(workspace).toMatchObject({
      name: job.key.projectName,
      tags: { keygate: job.key.id, "keygate-job": job.key.jobId },
    });
    // Three model groups, by the entries' ids; batches, token counting and tools stay as they are.
    expect(Object.values(workspace?.rate_limits ?? {})).toEqual(Array(3).fill({ requests_per_minute: 60 }));
    expect(refusal).toBeNull();
    expect(waiting.instructions).toContain(`${job.key.projectName} (${workspace?.id})`);
    expect(waiting.instructions).toContain(`Key name: ${job.key.projectName}-${job.key.id.slice(-8)}`);
    expect(waiting.instructions).toContain("service account's key for this workspace only (recommended)");
    expect(waiting.instructions).toContain("not later than 2027-05-06 07:08 UTC");
    expect(waiting.instructions).toContain("monthly spend limit to 50.00 US dollars at https://platform.claude.com/");
    expect(world.books().keys).toEqual([]);
    expect(world.violations()).toEqual([]);
  });

  it("links to the Console of the real vendor, and to none of the simulated one", async () => {
    const world = await startWorld();
    const real = world.job({}, world.connect({ simulated: false }));
    const { link, instructions } = (await real.untilWaiting()).waiting;
    expect(link).toBe(`https://platform.claude.com/settings/workspaces/${ourWorkspaces(world)[0]?.id}/keys`);
    expect(instructions).not.toContain("_control");
    const simulated = (await world.job().untilWaiting()).waiting;
    expect(simulated.link).toBeNull();
    expect(simulated.instructions).toContain("/_control/vendor/create_key");
  });

  it("hands the key over once it is the right one, under a name of its own, with limits told honestly", async () => {
    const world = await startWorld();
    const job = world.job();
    const key = await world.makeAskedKey(await job.untilWaiting(), { name: "whatever the admin typed" });
    const state = await job.run("provision", key.secret);
    const { vendorRef, limits, instructions } = job.describe(state);

    expect(job.delivered).toEqual([key.secret]);
    expect(vendorRef).toMatchObject({
      keyId: key.id,
      keyKind: "workspace",
      organizationId: world.books().organization.id,
    });
    expect(world.books().keys[0]?.name).toBe(`${job.key.projectName}-${job.key.id.slice(-8)}`);
    expect(limitOf(limits, "budget")).toMatchObject({ enforced_by: "declared", effective: null, requested: 50 });
    expect(limitOf(limits, "budget")).toHaveProperty(
      "fine_print",
      expect.stringContaining(`/${vendorRef.workspaceId}/limits`),
    );
    expect(limitOf(limits, "rate_limit")).toMatchObject({ enforced_by: "vendor", effective: 60 });
    expect(limitOf(limits, "expiry")).toMatchObject({ enforced_by: "vendor" });
    expect(instructions.base_url).toBe(world.server.url);
    expect(JSON.stringify([job.journal.dump(), vendorRef, limits, instructions])).not.toContain(key.secret.slice(20));
    expect(world.violations()).toEqual([]);
  });

  it("enforces the budget at the vendor where spend limits by API are open, and never claims to limit models", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const { job, state } = await world.provisioned({ budgetMicros: 12_345_678, modelsAllowed: ["claude-haiku-4-5"] });
    expect(world.books().spend_limits).toMatchObject([
      { amount: "1234", scope: { type: "workspace", workspace_id: state.workspaceId } },
    ]);
    const { limits } = job.describe(state);
    expect(limitOf(limits, "budget")).toMatchObject({ enforced_by: "vendor", effective: 12.34 });
    expect(limitOf(limits, "models")).toMatchObject({ enforced_by: "none", effective: null });
    const asked = await world.job().untilWaiting();
    expect(asked.waiting.instructions).not.toContain("spend limit");
  });

  it("says that the organization's own rate limit counts where it is lower", async () => {
    const world = await startWorld();
    const { job, state } = await world.provisioned({ rateLimitRpm: 5000 });
    expect(limitOf(job.describe(state).limits, "rate_limit")).toMatchObject({ requested: 5000, effective: 4000 });
  });

  it("fails with the vendor's words, and without anything left, when there are too many workspaces", async () => {
    const world = await startWorld({ workspaces_max: 1 });
    await world.admin("POST", "/workspaces", { name: "theirs" });
    const job = world.job();
    await expect(job.run("provision")).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("limit of active workspaces"),
    });
    await job.undo("provision");
    expect(ourWorkspaces(world)).toEqual([]);
  });
});

const calls = [
  { method: "POST", path: "^/v1/organizations/workspaces$" },
  { method: "GET", path: "/organizations/rate_limits$" },
  { method: "POST", path: "/rate_limits/", nth: 2 },
  { method: "POST", path: "/spend_limits$" },
  { method: "GET", path: "/v1/models$" },
  { method: "GET", path: "/api_keys$" },
  { method: "POST", path: "/api_keys/" },
];
const failures: Pick<FaultSpec, "when" | "do">[] = [
  { when: "before", do: { type: "drop" } },
  { when: "during", do: { type: "drop" } },
  { when: "after", do: { type: "drop" } },
  { when: "after", do: { type: "respond", status: 500, body: {} } },
  { when: "before", do: { type: "respond", status: 529, body: {} } },
  { when: "before", do: { type: "respond", status: 429, headers: { "retry-after": "0" }, body: {} } },
  { when: "after", do: { type: "respond", status: 200, text: "<html>" } },
];

describe("a lost or broken answer", () => {
  for (const match of calls) {
    for (const failure of failures) {
      const what = `${match.method} ${match.path} (${failure.when}: ${failure.do.type} ${"status" in failure.do ? failure.do.status : ""})`;
      it(`leaves one workspace, one live key and no stray: ${what}`, async () => {
        const world = await startWorld({ spend_limits: "enabled" });
        world.server.faults.add({ match, ...failure });
        const job = world.job();
        const waiting = await persist(() => job.untilWaiting());
        const key = await world.makeAskedKey(waiting, { name: "typed by hand" });
        const state = await persist(() => job.run("provision", key.secret));

        expect(world.server.faults.list()[0]?.hits).toBe(1);
        expect(ourWorkspaces(world).filter(({ archived_at }) => archived_at === null)).toHaveLength(1);
        expect(world.books().keys).toMatchObject([
          { id: state.keyId, live: true, name: expect.stringMatching(/^keygate-/) },
        ]);
        expect(job.delivered.at(-1)).toBe(key.secret);
        expect(world.books().spend_limits).toHaveLength(1);
        expect(world.violations()).toEqual([]);
      });
    }
  }

  it("keeps the oldest of several workspaces that carry the job's tag and archives the others", async () => {
    const world = await startWorld();
    const job = world.job();
    const tags = { keygate: job.key.id, "keygate-job": job.key.jobId };
    const oldest = await world.admin("POST", "/workspaces", { name: job.key.projectName, tags });
    world.server.advanceClock(5);
    await world.admin("POST", "/workspaces", { name: job.key.projectName, tags });
    world.server.advanceClock(5);
    world.server.faults.add({ match: { method: "POST", path: "/workspaces$" }, when: "after", do: { type: "drop" } });
    await persist(() => job.untilWaiting());
    expect(ourWorkspaces(world).map(({ id, archived_at }) => [id === oldest.id, archived_at === null])).toEqual([
      [true, true],
      [false, false],
      [false, false],
    ]);
  });
});

describe("undoing at Anthropic", () => {
  it("disables the key that nobody brought, removes the limit and archives the workspace, and may be repeated", async () => {
    const world = await startWorld({ spend_limits: "enabled" });
    const job = world.job();
    await world.makeAskedKey(await job.untilWaiting());
    await job.undo("provision");
    await job.undo("provision");
    expect(world.fixture.liveKeys()).toEqual([]);
    expect(world.fixture.leftovers()).toEqual([]);
    expect(world.books().spend_limits).toEqual([]);
    expect(world.violations()).toEqual([]);
    const events = (world.server.books() as { events: { event: string; status?: string }[] }).events;
    // The key lost its access before the workspace went.
    expect(events.findIndex(({ status }) => status === "inactive")).toBeLessThan(
      events.findIndex(({ event }) => event === "workspace.archived"),
    );
  });

  it("works after the hand-over, too, where spend limits are closed", async () => {
    const world = await startWorld();
    const { job } = await world.provisioned();
    await persist(() => job.undo("provision"));
    expect(world.fixture.liveKeys()).toEqual([]);
    expect(world.fixture.leftovers()).toEqual([]);
  });

  it("finds the workspace whose creation was not answered", async () => {
    const world = await startWorld();
    const job = world.job();
    world.server.faults.add({ match: { method: "POST", path: "/workspaces$" }, when: "after", do: { type: "drop" } });
    await expect(job.run("provision")).rejects.toMatchObject({ kind: "ambiguous" });
    expect(world.fixture.leftovers()).toHaveLength(1);
    await job.undo("provision");
    expect(world.fixture.leftovers()).toEqual([]);
  });

  for (const path of ["/archive$", "/api_keys/", "/api_keys$", "/spend_limits"]) {
    it(`is finished by a later try when ${path} fails`, async () => {
      const world = await startWorld({ spend_limits: "enabled" });
      const job = world.job();
      await world.makeAskedKey(await job.untilWaiting());
      world.server.faults.add({ match: { path }, when: "after", do: { type: "drop" } });
      await persist(() => job.undo("provision"));
      expect(world.fixture.liveKeys()).toEqual([]);
      expect(world.fixture.leftovers()).toEqual([]);
    });
  }

  it("never touches the default workspace, the Claude Code workspace, or those of others", async () => {
    const world = await startWorld();
    for (const name of ["Claude Code", "theirs"]) await world.admin("POST", "/workspaces", { name });
    const defaultId = must(world.books().workspaces.find((one) => one.is_default)?.id, "default workspace");
    const theirs = await world.makeKey({ workspace_id: defaultId });
    const { job } = await world.provisioned();
    await job.undo("provision");
    const open = world.books().workspaces.filter(({ archived_at }) => archived_at === null);
    expect(open.map(({ name }) => name)).toEqual(["Default", "Claude Code", "theirs"]);
    expect(world.books().keys.filter(({ live }) => live)).toMatchObject([{ id: theirs.id }]);
  });
});
