import { WaitForVendor } from "../saga/wait.ts";
import type { VendorHttp } from "./http.ts";

const windowMs = 60_000;
/** How long to stand back when somebody else needs the endpoint, or the vendor has slowed us down there. */
const standBackMs = 10_000;

/**
 * A way out for calls that nobody waits for: at most so many per minute and endpoint, and none while anybody else waits
 * for a turn there or the vendor has asked us to slow down. It never waits by itself, since that would hold a worker's
 * place: it throws WaitForVendor before anything was sent.
 */
export function withPace(http: VendorHttp, perMinute: number, now: () => number = () => performance.now()): VendorHttp {
  const made = new Map<string, number[]>();

  return {
    async call(call, classify) {
      const at = now();
      const recent = (made.get(call.endpoint) ?? []).filter((time) => time > at - windowMs);
      made.set(call.endpoint, recent);
      const [oldest] = recent;
      if (oldest !== undefined && recent.length >= perMinute) {
        throw new WaitForVendor(oldest + windowMs - at + 50, "leaving the vendor's limits to people's requests");
      }
      if (http.isIdle?.(call.endpoint) === false) {
        throw new WaitForVendor(
          standBackMs * (0.75 + Math.random() / 2),
          "standing back: others need the vendor's limits right now",
        );
      }
      recent.push(at);
      return http.call(call, classify);
    },
    close: async () => {},
  };
}
