import { isFinal, type JobDetail } from "@keygate/shared/contracts/jobs";
import { Check, Circle, CircleDashed, Undo2 } from "lucide-react";
import { cn } from "../lib/cn.ts";
import { localDateTime, words } from "../lib/format.ts";

const icons = { planned: CircleDashed, started: Circle, done: Check, undone: Undo2 } as const;
const said = { planned: "not begun", started: "under way", done: "done", undone: "undone" } as const;

/** How far a job is: every step begun, and how many there are. */
export function JobProgress({ job }: { job: JobDetail }) {
  const { number, of } = job.step;
  const total = job.progress ? job.progress.total : Math.max(of, job.steps.length);
  const done = job.progress
    ? job.progress.succeeded + job.progress.failed
    : job.status === "succeeded"
      ? total
      : job.steps.filter((step) => step.status === "done").length;
  const isUndoing = job.status === "compensating" || job.status === "needs_attention";
  return (
    <div>
      <div
        role="progressbar"
        aria-label="Progress"
        aria-valuemin={0}
        aria-valuemax={Math.max(total, 1)}
        aria-valuenow={done}
        className="h-1.5 overflow-hidden rounded-full bg-line"
      >
        <div
          className={cn(
            "h-full rounded-full transition-[width]",
            isUndoing || job.status === "failed" ? "bg-bad" : "bg-brand",
          )}
          style={{ width: `${total > 0 ? (done / total) * 100 : isFinal(job.status) ? 100 : 4}%` }}
        />
      </div>
      <p aria-live="polite" className="mt-1.5 text-[0.8125rem] text-ink-3">
        {job.progress
          ? `${job.progress.succeeded} of ${total} keys revoked${job.progress.failed ? `, ${job.progress.failed} failed` : ""}`
          : isFinal(job.status)
            ? words(job.status)
            : isUndoing
              ? "Undoing what was made"
              : of > 0
                ? `Step ${Math.max(number, 1)} of ${of}`
                : "Waiting for a worker"}
      </p>
      {job.steps.length > 0 ? (
        <ol className="mt-3 flex flex-col gap-2">
          {job.steps.map((step) => {
            const Icon = icons[step.status];
            return (
              <li key={step.name} className="flex items-center gap-2.5">
                <Icon
                  aria-hidden
                  className={cn(
                    "size-4 shrink-0",
                    step.status === "done"
                      ? "text-good"
                      : step.status === "started"
                        ? "animate-pulse text-info"
                        : "text-ink-3",
                  )}
                />
                <span className={cn(step.status === "undone" && "text-ink-3 line-through")}>{words(step.name)}</span>
                <span className="sr-only">{said[step.status]}</span>
                {step.finished_at ? (
                  <span className="ml-auto text-[0.8125rem] text-ink-3" title={localDateTime(step.finished_at)}>
                    {step.started_at
                      ? `${Math.max(0, Date.parse(step.finished_at) - Date.parse(step.started_at))} ms`
                      : ""}
                  </span>
                ) : null}
              </li>
            );
          })}
        </ol>
      ) : null}
    </div>
  );
}
