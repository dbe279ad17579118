import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningFixture } from "./fixtures/fixture.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { type Backend, createHarness, type Harness } from "./harness.ts";

describe.each<Backend>(["redis", "postgres"])("the main job on the %s queue", (backend) => {
  let fixture: RunningFixture;
  let world: Harness;
  let worker: { close(): Promise<void> };

  beforeAll(async () => {
    fixture = await openaiFixture.start();
    world = await createHarness({ backend, settings: fixture.settings });
    worker = world.start();
  });
  afterAll(async () => {
    await worker.close();
    await world.close();
    await fixture.close();
  });

  it("provisions a key that the vendor accepts, rotates it, revokes it, and leaves nothing", async () => {
    const first = await world.provision();
    expect((await world.settle(first.jobId)).state).toBe("succeeded");
    const key = must(await keyRows(world.deps.db).find(first.keyId), "key");
    expect(key.status).toBe("active");
    const secret = must(await first.take(), "sealed key");
    expect(await fixture.use(secret, must(key.instructions, "instructions"))).toBe("accepted");
    expect(await first.take()).toBeNull();

    const second = await world.rotate(first.keyId);
    expect((await world.settle(second.jobId)).state).toBe("succeeded");
    expect(await world.statusOf(first.keyId)).toBe("retiring");
    const newer = must(await second.take(), "second key");
    expect(fixture.liveKeys().sort()).toEqual([fixture.digest(secret), fixture.digest(newer)].sort());

    await world.settle(await world.revoke(first.keyId, "rotated"));
    expect(await world.statusOf(first.keyId)).toBe("rotated");
    expect(fixture.liveKeys()).toEqual([fixture.digest(newer)]);

    await world.settle(await world.revoke(second.keyId));
    expect(await world.statusOf(second.keyId)).toBe("revoked");
    expect(fixture.liveKeys()).toEqual([]);
    expect(fixture.leftovers()).toEqual([]);
  });
});
