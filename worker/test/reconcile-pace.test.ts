import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { jobRows } from "@keygate/shared/db/jobs";
import { reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { must } from "@keygate/shared/errors";
import { sql } from "kysely";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { scheduleReconcile } from "../src/processors/reconcile.ts";
import { WaitForVendor } from "../src/saga/wait.ts";
import type { VendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import { withPace } from "../src/vendors/pace.ts";
import { openaiFixture } from "./fixtures/openai.ts";
import { createHarness, type Harness } from "./harness.ts";
import { fastPace, reconcileHand, until } from "./reconcile-support.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

async function startWorld(env: Record<string, string>) {
  const fixture = await openaiFixture.start();
  open.push(fixture);
  const world = await createHarness({ backend: "postgres", settings: fixture.settings, env });
  open.push(world);
  const server = must(fixture.servers[0], "server");
  /** How often an endpoint was called: ids are cut out of paths. */
  const countCalls = (after = 0) =>
    server
      .calls()
      .slice(after)
      .reduce((counts, { method, path }) => {
        const endpoint = `${method} ${path.replace(/\/(proj|svc_acct|key|rl)[_-][^/]+/g, "/*").replace("/v1/organization", "")}`;
        return counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1);
      }, new Map<string, number>());
  return { world, server, countCalls, hand: reconcileHand(world, "openai") };
}

async function startProcess(world: Harness): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "../src/main.ts"), {
    env: { PATH: process.env.PATH, ...world.env },
    stdio: ["ignore", "pipe", "pipe", "ipc"],
  });
  open.push({
    close: async () => {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill("SIGKILL");
        await once(child, "exit");
      }
    },
  });
  for (const stream of [child.stdout, child.stderr]) stream?.on("data", (data) => world.logLines.push(String(data)));
  await once(child, "message");
  return child;
}

describe("the pace of reconcile", () => {
  const call = { method: "GET", url: "http://vendor.test/", endpoint: "GET things", expect: z.unknown() } as const;
  const classify = () => new Error("not asked") as never;
  function httpThat(isIdle: () => boolean) {
    let calls = 0;
    const http: VendorHttp = {
      call: async () => {
        calls += 1;
        return { status: 200, headers: {}, body: undefined as never };
      },
      isIdle,
      close: async () => {},
    };
    return { http, calls: () => calls };
  }

  it("lets at most so many calls through in any minute, and says when the next one may come", async () => {
    let at = 1_000_000;
    const { http, calls } = httpThat(() => true);
    const paced = withPace(http, 3, () => at);
    for (let n = 0; n < 3; n++) {
      await paced.call(call, classify);
      at += 5_000;
    }
    const waiting = await paced.call(call, classify).catch((error: unknown) => error);
    expect(waiting).toBeInstanceOf(WaitForVendor);
    expect((waiting as WaitForVendor).delayMs).toBe(60_000 - 15_000 + 50);
    await paced.call({ ...call, endpoint: "GET others" }, classify);
    at += (waiting as WaitForVendor).delayMs;
    await paced.call(call, classify);
    expect(calls()).toBe(5);
  });

  it("stands back while somebody waits for the endpoint or the vendor has slowed us down", async () => {
    const limiter = createLimiter(60_000);
    const { http, calls } = httpThat(() => limiter.isAtFullSpeed("GET things"));
    const paced = withPace(http, 100);
    await paced.call(call, classify);
    limiter.onThrottled("GET things", undefined);
    await expect(paced.call(call, classify)).rejects.toBeInstanceOf(WaitForVendor);
    expect(calls()).toBe(1);
  });

  it("leaves a person's request its speed: three calls a minute and endpoint, and no worker's place held", async () => {
    const { world, server, countCalls, hand } = await startWorld({ WORKER_CONCURRENCY: "2" });
    const worker = world.start();
    open.push(worker);
    for (let n = 0; n < 5; n++) await hand.key();
    await hand.quiet();
    const before = server.calls().length;
    const jobId = await hand.ask();
    const waiting = await world.settle(jobId, "waiting_for_vendor");
    expect(waiting.waiting?.reason).toContain("leaving the vendor's limits");
    expect(Math.max(...countCalls(before).values())).toBe(3);
    const begun = Date.now();
    await hand.key();
    expect(Date.now() - begun).toBeLessThan(5_000);
    const [run] = await reconcileRunRows(world.deps.db).newest();
    expect(run).toMatchObject({ ended_at: null, resources_seen: 3, job_id: jobId });
    // Asking a waiting job to go on at once does not make it any faster.
    const row = must(await jobRows(world.deps.db).retryNow(jobId), "the job");
    await world.deps.enqueue([row]);
    await world.settle(jobId, "waiting_for_vendor");
    expect((await reconcileRunRows(world.deps.db).newest())[0]).toMatchObject({ resources_seen: 3 });
  });

  it("goes on from its cursor when the worker is killed with SIGKILL in the middle", async () => {
    const { world, server, countCalls, hand } = await startWorld({ ...fastPace, LEASE_SECONDS: "2" });
    const maker = world.start();
    for (let n = 0; n < 6; n++) await hand.key();
    await hand.quiet();
    await maker.close();
    const before = server.calls().length;
    const first = await startProcess(world);
    const fault = server.faults.add({
      match: { method: "GET", path: "/api_keys$", nth: 4 },
      when: "after",
      do: { type: "hang" },
    });
    const jobId = await hand.ask();
    await server.faults.waitForHit(fault);
    first.kill("SIGKILL");
    await once(first, "exit");
    server.faults.clear();
    const [halfway] = await reconcileRunRows(world.deps.db).newest();
    expect(halfway).toMatchObject({ ended_at: null, resources_seen: 3 });

    await startProcess(world);
    await world.settle(jobId, "succeeded");
    const runs = await world.deps.db.selectFrom("reconcile_runs").select(["outcome", "resources_seen"]).execute();
    expect(runs).toEqual([{ outcome: "completed", resources_seen: 7 }]);
    // Six projects of ours and the organization's own: one was looked at twice, and the list was read once.
    const calls = countCalls(before);
    expect(calls.get("GET /projects")).toBe(1);
    expect(calls.get("GET /projects/*/api_keys")).toBe(8);
    expect(await hand.open()).toEqual([]);
  });

  it("is asked for by the schedule once an hour, and by nobody twice at the same time", async () => {
    const { world } = await startWorld(fastPace);
    const { db } = world.deps;
    const count = async () =>
      (await sql<{ n: number }>`select count(*) as n from jobs where kind = 'reconcile'`.execute(db)).rows[0]?.n;
    await scheduleReconcile(world.deps);
    expect(await count()).toBe(0);
    await sql`update vendor_configs set configured_at = now() - interval '61 minutes'`.execute(db);
    await Promise.all([scheduleReconcile(world.deps), scheduleReconcile(world.deps)]);
    expect(await count()).toBe(1);
    await sql`update jobs set state = 'succeeded', finished_at = now() where kind = 'reconcile'`.execute(db);
    await scheduleReconcile(world.deps);
    expect(await count()).toBe(1);
    await until(async () => (await reconcileRunRows(db).due(0)).length === 1, "due when the hour is over");
  });
});
