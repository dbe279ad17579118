import type { ReactNode } from "react";
import { cn } from "../../lib/cn.ts";

export const Card = ({ className, children }: { className?: string; children: ReactNode }) => (
  <section className={cn("rounded-lg border border-line bg-surface", className)}>{children}</section>
);

export function CardHead({ title, note, action }: { title: ReactNode; note?: ReactNode; action?: ReactNode }) {
  return (
    <header className="flex flex-wrap items-center justify-between gap-x-4 gap-y-1 min-h-13 border-b border-line px-4 py-2.5">
      <div className="min-w-0">
        <h2 className="font-semibold">{title}</h2>
        {note ? <p className="text-[0.8125rem] text-ink-3">{note}</p> : null}
      </div>
      {action}
    </header>
  );
}
