import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { must } from "@keygate/shared/errors";
import { sql } from "kysely";
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

  it("makes nothing for a key that ended before it was delivered anew, and says so", async () => {
    const asked = await world.provision();
    await world.settle(asked.jobId);
    await world.settle(await world.revoke(asked.keyId));
    const again = must(await jobRows(world.deps.db).reopenForDelivery(asked.jobId), "the job, taken up again");
    await world.deps.enqueue([again]);
    const job = await world.settle(asked.jobId);
    expect([job.state, job.error?.detail]).toEqual(["cancelled", "The key is revoked already."]);
    expect(fixture.leftovers()).toEqual([]);
  });

  it("stops a delivery that waits, when its key is revoked meanwhile", async () => {
    const asked = await world.provision();
    await world.settle(asked.jobId);
    const jobs = jobRows(world.deps.db);
    must(await jobs.reopenForDelivery(asked.jobId), "the job, taken up again");
    await sql`update jobs set state = 'waiting_for_input', run_at = now() + interval '7 days' where id = ${asked.jobId}`.execute(
      world.deps.db,
    );
    const revoke = await world.revoke(asked.keyId);
    expect((await world.settle(asked.jobId)).state).toBe("cancelled");
    expect((await world.settle(revoke)).state).toBe("succeeded");
    expect(await world.statusOf(asked.keyId)).toBe("revoked");
    expect(fixture.liveKeys()).toEqual([]);
    expect(fixture.leftovers()).toEqual([]);
  });
});
