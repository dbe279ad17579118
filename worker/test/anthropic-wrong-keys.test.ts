import { must } from "@keygate/shared/errors";
import { describe, expect, it } from "vitest";
import { adminOf, developerOf, fakeSecret, personal, type Stage, waitingJob } from "./anthropic-stage.ts";
import type { World } from "./anthropic-support.ts";

const triedAtVendor = (world: World) => world.server.calls().filter(({ path }) => path === "/v1/models").length;

/** Each case gives back what the person pastes. */
const wrongKeys: { name: string; says: RegExp; tried: boolean; paste(stage: Stage): Promise<string> }[] = [
  { name: "text that is no key", says: /does not look like/, tried: false, paste: async () => "hello, is this a key?" },
  {
    name: "KeyGate's own Admin key",
    says: /is an Admin key/,
    tried: false,
    paste: async ({ world }) => world.fixture.settings.adminKey.reveal(),
  },
  {
    name: "a key that Anthropic does not know",
    says: /does not accept this key/,
    tried: true,
    paste: async () => fakeSecret,
  },
  {
    name: "a key that was cut off",
    says: /does not accept this key/,
    tried: true,
    paste: async ({ world, waiting }) => (await world.makeAskedKey(waiting)).secret.slice(0, -3),
  },
  {
    name: "a disabled key",
    says: /does not accept this key/,
    tried: true,
    async paste({ world, waiting }) {
      const key = await world.makeAskedKey(waiting);
      await world.admin("POST", `/api_keys/${key.id}`, { status: "inactive" });
      return key.secret;
    },
  },
  {
    name: "a key of the default workspace",
    says: /belongs to the workspace wrkspc_/,
    tried: true,
    async paste({ world, waiting }) {
      const other = must(
        world.books().workspaces.find((one) => one.is_default),
        "default workspace",
      );
      return (await world.makeAskedKey(waiting, { workspace_id: other.id })).secret;
    },
  },
  {
    name: "a key without a workspace",
    says: /does not belong to a single workspace/,
    tried: true,
    paste: async ({ world, waiting }) => (await world.makeAskedKey(waiting, { workspace_id: null })).secret,
  },
  {
    name: "the operator's own personal key",
    says: /somebody's personal key/,
    tried: true,
    paste: async ({ world, waiting }) => (await world.makeAskedKey(waiting, personal(adminOf(world)))).secret,
  },
  {
    name: "another person's personal key",
    says: /somebody's personal key/,
    tried: true,
    paste: async ({ world, waiting }) => (await world.makeAskedKey(waiting, personal(developerOf(world)))).secret,
  },
  {
    name: "a key that never expires",
    says: /never expires/,
    tried: true,
    paste: async ({ world, waiting }) => (await world.makeAskedKey(waiting, { expires_at: null })).secret,
  },
  {
    name: "a key that lives longer than was asked",
    says: /must end by/,
    tried: true,
    async paste({ world, waiting, job }) {
      const late = new Date(must(job.key.expiresAt, "expiry").getTime() + 3_600_000).toISOString();
      return (await world.makeAskedKey(waiting, { expires_at: late })).secret;
    },
  },
  {
    name: "a key that was handed over before, by its fingerprint",
    says: /knows this key already/,
    tried: false,
    async paste({ world, waiting }) {
      const { secret } = await world.makeAskedKey(waiting);
      world.tracked.secrets.set(secret, "key-of-somebody-else");
      return secret;
    },
  },
  {
    name: "a key that was handed over before, by its id",
    says: /knows this key already/,
    tried: true,
    async paste({ world, waiting }) {
      const { secret, id } = await world.makeAskedKey(waiting);
      world.tracked.vendorKeyIds.set(id, "key-of-somebody-else");
      return secret;
    },
  },
];

describe("a wrong key", () => {
  for (const { name, says, tried, paste } of wrongKeys) {
    it(`is refused in words, and the job goes on waiting for the right one: ${name}`, async () => {
      const stage = await waitingJob();
      const { world, job, waiting } = stage;
      const text = await paste(stage);
      const again = await job.untilWaiting("provision", text);
      expect(again.refusal).toMatch(says);
      expect(again.refusal).not.toContain(text.slice(20));
      expect(again.waiting).toEqual(waiting.waiting);
      expect(job.delivered).toEqual([]);
      expect(triedAtVendor(world)).toBe(tried ? 1 : 0);

      const right = await world.makeAskedKey(waiting);
      const state = await job.run("provision", right.secret);
      expect(state.keyId).toBe(right.id);
      expect(job.delivered).toEqual([right.secret]);
      expect(world.violations()).toEqual([]);
    });
  }

  it("is refused when it belongs to another organization, whatever the workspace", async () => {
    const { world, job, waiting, workspaceId } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    const headers = { "anthropic-organization-id": "another", "anthropic-workspace-id": workspaceId };
    const body = { data: [] };
    world.server.faults.add({
      match: { path: "/v1/models$" },
      when: "before",
      do: { type: "respond", status: 200, headers, body },
    });
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/another organization/);
    expect(job.delivered).toEqual([]);
  });

  it("is refused when the answer does not say whose it is, although its hint is on the workspace's list", async () => {
    const { world, job, waiting } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    world.server.faults.add({
      match: { path: "/v1/models$" },
      when: "before",
      do: { type: "respond", status: 200, body: { data: [] } },
    });
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/cannot prove/);
    expect(job.delivered).toEqual([]);
  });

  it("is refused when it is older than the job", async () => {
    const { world, job, waiting } = await waitingJob();
    const { secret } = await world.makeAskedKey(waiting);
    job.key.jobCreatedAt = new Date(world.server.now() + 3_600_000);
    expect((await job.untilWaiting("provision", secret)).refusal).toMatch(/older than this job/);
  });

  it("is disabled once the right one is handed over, so that no unknown key stays alive", async () => {
    const { world, job, waiting } = await waitingJob();
    const wrong = await world.makeAskedKey(waiting, personal(adminOf(world)));
    await job.untilWaiting("provision", wrong.secret);
    const right = await world.makeAskedKey(waiting);
    await job.run("provision", right.secret);
    expect(world.books().keys.map(({ id, live }) => [id, live])).toEqual([
      [wrong.id, false],
      [right.id, true],
    ]);
  });
});
