import type { AuditEvent } from "@keygate/shared/contracts/audit";
import { cn } from "../lib/cn.ts";
import { sentenceOf } from "../lib/sentences.ts";
import { ProblemNotice } from "./ui/notice.tsx";
import { SkeletonRows } from "./ui/skeleton.tsx";
import { Time } from "./ui/time.tsx";

const dots = { succeeded: "bg-good", failed: "bg-bad", requested: "bg-info", info: "bg-line-strong" } as const;
const dotOf = (outcome: unknown): string => dots[outcome as keyof typeof dots] ?? dots.info;

/** What happened, newest first, as sentences. */
export function EventList({ events, error }: { events: readonly AuditEvent[] | undefined; error?: unknown }) {
  if (error) return <ProblemNotice className="m-4" error={error} />;
  if (!events) return <SkeletonRows rows={4} />;
  if (events.length === 0) return <p className="p-4 text-ink-2">Nothing has happened yet.</p>;
  return (
    <ol className="divide-y divide-line">
      {events.map((event) => (
        <li key={event.id} className="flex items-baseline gap-3 px-4 py-2.5">
          <span
            aria-hidden
            className={cn("size-2 shrink-0 translate-y-[-1px] rounded-full", dotOf(event.details.outcome))}
          />
          <span className="min-w-0 flex-1 [overflow-wrap:anywhere]">{sentenceOf(event)}</span>
          <span className="text-[0.8125rem] text-ink-3">
            <Time at={event.created_at} />
          </span>
        </li>
      ))}
    </ol>
  );
}
