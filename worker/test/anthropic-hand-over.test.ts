import { must } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { keyNameFor } from "../src/vendors/anthropic/instructions.ts";
import { adminOf, developerOf, fakeSecret, personal, waitingJob } from "./anthropic-stage.ts";
import type { Job, World } from "./anthropic-support.ts";

/** @param times 0 = from now on. */
const listKeysWith = (world: World, data: unknown[], times = 1) =>
  world.server.faults.add({
    match: { method: "GET", path: "/api_keys$" },
    times,
    when: "before",
    do: { type: "respond", status: 200, body: { data, has_more: false, first_id: null, last_id: null } },
  });

describe("several keys that could be the one", () => {
  const listed = (job: Job, workspaceId: string, over: Record<string, unknown>) => ({
    id: "apikey_a",
    name: keyNameFor(job.key),
    status: "active",
    partial_key_hint: null,
    created_at: job.key.jobCreatedAt.toISOString(),
    expires_at: job.key.expiresAt?.toISOString(),
    principal: null,
    scope: { type: "workspace", workspace_id: workspaceId },
    ...over,
  });

  it("are told apart by their hints", async () => {
    const { world, job, waiting } = await waitingJob();
    const keys = [
      await world.makeAskedKey(waiting),
      await world.makeAskedKey(waiting),
      await world.makeAskedKey(waiting),
    ];
    const state = await job.run("provision", must(keys[1], "key").secret);
    expect(state.keyId).toBe(keys[1]?.id);
  });

  it("are asked about when no hint tells them apart", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    listKeysWith(world, [listed(job, workspaceId, {}), listed(job, workspaceId, { id: "apikey_b" })]);
    const { refusal } = await job.untilWaiting("provision", secret);
    expect(refusal).toMatch(/Several keys .* \(apikey_a\), .* \(apikey_b\)/);
    expect(job.delivered).toEqual([]);
  });

  it("do not include one without a hint that bears another name, or that was deleted", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    const others = [listed(job, workspaceId, { name: "another" }), listed(job, workspaceId, { status: "archived" })];
    listKeysWith(world, others, 0);
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/does not show the key/);
    world.server.faults.clear();
    listKeysWith(world, [listed(job, workspaceId, { name: "another" }), listed(job, workspaceId, { id: "apikey_b" })]);
    expect(await job.run("provision", secret)).toMatchObject({ keyId: "apikey_b" });
  });

  it("do not include a key of the whole organization, even when the list shows one", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    listKeysWith(world, [listed(job, workspaceId, { scope: { type: "organization" } })], 0);
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/does not show the key/);
  });

  it("do not include one whose owner is of a kind that nobody knows yet", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    listKeysWith(world, [listed(job, workspaceId, { principal: { type: "robot_actor", robot_id: "r2" } })]);
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(
      /owner of the key that KeyGate does not know/,
    );
  });
});

describe("the right key", () => {
  it("may be a service account's", async () => {
    const { world, job, waiting } = await waitingJob();
    const principal = { type: "service_account_actor", service_account_id: "svac_1" };
    const state = await job.run("provision", (await world.makeAskedKey(waiting, { principal })).secret);
    expect(state.keyKind).toBe("service_account");
  });

  it("may be the developer's own, known by e-mail, unless the developer is an admin", async () => {
    const { world, job, waiting } = await waitingJob({ developerEmail: "Dev@Simulated.example" });
    const { secret } = await world.makeAskedKey(waiting, personal(developerOf(world)));
    expect(await job.run("provision", secret)).toMatchObject({ keyKind: "personal" });

    const admins = world.job({ developerEmail: "admin@simulated.example" });
    const theirs = await world.makeAskedKey(await admins.untilWaiting(), personal(adminOf(world)));
    expect((await admins.untilWaiting("provision", theirs.secret)).refusal).toMatch(/personal key/);
  });

  it("may end earlier than asked, which the report says", async () => {
    const { world, job, waiting } = await waitingJob();
    const expires_at = new Date(world.server.now() + 86_400_000).toISOString();
    const state = await job.run("provision", (await world.makeAskedKey(waiting, { expires_at })).secret);
    const expiry = job.describe(state).limits.find(({ limit }) => limit === "expiry");
    expect(Date.parse(String(expiry?.effective))).toBe(Date.parse(expires_at));
    expect(expiry?.fine_print).toContain("earlier end");
  });

  it.each([
    [529, "retryable"],
    [503, "retryable"],
    [429, "rate_limited"],
  ])("is not refused for the vendor's trouble (%d): the same input works later", async (status, kind) => {
    const { world, job, waiting } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    const headers = { "retry-after": "0" };
    world.server.faults.add({
      match: { path: "/v1/models$" },
      when: "before",
      do: { type: "respond", status, headers, body: {} },
    });
    await expect(job.run("provision", secret)).rejects.toMatchObject({ kind });
    await job.run("provision", secret);
    expect(job.delivered).toEqual([secret]);
  });

  it("waits for a working Admin key when ours is refused meanwhile, and does not blame the given one", async () => {
    const { world, job, waiting } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    await world.server.control("set_admin", { refused: true });
    await expect(job.run("provision", secret)).rejects.toMatchObject({ kind: "credentials" });
    await world.server.control("set_admin", { refused: false });
    await job.run("provision", secret);
    expect(job.delivered).toEqual([secret]);
  });

  it("can be given again when the sealed one was lost, and so can a new one, which replaces it", async () => {
    const { world, job, waiting } = await waitingJob();
    const first = await world.makeAskedKey(waiting);
    job.track(await job.run("provision", first.secret));
    await job.journal.reopen(["await-key"]);
    await job.untilWaiting();
    expect(await job.run("provision", first.secret)).toMatchObject({ keyId: first.id });

    await job.journal.reopen(["await-key"]);
    const second = await world.makeAskedKey(await job.untilWaiting());
    expect(await job.run("provision", second.secret)).toMatchObject({ keyId: second.id });
    expect(world.fixture.liveKeys()).toHaveLength(1);
  });
});

describe("waiting", () => {
  it("ends when somebody archived the workspace, since no key can come any more", async () => {
    const { world, job, workspaceId } = await waitingJob();
    await world.admin("POST", `/workspaces/${workspaceId}/archive`);
    await expect(job.run("provision", fakeSecret)).rejects.toMatchObject({
      code: "vendor.refused",
      detail: expect.stringContaining("was archived"),
    });
  });

  it("ends when the key's own time is over", async () => {
    const { world, job } = await waitingJob();
    world.server.advanceClock(91 * 86_400_000);
    await expect(job.run("provision")).rejects.toMatchObject({ detail: expect.stringContaining("expiry passed") });
  });
});
