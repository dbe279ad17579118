/** A bounded number of places per queue. */
export interface Slots {
  /** Takes a place, waiting at most `waitMs`; null when none came free. The function gives it back. */
  take(queue: string, waitMs: number): Promise<(() => void) | null>;
}

export function createSlots(perQueue: number): Slots {
  const used = new Map<string, number>();
  const waiting = new Map<string, Set<() => void>>();

  const release = (queue: string) => () => {
    used.set(queue, (used.get(queue) ?? 1) - 1);
    const next = waiting.get(queue)?.values().next().value;
    next?.();
  };
  const tryTake = (queue: string) => {
    const count = used.get(queue) ?? 0;
    if (count >= perQueue) return null;
    used.set(queue, count + 1);
    return release(queue);
  };

  return {
    async take(queue, waitMs) {
      const at = tryTake(queue);
      if (at) return at;
      const line = waiting.get(queue) ?? new Set();
      waiting.set(queue, line);
      return new Promise((resolve) => {
        const finish = (place: (() => void) | null) => {
          line.delete(wake);
          clearTimeout(timer);
          resolve(place);
        };
        const wake = () => {
          const place = tryTake(queue);
          if (place) finish(place);
        };
        const timer = setTimeout(() => finish(null), waitMs);
        line.add(wake);
      });
    },
  };
}
