import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { endProcess, startWorkerProcess } from "./fault-matrix.ts";
import { type RunningGoogle, startGoogle } from "./fixtures/google-vertex.ts";
import { createHarness, type Harness } from "./harness.ts";

const role = "projects/keygate-sim/roles/keygateVertexCaller";
const stayingCount = 9;
const leavingCount = 9;
const editsMax = 6;

describe("three worker processes and one policy", () => {
  let google: RunningGoogle;
  let world: Harness;
  let workers: Awaited<ReturnType<typeof startWorkerProcess>>[] = [];

  beforeAll(async () => {
    google = await startGoogle();
    // Few at a time for each, so that all of them take part.
    world = await createHarness({ backend: "postgres", settings: google.settings, env: { WORKER_CONCURRENCY: "3" } });
    workers = await Promise.all(Array.from({ length: 3 }, () => startWorkerProcess(world)));
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => endProcess(worker, "SIGTERM")));
    await world.close();
    await google.close();
  });

  /** Holds a write, changes the policy behind its back and lets it go: that write is refused for certain. */
  async function meddle(isOver: Promise<unknown>): Promise<string[]> {
    const { faults, control } = google.main;
    const added: string[] = [];
    for (let n = 0; n < editsMax; n++) {
      const held = faults.add({ match: { path: ":setIamPolicy$" }, when: "before", do: { type: "hang" } });
      const hit = faults.waitForHit(held).then(() => true);
      if (!(await Promise.race([hit, isOver.then(() => false)]))) break;
      const who = `user:colleague-${n}@example.com`;
      const condition = { title: "for a while", expression: 'request.time < timestamp("2031-01-01T00:00:00Z")' };
      await control("edit_policy", {
        add: { role: "roles/viewer", members: [who], ...(n % 2 === 0 ? { condition } : {}) },
      });
      added.push(who);
      // Being hit comes a moment before being held.
      while (faults.release(held) === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    faults.clear();
    return added;
  }

  it("end with exactly the right bindings and all of a stranger's, though writes are refused for each other", async () => {
    const before = google.books().policy;
    const leaving = await Promise.all(Array.from({ length: leavingCount }, () => world.provision()));
    for (const { jobId } of leaving) await world.settle(jobId, "succeeded");
    await Promise.all(leaving.map((asked) => asked.take()));

    const staying = await Promise.all(Array.from({ length: stayingCount }, () => world.provision()));
    const ended = await Promise.all(leaving.map(({ keyId }) => world.revoke(keyId)));
    const all = Promise.all(
      [...staying.map(({ jobId }) => jobId), ...ended].map((jobId) => world.settle(jobId, "succeeded")),
    );
    const added = await meddle(all);
    await all;

    const secrets = await Promise.all(staying.map((asked) => asked.take()));
    const digests = secrets.map((secret) => secret && google.digest(secret));
    expect(google.liveKeys().sort()).toEqual(digests.sort());

    const { policy, accounts } = google.books();
    const standing = accounts.filter(({ is_admin, deleted_at }) => !is_admin && deleted_at === null);
    const ours = policy.bindings.filter((binding) => binding.role === role);
    expect(ours.flatMap(({ members }) => members).sort()).toEqual(
      standing.map(({ email }) => `serviceAccount:${email}`).sort(),
    );
    expect(standing).toHaveLength(stayingCount);
    for (const { members, condition } of ours) {
      expect(members).toHaveLength(1);
      expect(condition?.expression).toMatch(/^request\.time < timestamp\("[^"]+"\)$/);
    }
    expect(added.length).toBeGreaterThan(1);
    const viewers = policy.bindings.filter((binding) => binding.role === "roles/viewer");
    expect(viewers.flatMap(({ members }) => members)).toEqual(expect.arrayContaining(added));
    for (const binding of before.bindings.filter((each) => each.role !== "roles/viewer")) {
      expect(policy.bindings).toContainEqual(binding);
    }
    expect(policy.auditConfigs).toEqual(before.auditConfigs);
    const refused = google.main.calls().filter(({ status }) => status === 409);
    expect(refused.length).toBeGreaterThanOrEqual(added.length);
    expect(google.servers.flatMap((server) => server.violations())).toEqual([]);
  }, 180_000);
});
