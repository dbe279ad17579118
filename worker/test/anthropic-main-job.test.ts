import { jobInputContext } from "@keygate/shared/db/job-inputs";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anthropicFixture } from "./fixtures/anthropic.ts";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { type Asked, createHarness, type Harness } from "./harness.ts";

describe("the main job at Anthropic, with a person in the middle", () => {
  let fixture: RunningFixture;
  let world: Harness;
  let worker: { close(): Promise<void> };

  beforeAll(async () => {
    fixture = await anthropicFixture.start();
    world = await createHarness({ backend: "postgres", settings: fixture.settings });
    worker = world.start();
  });
  afterAll(async () => {
    await worker.close();
    await world.close();
    await fixture.close();
  });

  /** As `POST /jobs/{id}/input` does. */
  async function give({ jobId }: Asked, text: string): Promise<void> {
    const sealed = world.deps.keyring.seal(new Secret(text), jobInputContext(jobId));
    await world.deps.enqueue([must(await jobRows(world.deps.db).giveInput(jobId, sealed), "waiting job")]);
  }

  async function makeByHand(asked: Asked): Promise<string> {
    const job = await world.settle(asked.jobId, "waiting_for_input");
    const instructions = must(job.waiting, "what it waits for").instructions;
    return must(fixture.makeKeyByHand, "makeKeyByHand")({ instructions, state: {} });
  }

  it("refuses a wrong key in words, hands the right one over, rotates, revokes, and leaves nothing", async () => {
    const first = await world.provision();
    const right = await makeByHand(first);
    await give(first, "sk-ant-api03-nonsense");
    const refused = await world.settle(first.jobId, "waiting_for_input");
    expect(refused.error).toMatchObject({ code: "job.input_refused", detail: expect.stringContaining("look like") });
    await give(first, right);
    expect((await world.settle(first.jobId)).state).toBe("succeeded");
    expect(must(await first.take(), "sealed key").reveal()).toBe(right);
    const key = must(await keyRows(world.deps.db).find(first.keyId), "key");
    expect(await fixture.use(new Secret(right), must(key.instructions, "instructions"))).toBe("accepted");

    const second = await world.rotate(first.keyId);
    const next = await makeByHand(second);
    await give(second, right);
    const again = await world.settle(second.jobId, "waiting_for_input");
    expect(again.error).toMatchObject({ detail: expect.stringContaining("knows this key already") });
    await give(second, next);
    expect((await world.settle(second.jobId)).state).toBe("succeeded");
    expect(fixture.liveKeys().sort()).toEqual([right, next].map((text) => fixture.digest(new Secret(text))).sort());

    await world.settle(await world.revoke(first.keyId, "rotated"));
    expect(fixture.liveKeys()).toEqual([fixture.digest(new Secret(next))]);
    await world.settle(await world.revoke(second.keyId));
    expect(await world.statusOf(second.keyId)).toBe("revoked");
    expect(fixture.liveKeys()).toEqual([]);
    expect(fixture.leftovers()).toEqual([]);
    for (const text of [right, next]) expect(world.logLines.join("")).not.toContain(text.slice(16));
  });
});
