import { KeyGateError } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { isArmCode, isGone, isStatus } from "./errors.ts";
import type { Ctx } from "./state.ts";

/** A creation is given up after 15 minutes; what blocks an account for even longer is no matter of waiting any more. */
export const blockedMaxMs = 20 * 60_000;
// A new account may say "Succeeded" and then, for a while, refuse what is put below it, or not be found there.
const earlySucceededMaxMs = 2 * 60_000;

const pollsMs = [1_000, 2_000, 4_000, 5_000] as const;

/**
 * How long to wait before asking again about what Azure is doing: 1, 2, 4, then 5 seconds.
 *
 * @param leastMs what Azure asked for, which is rare.
 */
export async function pollDelayMs(ctx: Ctx, leastMs = 0): Promise<number> {
  const ageMs = await ctx.stepAgeMs();
  let since = 0;
  for (const delay of pollsMs) {
    since += ctx.client.paced(delay);
    if (ageMs < since) return Math.max(ctx.client.paced(delay), leastMs);
  }
  return Math.max(ctx.client.paced(pollsMs[3]), leastMs);
}

/** To be thrown: come back after some time at Azure's pace. */
export const comeBack = (ctx: Ctx, ms: number, reason: string) => new WaitForVendor(ctx.client.paced(ms), reason);

const isBusy = (error: unknown): error is KeyGateError => isStatus(error, 409) && error.code === "vendor.not_ready";

/**
 * Makes a call that an account refuses while anything else is being done to it, by whomever: an account takes one change
 * at a time. Being in somebody's way is no failure, so it costs the job no attempt until it has lasted.
 *
 * @param ageMs for how long that has been tried.
 */
export async function whenFree<T>(ageMs: number, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isBusy(error) || ageMs > blockedMaxMs) throw error;
    throw new WaitForVendor(error.retryAfterMs ?? 5_000, "something else is being done to the Azure account");
  }
}

/** Makes a call below an account that may not be quite ready yet. */
export async function whenReady<T>(ctx: Ctx, call: () => Promise<T>): Promise<T> {
  const ageMs = await ctx.stepAgeMs();
  try {
    return await whenFree(ageMs, call);
  } catch (error) {
    const isEarly = isArmCode(error, "AccountProvisioningStateInvalid");
    if (!isEarly && !isGone(error)) throw error;
    if (ageMs < earlySucceededMaxMs) {
      throw new WaitForVendor(await pollDelayMs(ctx), "Azure has made the account, but does not let it be used yet");
    }
    if (!isEarly) throw error;
    throw new KeyGateError("vendor.refused", { ...(error.detail ? { detail: error.detail } : {}) });
  }
}
