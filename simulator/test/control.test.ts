import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { type RunningVendor, startVendorServer } from "../src/core.ts";
import { counterVendor, startCounter, until } from "./counter-vendor.ts";

let counter: RunningVendor;
beforeAll(async () => {
  counter = await startCounter();
});
beforeEach(() => counter.reset());
afterAll(() => counter.close());

async function control(method: string, path: string, body?: unknown) {
  const answer = await fetch(`${counter.url}/_control/${path}`, {
    method,
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}
const call = (path: string, init?: RequestInit) => fetch(`${counter.url}${path}`, init);

describe("control over HTTP", () => {
  it("adds, lists, releases and removes faults", async () => {
    const { body } = await control("POST", "faults", { match: { path: "^/x" }, when: "before", do: { type: "hang" } });
    const answer = call("/x");
    await counter.faults.waitForHit(String(body.id));
    await until(() => counter.faults.list()[0]?.holding === 1);
    expect((await control("GET", "faults")).body).toMatchObject({ faults: [{ id: body.id, hits: 1, holding: 1 }] });
    expect((await control("POST", `faults/${body.id}/release`)).body).toEqual({ released: 1 });
    expect((await answer).status).toBe(200);
    await control("DELETE", "faults");
    expect((await control("GET", "faults")).body).toEqual({ faults: [] });
    expect((await control("POST", `faults/${body.id}/release`)).status).toBe(404);
  });

  it.each([
    ["an unknown field", { match: {}, when: "before", do: { type: "drop" }, extra: 1 }],
    ["an unknown kind", { match: {}, when: "before", do: { type: "explode" } }],
    ["a field of another kind", { match: {}, when: "before", do: { type: "drop", ms: 1 } }],
    ["a bad regular expression", { match: { path: "(" }, when: "before", do: { type: "drop" } }],
    ["a nothing", undefined],
    ["a body that is not JSON", "{"],
  ])("refuses a fault with %s", async (_, spec) => {
    expect((await control("POST", "faults", spec)).status).toBe(400);
    expect(counter.faults.list()).toEqual([]);
  });

  it("refuses a second fault of the same id", async () => {
    const spec = { id: "one", match: {}, when: "before", do: { type: "drop" } };
    expect((await control("POST", "faults", spec)).body).toEqual({ id: "one" });
    expect((await control("POST", "faults", spec)).status).toBe(400);
  });

  it("answers 404 to control calls that do not exist", async () => {
    expect((await control("GET", "nothing")).status).toBe(404);
    expect((await control("PUT", "faults", {})).status).toBe(404);
    expect((await control("POST", "vendor/unknown", {})).status).toBe(404);
  });

  it("passes vendor actions on", async () => {
    expect((await control("POST", "vendor/echo", { a: 1 })).body).toEqual({ a: 1 });
  });

  it("merges settings and refuses unknown or bad ones", async () => {
    expect((await control("POST", "settings", { step: 5 })).body).toEqual({ settings: { step: 5, label: "count" } });
    expect((await control("POST", "settings", { label: "l" })).body).toEqual({ settings: { step: 5, label: "l" } });
    expect((await control("POST", "settings", { steps: 5 })).status).toBe(400);
    expect((await control("POST", "settings", { step: 0 })).status).toBe(400);
    await call("/x");
    expect((await control("GET", "books")).body).toEqual({ seen: 5 });
  });

  it("moves the clock forward only", async () => {
    const before = counter.now();
    const { body } = await control("POST", "clock", { advance_ms: 3_600_000 });
    expect(Number(body.now) - before).toBeGreaterThanOrEqual(3_600_000);
    expect((await control("POST", "clock", { advance_ms: -1 })).status).toBe(400);
  });

  it("resets the vendor, the clock, the settings, the faults and the logs", async () => {
    await control("POST", "settings", { step: 5 });
    await control("POST", "clock", { advance_ms: 86_400_000 });
    await call("/bad");
    await control("POST", "faults", { match: {}, when: "before", do: { type: "drop" }, times: 0 });
    await control("POST", "reset");
    expect(counter.books()).toEqual({ seen: 0 });
    expect(counter.settings()).toEqual({ step: 1, label: "count" });
    expect(Math.abs(counter.now() - Date.now())).toBeLessThan(10_000);
    expect([counter.calls(), counter.violations(), counter.faults.list()]).toEqual([[], [], []]);
  });

  it("is never hit by a fault and never logged as a call", async () => {
    await control("POST", "faults", { match: {}, when: "before", do: { type: "drop" }, times: 0 });
    expect((await control("GET", "calls")).body).toEqual({ calls: [] });
    expect(counter.faults.list()[0]).toMatchObject({ matched: 0, hits: 0 });
  });
});

describe("the log of calls", () => {
  it("tells order, outcome and duration, and nothing to log in with", async () => {
    await call("/a?limit=2&key=SECRET-1&tag[]=x&tag[]=y", {
      method: "POST",
      headers: { authorization: "Bearer SECRET-2" },
      body: JSON.stringify({ client_secret: "SECRET-3" }),
    });
    await call("/b");
    const { body } = await control("GET", "calls");
    expect(body.calls).toMatchObject([
      {
        n: 1,
        method: "POST",
        path: "/a",
        query: { limit: "2", key: "[secret]", "tag[]": "x,y" },
        status: 200,
        effect: true,
      },
      { n: 2, method: "GET", path: "/b", status: 200, effect: true },
    ]);
    expect(JSON.stringify(body)).not.toContain("SECRET");
  });

  it("files violations under the call they were found in", async () => {
    await call("/good");
    await call("/bad");
    expect((await control("GET", "violations")).body.violations).toMatchObject([
      { n: 2, method: "GET", path: "/bad", reason: "asked for /bad" },
    ]);
  });

  it("files the simulator's own mistakes where tests look for them", async () => {
    const quiet = vi.spyOn(console, "error").mockImplementation(() => {});
    expect((await call("/bug")).status).toBe(500);
    expect(counter.violations()[0]?.reason).toContain("on purpose");
    quiet.mockRestore();
  });
});

describe("the server", () => {
  it("listens on loopback only", async () => {
    await expect(startVendorServer(counterVendor(), { host: "0.0.0.0" })).rejects.toThrow("loopback");
  });

  it("says so when its port is taken", async () => {
    await expect(startVendorServer(counterVendor(), { port: counter.port })).rejects.toThrow("EADDRINUSE");
  });

  it("closes at once, idle connections and held calls included", async () => {
    const other = await startCounter();
    await fetch(other.url);
    const id = other.faults.add({ match: {}, when: "after", do: { type: "hang" } });
    const held = fetch(other.url);
    const outcome = expect(held).rejects.toThrow();
    await other.faults.waitForHit(id);
    await other.close();
    await outcome;
    await expect(fetch(other.url)).rejects.toThrow();
  });

  it("serves many calls over one kept connection", async () => {
    for (let i = 0; i < 50; i += 1)
      expect((await call("/x").then((answer) => answer.json())) as object).toMatchObject({ seen: i + 1 });
  });
});
