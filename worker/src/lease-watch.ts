import { AsyncLocalStorage } from "node:async_hooks";
import { KeyGateError } from "@keygate/shared/errors";

/** A lease as its holder can judge it without asking the database. */
export interface LeaseWatch {
  /** Called when the lease was taken or prolonged, with the moment before that was asked for. */
  heldSince(asked: Moment): void;
  isOver(): boolean;
}

/** One moment by both clocks. */
export interface Moment {
  wallMs: number;
  steadyMs: number;
}

export const thisMoment = (): Moment => ({ wallMs: Date.now(), steadyMs: performance.now() });

/**
 * Watches a lease of so many milliseconds. The steady clock cannot be set back, but stands still while a machine sleeps;
 * the wall clock does not, but can be set. A lease that either calls over is treated so: giving up early does no harm.
 */
export function createLeaseWatch(leaseMs: number, since: Moment, now: () => Moment = thisMoment): LeaseWatch {
  let from = since;
  return {
    heldSince(asked) {
      from = asked;
    },
    isOver() {
      const { wallMs, steadyMs } = now();
      return Math.max(wallMs - from.wallMs, steadyMs - from.steadyMs) >= leaseMs;
    },
  };
}

const watches = new AsyncLocalStorage<Pick<LeaseWatch, "isOver">>();

/** Runs work that may only act on the outside while the lease lasts. */
export const underLease = <T>(watch: Pick<LeaseWatch, "isOver">, work: () => Promise<T>): Promise<T> =>
  watches.run(watch, work);

/** The watch that the running work is under; null outside of a job. Kept with work that is done in another's name. */
export const leaseInForce = (): Pick<LeaseWatch, "isOver"> | null => watches.getStore() ?? null;

/**
 * Asked at the last moment before something is done that the database cannot fence: a vendor call, a key put into the
 * handoff. A worker that stalled between its journal and its call would otherwise make, when it wakes, what another
 * worker has long made in its place, and nobody would know of it. Outside of a job it asks nothing.
 *
 * @throws job.lease_lost
 */
export function requireLease(): void {
  if (watches.getStore()?.isOver()) throw new KeyGateError("job.lease_lost");
}
