import { CircleAlert, CircleCheck, Info, X } from "lucide-react";
import { cn } from "../../lib/cn.ts";
import { dismissToast, useToasts } from "../../lib/toasts.ts";

const icons = { good: CircleCheck, bad: CircleAlert, info: Info } as const;
const inks = { good: "text-good", bad: "text-bad", info: "text-info" } as const;

export function Toaster() {
  const toasts = useToasts();
  return (
    <div
      aria-live="polite"
      className="pointer-events-none fixed right-4 bottom-4 left-4 z-[60] flex flex-col items-end gap-2 sm:left-auto"
    >
      {toasts.map((toast) => {
        const Icon = icons[toast.tone];
        return (
          <div
            key={toast.id}
            className="appear pointer-events-auto flex w-full max-w-sm gap-3 rounded-lg border border-line bg-raised p-3 shadow-xl"
          >
            <Icon aria-hidden className={cn("mt-0.5 size-4 shrink-0", inks[toast.tone])} />
            <div className="min-w-0 flex-1 [overflow-wrap:anywhere]">
              <p className="font-medium">{toast.title}</p>
              {toast.detail ? <p className="text-ink-2">{toast.detail}</p> : null}
            </div>
            <button
              type="button"
              aria-label="Dismiss"
              className="self-start rounded p-0.5 text-ink-3 hover:text-ink"
              onClick={() => dismissToast(toast.id)}
            >
              <X className="size-4" />
            </button>
          </div>
        );
      })}
    </div>
  );
}
