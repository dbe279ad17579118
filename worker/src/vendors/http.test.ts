import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { KeyGateError } from "@keygate/shared/errors";
import { describe, expect, it, onTestFinished } from "vitest";
import { z } from "zod";
import { createLeaseWatch, underLease } from "../lease-watch.ts";
import { createBreaker } from "./breaker.ts";
import { createVendorHttp, type VendorCall } from "./http.ts";
import type { Limiter } from "./limiter.ts";

/** A vendor that counts the calls which reach it, with everything around it under the test's control. */
async function setUp() {
  let reached = 0;
  const server = createServer((_req, res) => {
    reached += 1;
    res.setHeader("content-type", "application/json").end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const clock = { ms: 0 };
  const pace = { waitMs: 0 };
  const breaker = createBreaker(() => clock.ms);
  const limiter: Limiter = {
    reserve: () => pace.waitMs,
    onSuccess: () => {},
    onThrottled: () => 0,
    isAtFullSpeed: () => true,
  };
  const http = createVendorHttp({ timeoutMs: 1_000, breaker, limiter });
  onTestFinished(async () => {
    await http.close();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const call: VendorCall<unknown> = {
    method: "POST",
    url: `http://127.0.0.1:${port}/projects`,
    endpoint: "POST projects",
    expect: z.unknown(),
  };
  const make = () => http.call(call, () => new KeyGateError("vendor.refused"));
  return { make, breaker, clock, pace, reached: () => reached };
}

describe("a call to a vendor", () => {
  it("is not made by a worker whose lease is over", async () => {
    const { make, reached } = await setUp();
    const over = createLeaseWatch(1_000, { wallMs: 0, steadyMs: -10_000 });
    await expect(underLease(over, make)).rejects.toMatchObject({ code: "job.lease_lost" });
    expect(reached()).toBe(0);
  });

  it("closes the breaker again, also when the try before it was never made for want of a turn", async () => {
    const { make, breaker, clock, pace, reached } = await setUp();
    for (let n = 0; n < 6; n++) breaker.onFailure();
    await expect(make()).rejects.toMatchObject({ code: "vendor.unavailable" });
    clock.ms = 60_000;
    pace.waitMs = 3_600_000;
    await expect(make()).rejects.toMatchObject({ code: "vendor.throttled" });
    pace.waitMs = 0;
    await make();
    expect(reached()).toBe(1);
    expect(breaker.blockedForMs()).toBe(0);
  });
});
