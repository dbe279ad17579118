import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { count } from "../../lib/format.ts";

export interface Bar {
  id: string;
  label: ReactNode;
  n: number;
  to: string;
  search: Record<string, string>;
}

/** Horizontal bars, the longest first; the numbers are there for those who read. */
export function Bars({ bars, empty }: { bars: readonly Bar[]; empty: string }) {
  const most = Math.max(1, ...bars.map(({ n }) => n));
  if (bars.length === 0) return <p className="p-4 text-ink-2">{empty}</p>;
  return (
    <ul className="flex flex-col gap-2.5 p-4">
      {[...bars]
        .sort((a, b) => b.n - a.n)
        .slice(0, 8)
        .map(({ id, label, n, to, search }) => (
          <li key={id}>
            <Link to={to} search={search} className="group block">
              <span className="flex justify-between gap-3">
                <span className="min-w-0 truncate group-hover:underline">{label}</span>
                <span className="text-ink-2 tabular-nums">{count(n)}</span>
              </span>
              <span aria-hidden className="mt-1 block h-2 overflow-hidden rounded-full bg-sunken">
                <span className="block h-full rounded-full bg-brand" style={{ width: `${(n / most) * 100}%` }} />
              </span>
            </Link>
          </li>
        ))}
    </ul>
  );
}
