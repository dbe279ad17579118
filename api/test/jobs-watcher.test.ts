import { jobRows } from "@keygate/shared/db/jobs";
import { newId } from "@keygate/shared/ids";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createJobWatcher, type JobGlance } from "../src/jobs/job-watcher.ts";
import { issueKey, putJobBack, until } from "./fake-worker.ts";
import { type ApiHarness, createApiHarness } from "./harness.ts";
import { askForKey } from "./keys-support.ts";

let api: ApiHarness;
beforeAll(async () => {
  api = await createApiHarness();
  await api.storeVendor();
});
afterAll(() => api?.close());

const ended = (job: JobGlance) => job.state === "succeeded";

/** A watcher whose looks are counted, and fail while `isAway`. */
function countingWatcher() {
  const looks = { count: 0, isAway: false };
  const db = new Proxy(api.deps.db, {
    get(target, name) {
      if (name === "selectFrom") {
        looks.count++;
        if (looks.isAway) throw new Error("Connection terminated unexpectedly");
      }
      const member = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
  return { looks, watcher: createJobWatcher(db, api.deps.log) };
}

describe("the job watcher", () => {
  test("asks once for everybody who waits, and not at all when nobody does", async () => {
    const { looks, watcher } = countingWatcher();
    const { body } = await askForKey(api);
    const other = await askForKey(api);
    const waits = Array.from({ length: 200 }, (_, i) =>
      watcher.waitFor(i % 2 ? body.job_id : other.body.job_id, ended, 20_000),
    );
    const startedAt = performance.now();
    await Promise.all([issueKey(api.deps, body.job_id), issueKey(api.deps, other.body.job_id)]);
    const seen = await Promise.all(waits);
    expect(seen.every((job) => job?.state === "succeeded")).toBe(true);
    expect(looks.count).toBeLessThan((performance.now() - startedAt) / 20 + 3);
    const { count } = looks;
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(looks.count).toBe(count);
    await watcher.close();
  });

  test("ends a wait with null when its time is over, its caller has gone, or the watcher closes", async () => {
    const { watcher } = countingWatcher();
    const { body } = await askForKey(api);
    expect(await watcher.waitFor(body.job_id, ended, 60)).toBeNull();
    expect(await watcher.waitFor(newId("job"), () => true, 60)).toBeNull();
    const gone = new AbortController();
    const abandoned = watcher.waitFor(body.job_id, ended, 20_000, gone.signal);
    gone.abort();
    expect(await abandoned).toBeNull();
    expect(await watcher.waitFor(body.job_id, ended, 20_000, gone.signal)).toBeNull();
    const open = watcher.waitFor(body.job_id, ended, 20_000);
    const onClose = vi.fn();
    watcher.subscribe(body.job_id, () => {}, onClose);
    await watcher.close();
    expect(await open).toBeNull();
    expect(onClose).toHaveBeenCalledOnce();
    expect(await watcher.waitFor(body.job_id, ended, 20_000)).toBeNull();
  });

  test("goes on when the database is back", async () => {
    const { looks, watcher } = countingWatcher();
    const { body } = await askForKey(api);
    looks.isAway = true;
    const wait = watcher.waitFor(body.job_id, ended, 20_000);
    await until(async () => looks.count > 0, "a failing look");
    await issueKey(api.deps, body.job_id);
    looks.isAway = false;
    expect((await wait)?.state).toBe("succeeded");
    await watcher.close();
  });

  test("tells listeners each change once, and one that throws harms nobody else", async () => {
    const { watcher } = countingWatcher();
    const { body } = await askForKey(api);
    const states: string[] = [];
    watcher.subscribe(body.job_id, () => {
      throw new Error("mine");
    });
    const unsubscribe = watcher.subscribe(body.job_id, (job) => states.push(job.state));
    await until(async () => states.length === 1, "the first look");
    await putJobBack(api.deps, body.job_id, "waiting_for_vendor");
    await until(async () => states.at(-1) === "waiting_for_vendor", "the change");
    unsubscribe();
    await jobRows(api.deps.db).retryNow(body.job_id);
    expect(await watcher.waitFor(body.job_id, (job) => job.state === "queued", 5_000)).not.toBeNull();
    expect(states).not.toContain(undefined);
    expect(new Set(states).size).toBe(states.length);
    expect(states.at(-1)).toBe("waiting_for_vendor");
    await watcher.close();
  });
});

test("holds no database connection for callers who wait", async () => {
  const small = await createApiHarness({ env: { DATABASE_POOL_MAX: "2" } });
  try {
    await small.storeVendor();
    const gone = new AbortController();
    const waits = Array.from({ length: 20 }, () =>
      askForKey(small, {}, { headers: { prefer: "wait=60" }, signal: gone.signal }).catch(() => null),
    );
    const count = async () => (await small.call("GET", "/jobs?status=queued")).body.length === 20;
    await until(count, "all of the jobs");
    const startedAt = performance.now();
    expect((await small.call("GET", "/keys?status=all")).body).toHaveLength(20);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    gone.abort();
    await Promise.all(waits);
  } finally {
    await small.close();
  }
});
