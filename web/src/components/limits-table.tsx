import type { LimitReport } from "@keygate/shared/contracts/limits";
import type { ReactNode } from "react";
import { dollars, localDateTime } from "../lib/format.ts";
import { EnforcerBadge, limitTitle } from "./marks.tsx";
import { Badge } from "./ui/badge.tsx";

type Value = LimitReport["effective"];

function shown(limit: string, value: Value): ReactNode {
  if (value === null) return <span className="text-ink-3">no limit</span>;
  if (Array.isArray(value)) return value.join(", ") || "every model";
  if (limit === "budget" && typeof value === "number") return `${dollars(value)} a month`;
  if (limit === "expiry" && typeof value === "string" && !Number.isNaN(Date.parse(value))) return localDateTime(value);
  return String(value);
}

export interface LimitLine {
  limit: string;
  requested: Value;
  enforced_by: LimitReport["enforced_by"];
  delay: string;
  fine_print: string;
}

/** Each limit, who makes sure that it holds, and the fine print in the vendor's terms. */
export function LimitsTable({ limits }: { limits: readonly LimitLine[] }) {
  return (
    <ul className="divide-y divide-line">
      {limits.map((line) => (
        <li key={line.limit} className="px-4 py-3">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <span className="font-medium">{limitTitle(line.limit)}</span>
            <span className="[overflow-wrap:anywhere]">{shown(line.limit, line.requested)}</span>
            <span className="ml-auto">
              {line.requested === null && line.enforced_by === "none" ? (
                <Badge>not asked for</Badge>
              ) : (
                <EnforcerBadge by={line.enforced_by} />
              )}
            </span>
          </div>
          <p className="mt-1 max-w-prose text-[0.8125rem] text-ink-3">
            {line.fine_print}{" "}
            <span className="text-ink-2">How late: {line.delay.charAt(0).toLowerCase() + line.delay.slice(1)}</span>
          </p>
        </li>
      ))}
    </ul>
  );
}
