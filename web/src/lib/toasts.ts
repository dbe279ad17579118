import { useSyncExternalStore } from "react";
import { asProblem } from "./problem.ts";

export interface Toast {
  id: number;
  tone: "good" | "bad" | "info";
  title: string;
  detail: string | null;
}

let toasts: readonly Toast[] = [];
let lastId = 0;
const listeners = new Set<() => void>();
const shownMs = { good: 4_000, info: 5_000, bad: 9_000 } as const;

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

export const dismissToast = (id: number): void => set(toasts.filter((toast) => toast.id !== id));

export function toast(tone: Toast["tone"], title: string, detail: string | null = null): void {
  const id = ++lastId;
  set([...toasts.slice(-3), { id, tone, title, detail }]);
  setTimeout(() => dismissToast(id), shownMs[tone]);
}

/** For what failed outside a form. */
export function toastProblem(error: unknown): void {
  const { details } = asProblem(error);
  toast("bad", details.title, details.detail === details.title ? null : details.detail);
}

export const useToasts = (): readonly Toast[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
