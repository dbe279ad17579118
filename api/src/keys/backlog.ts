import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { KeyGateError } from "@keygate/shared/errors";
import { contractOf } from "./provision-policy.ts";

/** How many keys of a vendor are waited for already; more requests are turned away while that is too many. */
export interface Backlog {
  /** @throws request.throttled, with when to come back. */
  requireRoom(vendor: VendorId): Promise<void>;
}

/**
 * Keys of one vendor that may be in the making at once. At OpenAI's strictest pace that is days of work: whoever asks
 * faster than a vendor makes keys learns it here, not from a queue that has grown beyond every bound.
 */
export const backlogMax = 20_000;
const comeBackMs = 5_000;
/** A count is good for so long, so that a flood of requests costs one look. */
const countLastsMs = 1_000;

/**
 * @param count how many keys of a vendor are in the making, counted up to a bound.
 * @param steadyMs a clock that is never set back.
 */
export function createBacklog(
  count: (vendor: VendorId, upTo: number) => Promise<number>,
  max = backlogMax,
  steadyMs = () => performance.now(),
): Backlog {
  const seen = new Map<VendorId, { at: number; counted: Promise<number> }>();
  const look = (vendor: VendorId): Promise<number> => {
    const last = seen.get(vendor);
    if (last && steadyMs() - last.at < countLastsMs) return last.counted;
    const counted = count(vendor, max);
    seen.set(vendor, { at: steadyMs(), counted });
    // A look that failed is nobody's answer but theirs who asked for it.
    counted.catch(() => seen.delete(vendor));
    return counted;
  };
  return {
    async requireRoom(vendor) {
      if ((await look(vendor)) < max) return;
      throw new KeyGateError("request.throttled", {
        detail: `${max} keys of ${contractOf(vendor).title} are being made already. Revocations are taken all the same.`,
        retryAfterMs: comeBackMs,
      });
    },
  };
}
