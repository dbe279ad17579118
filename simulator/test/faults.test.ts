import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { FaultSpec, RunningVendor } from "../src/core.ts";
import { startCounter, until } from "./counter-vendor.ts";

let counter: RunningVendor;
beforeAll(async () => {
  counter = await startCounter();
});
beforeEach(() => counter.reset());
afterAll(() => counter.close());

const seen = () => (counter.books() as { seen: number }).seen;
const ask = (init?: RequestInit) => fetch(`${counter.url}/things`, { method: "POST", ...init });
const whole = async (init?: RequestInit) => (await ask(init)).json();
const add = (when: FaultSpec["when"], what: FaultSpec["do"], more: Partial<FaultSpec> = {}) =>
  counter.faults.add({ match: {}, when, do: what, ...more });
const lastCall = () => counter.calls().at(-1);
const replacement: FaultSpec["do"] = {
  type: "respond",
  status: 503,
  headers: { "Retry-After": "7" },
  body: { error: "x".repeat(500) },
};

describe("drop", () => {
  it("before: the client gets nothing and the vendor saw nothing", async () => {
    add("before", { type: "drop" });
    await expect(ask()).rejects.toThrow();
    expect(seen()).toBe(0);
    expect(lastCall()).toMatchObject({ status: null, effect: false });
  });

  it("during: the client sees the status, the body breaks off, the effect happened", async () => {
    add("during", { type: "drop" });
    const answer = await ask();
    expect(answer.status).toBe(200);
    await expect(answer.text()).rejects.toThrow();
    expect(seen()).toBe(1);
    expect(lastCall()).toMatchObject({ status: 200, effect: true });
  });

  it("after: the client gets nothing although the effect happened", async () => {
    add("after", { type: "drop" });
    await expect(ask()).rejects.toThrow();
    expect(seen()).toBe(1);
    expect(lastCall()).toMatchObject({ status: null, effect: true });
  });

  it("during an answer without a body: nothing is left to break off, so nothing is sent", async () => {
    add("during", { type: "drop" });
    await expect(fetch(`${counter.url}/empty`)).rejects.toThrow();
  });
});

describe("respond", () => {
  it("before: answers in the vendor's place", async () => {
    add("before", replacement);
    const answer = await ask();
    expect([answer.status, answer.headers.get("retry-after")]).toEqual([503, "7"]);
    expect(seen()).toBe(0);
  });

  it("during: the replacement breaks off, the effect happened", async () => {
    add("during", replacement);
    const answer = await ask();
    expect(answer.status).toBe(503);
    await expect(answer.text()).rejects.toThrow();
    expect(seen()).toBe(1);
  });

  it("after: replaces the answer of an effect that happened", async () => {
    add("after", {
      type: "respond",
      status: 502,
      text: "<html>bad gateway</html>",
      headers: { "content-type": "text/html" },
    });
    const answer = await ask();
    expect([answer.status, answer.headers.get("content-type"), await answer.text()]).toEqual([
      502,
      "text/html",
      "<html>bad gateway</html>",
    ]);
    expect(seen()).toBe(1);
    expect(lastCall()).toMatchObject({ status: 502, effect: true });
  });
});

describe.each(["before", "during", "after"] as const)("delay %s", (when) => {
  it("answers whole, only later", async () => {
    add(when, { type: "delay", ms: 80 });
    const startedAt = performance.now();
    expect(await whole()).toMatchObject({ seen: 1 });
    expect(performance.now() - startedAt).toBeGreaterThan(70);
  });

  it("has no effect, or exactly one, when the client gives up first", async () => {
    const id = add(when, { type: "delay", ms: 60_000 });
    const given = new AbortController();
    const answer = whole({ signal: given.signal });
    await counter.faults.waitForHit(id);
    await until(() => counter.faults.list()[0]?.holding === 1);
    given.abort();
    await expect(answer).rejects.toThrow();
    await until(() => lastCall()?.durationMs !== null);
    expect(seen()).toBe(when === "before" ? 0 : 1);
  });
});

describe.each(["before", "during", "after"] as const)("hang %s", (when) => {
  it("holds until it is released, then answers whole", async () => {
    const id = add(when, { type: "hang" });
    const answer = whole();
    await counter.faults.waitForHit(id);
    await until(() => counter.faults.list()[0]?.holding === 1);
    expect(seen()).toBe(when === "before" ? 0 : 1);
    expect(counter.faults.release(id)).toBe(1);
    expect(await answer).toMatchObject({ seen: 1 });
  });

  it("lets its calls go on when the faults are cleared, and cuts them off at a reset", async () => {
    add(when, { type: "hang" }, { times: 0 });
    const first = whole();
    await until(() => counter.faults.list()[0]?.holding === 1);
    counter.faults.clear();
    expect(await first).toMatchObject({ seen: 1 });

    add(when, { type: "hang" });
    const second = whole();
    await until(() => counter.faults.list()[0]?.holding === 1);
    counter.reset();
    await expect(second).rejects.toThrow();
    expect(seen()).toBe(0);
  });
});

describe("which calls are hit", () => {
  it("hits the first matching call once unless told otherwise", async () => {
    add("before", replacement, { match: { method: "post", path: "^/thi" } });
    expect((await fetch(`${counter.url}/things`)).status).toBe(200);
    expect((await fetch(`${counter.url}/other`, { method: "POST" })).status).toBe(200);
    expect((await ask()).status).toBe(503);
    expect((await ask()).status).toBe(200);
    expect(counter.faults.list()[0]).toMatchObject({ matched: 2, hits: 1 });
  });

  it("starts with the nth matching call and hits as many times as asked", async () => {
    add("before", replacement, { match: { nth: 2 }, times: 2 });
    const statuses = [];
    for (let i = 0; i < 4; i += 1) statuses.push((await ask()).status);
    expect(statuses).toEqual([200, 503, 503, 200]);
  });

  it("goes on without end with times 0", async () => {
    add("before", replacement, { times: 0 });
    for (let i = 0; i < 5; i += 1) expect((await ask()).status).toBe(503);
  });

  it("lets the oldest due fault win while the others keep counting", async () => {
    const first = add("before", replacement);
    const second = add("before", { type: "respond", status: 500 });
    expect((await ask()).status).toBe(503);
    expect((await ask()).status).toBe(500);
    expect(counter.calls().map((call) => call.fault)).toEqual([first, second]);
    expect(counter.faults.list()[1]).toMatchObject({ matched: 2, hits: 1 });
  });

  it("tells a waiter of the hit it waits for, and of a removal", async () => {
    const id = add("before", replacement, { times: 0 });
    const twice = counter.faults.waitForHit(id, 2);
    await ask();
    await ask();
    await twice;
    const never = counter.faults.waitForHit(id, 99);
    counter.faults.clear();
    await expect(never).rejects.toThrow("removed");
    await expect(counter.faults.waitForHit("unknown")).rejects.toThrow("no fault");
  });
});
