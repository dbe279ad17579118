import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "../../lib/cn.ts";
import { asProblem, nextStep } from "../../lib/problem.ts";

const tones = {
  info: { box: "border-info/30 bg-info-soft", icon: Info, ink: "text-info" },
  good: { box: "border-good/30 bg-good-soft", icon: CircleCheck, ink: "text-good" },
  warn: { box: "border-warn/30 bg-warn-soft", icon: TriangleAlert, ink: "text-warn" },
  bad: { box: "border-bad/30 bg-bad-soft", icon: CircleAlert, ink: "text-bad" },
} as const;

export interface NoticeProps {
  tone?: keyof typeof tones;
  title: ReactNode;
  children?: ReactNode;
  action?: ReactNode;
  role?: "alert" | "status";
  className?: string;
}

export function Notice({ tone = "info", title, children, action, role, className }: NoticeProps) {
  const { box, icon: Icon, ink } = tones[tone];
  return (
    <div role={role} className={cn("flex gap-3 rounded-lg border px-4 py-3", box, className)}>
      <Icon aria-hidden className={cn("mt-0.5 size-4 shrink-0", ink)} />
      <div className="min-w-0 flex-1">
        <p className="font-medium">{title}</p>
        {children ? <div className="mt-0.5 text-ink-2 [overflow-wrap:anywhere]">{children}</div> : null}
        {action ? <div className="mt-2 flex flex-wrap gap-2">{action}</div> : null}
      </div>
    </div>
  );
}

/** What went wrong, in the API's own words, with what to do next. */
export function ProblemNotice({
  error,
  action,
  className,
}: {
  error: unknown;
  action?: ReactNode;
  className?: string;
}) {
  const problem = asProblem(error);
  const { title, detail, errors } = problem.details;
  const step = nextStep(problem);
  return (
    <Notice tone="bad" role="alert" title={title} action={action} className={className ?? ""}>
      {detail && detail !== title ? <p>{detail}</p> : null}
      {errors?.length ? (
        <ul className="list-disc pl-4">
          {errors.map((entry) => (
            <li key={entry.field + entry.message}>
              {entry.field ? `${entry.field}: ` : ""}
              {entry.message}
            </li>
          ))}
        </ul>
      ) : null}
      {step ? <p>{step}</p> : null}
    </Notice>
  );
}
