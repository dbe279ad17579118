/** What a vendor lets us do, learned from its 429s: full speed until the first one, then a pace that probes upwards. */
export interface Limiter {
  /** Milliseconds to wait before the call may be made; 0 takes a place at once, anything else takes none. */
  reserve(endpoint: string): number;
  onSuccess(endpoint: string): void;
  /** @param retryAfterMs what the vendor said; its absence means the vendor's usual window. */
  onThrottled(endpoint: string, retryAfterMs: number | undefined): number;
}

interface Pace {
  blockedUntil: number;
  /** Milliseconds between calls; 0 is full speed. */
  intervalMs: number;
  nextFreeAt: number;
  recent: number[];
}

const learnWindowMs = 60_000;
// Below this the pace is no limit any more.
const fullSpeedBelowMs = 5;
const intervalMaxMs = 20_000;

/**
 * One limiter serves one credential in one process. Several processes learn on their own; the vendor's 429s are what
 * they agree through.
 *
 * @param windowMs how long to stay away after a 429 without a hint.
 */
export function createLimiter(windowMs: number, now: () => number = Date.now): Limiter {
  const paces = new Map<string, Pace>();
  const paceOf = (endpoint: string): Pace => {
    const known = paces.get(endpoint);
    if (known) return known;
    const pace = { blockedUntil: 0, intervalMs: 0, nextFreeAt: 0, recent: [] };
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
      const at = now();
      pace.recent.push(at);
      if (pace.recent.length > 2_000) pace.recent.splice(0, 1_000);
      if (pace.intervalMs === 0) return;
      pace.intervalMs *= 0.95;
      if (pace.intervalMs < fullSpeedBelowMs) pace.intervalMs = 0;
    },
    onThrottled(endpoint, retryAfterMs) {
      const pace = paceOf(endpoint);
      const at = now();
      const stayAwayMs = retryAfterMs ?? windowMs;
      // Several calls may have been under way; one window teaches one lesson.
      if (at >= pace.blockedUntil) {
        pace.recent = pace.recent.filter((time) => time > at - learnWindowMs);
        const learned = learnWindowMs / Math.max(1, pace.recent.length);
        pace.intervalMs = Math.min(intervalMaxMs, Math.max(learned, pace.intervalMs * 2, fullSpeedBelowMs * 2));
      }
      pace.blockedUntil = Math.max(pace.blockedUntil, at + stayAwayMs);
      return stayAwayMs;
    },
  };
}
