import { useRef, useState } from "react";
import { toastProblem } from "./toasts.ts";

/**
 * What one press starts, outside a form: another press while it runs does nothing, and what goes wrong is told as a toast.
 */
export function useDeed<Args extends unknown[]>(
  run: (...args: Args) => Promise<void>,
): [start: (...args: Args) => void, isBusy: boolean] {
  const isRunning = useRef(false);
  const [isBusy, setBusy] = useState(false);
  const start = async (...args: Args) => {
    if (isRunning.current) return;
    isRunning.current = true;
    setBusy(true);
    try {
      await run(...args);
    } catch (error) {
      toastProblem(error);
    } finally {
      isRunning.current = false;
      setBusy(false);
    }
  };
  return [(...args) => void start(...args), isBusy];
}
