/** What a vendor lets us do, learned from its 429s: full speed until the first one, then what it allows. */
export interface Limiter {
  /** Milliseconds to wait before the call may be made; 0 takes a place at once, anything else takes none. */
  reserve(endpoint: string): number;
  onSuccess(endpoint: string): void;
  /**
   * @param retryAfterMs what the vendor said, if it said anything.
   * @returns milliseconds to stay away.
   */
  onThrottled(endpoint: string, retryAfterMs: number | undefined): number;
  /** Whether the vendor has no objection to our present speed there. */
  isAtFullSpeed(endpoint: string): boolean;
}

interface Pace {
  blockedUntil: number;
  /** Milliseconds between calls; 0 is full speed. */
  intervalMs: number;
  nextFreeAt: number;
  /** 429s without a hint since the last success. */
  streak: number;
}

const firstPauseMs = 5_000;
const firstIntervalMs = 250;
const intervalMaxMs = 10_000;
// Below this the pace is no limit any more.
const fullSpeedBelowMs = 5;

/**
 * One limiter serves one credential in one process. Several processes learn on their own; the vendor's 429s are what
 * they agree through. A 429 with `Retry-After` is obeyed to the letter. One without makes us stay away for five
 * seconds, doubling up to the vendor's window, and come back at a pace that each success quickens a little.
 *
 * @param windowMs the longest pause without a hint: the time in which the vendor's allowance is known to refill.
 * @param now milliseconds by a clock that nobody sets: with the time of day, every vendor would stand still for as long as
 *   that was set back.
 */
export function createLimiter(windowMs: number, now: () => number = () => performance.now()): Limiter {
  const paces = new Map<string, Pace>();
  const paceOf = (endpoint: string): Pace => {
    const known = paces.get(endpoint);
    if (known) return known;
    const pace = { blockedUntil: 0, intervalMs: 0, nextFreeAt: 0, streak: 0 };
    paces.set(endpoint, pace);
    return pace;
  };

  return {
    reserve(endpoint) {
      const pace = paceOf(endpoint);
      const at = now();
      const wait = Math.max(pace.blockedUntil, pace.nextFreeAt) - at;
      if (wait > 0) return wait;
      pace.nextFreeAt = at + pace.intervalMs;
      return 0;
    },
    onSuccess(endpoint) {
      const pace = paceOf(endpoint);
      pace.streak = 0;
      pace.intervalMs *= 0.9;
      if (pace.intervalMs < fullSpeedBelowMs) pace.intervalMs = 0;
    },
    onThrottled(endpoint, retryAfterMs) {
      const pace = paceOf(endpoint);
      const at = now();
      if (retryAfterMs !== undefined) {
        pace.blockedUntil = Math.max(pace.blockedUntil, at + retryAfterMs);
        return retryAfterMs;
      }
      // Several calls may have been under way; one window teaches one lesson.
      if (at >= pace.blockedUntil) {
        pace.streak += 1;
        pace.intervalMs = Math.min(intervalMaxMs, Math.max(firstIntervalMs, pace.intervalMs * 2));
        pace.blockedUntil = at + Math.min(windowMs, firstPauseMs * 2 ** (pace.streak - 1));
      }
      return pace.blockedUntil - at;
    },
    isAtFullSpeed(endpoint) {
      const pace = paces.get(endpoint);
      return !pace || (pace.intervalMs === 0 && pace.blockedUntil <= now());
    },
  };
}
