/** Keeps a dead vendor from eating workers: after several failures in a row, calls are refused for a while. */
export interface Breaker {
  /** Milliseconds until the next try may be made; 0 lets the call through. */
  blockedForMs(): number;
  onSuccess(): void;
  onFailure(): void;
}

const failuresToOpen = 6;
const openFirstMs = 1_000;
const openMaxMs = 15_000;

/** After each pause one call is let through to see; its success closes the breaker, its failure doubles the pause. */
export function createBreaker(now: () => number = () => performance.now()): Breaker {
  let failures = 0;
  let openUntil = 0;
  let pauseMs = openFirstMs;
  let probing = false;

  return {
    blockedForMs() {
      if (failures < failuresToOpen) return 0;
      const wait = openUntil - now();
      if (wait > 0) return wait;
      if (probing) return openFirstMs;
      probing = true;
      return 0;
    },
    onSuccess() {
      failures = 0;
      pauseMs = openFirstMs;
      probing = false;
    },
    onFailure() {
      failures += 1;
      probing = false;
      if (failures < failuresToOpen) return;
      openUntil = now() + pauseMs;
      pauseMs = Math.min(openMaxMs, pauseMs * 2);
    },
  };
}
