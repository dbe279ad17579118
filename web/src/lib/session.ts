import { useSyncExternalStore } from "react";

/** Whether the session ended while the page was open; who waits for it to come back is told. */
let waiting: PromiseWithResolvers<void> | null = null;
const listeners = new Set<() => void>();
const tell = () => {
  for (const listener of listeners) listener();
};

/** Asks for a new sign-in over whatever the page shows, and waits for it. */
export function sessionRestored(): Promise<void> {
  if (!waiting) {
    waiting = Promise.withResolvers<void>();
    tell();
  }
  return waiting.promise;
}

/** Lets everybody go on who waited. */
export function restoreSession(): void {
  waiting?.resolve();
  waiting = null;
  tell();
}

export const useSessionExpired = (): boolean =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => waiting !== null,
  );
