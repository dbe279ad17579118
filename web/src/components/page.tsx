import { ChevronLeft, ChevronRight } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "./ui/button.tsx";

export interface PageProps {
  title: string;
  note?: ReactNode;
  action?: ReactNode;
  children: ReactNode;
}

/** The frame of every page: its heading, its actions, its content. React puts the title into the document. */
export function Page({ title, note, action, children }: PageProps) {
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-5 px-4 py-6 sm:px-8 sm:py-8">
      <title>{`${title} · KeyGate`}</title>
      <header className="flex flex-wrap items-end justify-between gap-x-6 gap-y-3">
        <div className="min-w-0">
          <h1 className="text-xl font-semibold tracking-tight [overflow-wrap:anywhere]">{title}</h1>
          {note ? <div className="mt-0.5 text-ink-2">{note}</div> : null}
        </div>
        {action ? <div className="flex flex-wrap gap-2">{action}</div> : null}
      </header>
      {children}
    </div>
  );
}

/** Keyset paging: onwards by cursor, back by the browser's history or to the start. */
export function Pager({
  shown,
  noun,
  next,
  cursor,
  onCursor,
}: {
  shown: number;
  noun: string;
  next: string | null;
  cursor: string | undefined;
  onCursor(cursor: string | undefined): void;
}) {
  return (
    <nav
      aria-label="Pages"
      className="flex flex-wrap items-center justify-between gap-2 border-t border-line px-4 py-2.5 text-ink-3"
    >
      <span>
        {shown} {noun}
        {shown === 1 ? "" : "s"} on this page
      </span>
      {cursor || next ? (
        <span className="flex gap-2">
          <Button
            size="sm"
            variant="ghost"
            reason={cursor ? null : "This is the first page"}
            onClick={() => onCursor(undefined)}
          >
            First page
          </Button>
          <Button size="sm" reason={cursor ? null : "This is the first page"} onClick={() => history.back()}>
            <ChevronLeft aria-hidden /> Back
          </Button>
          <Button size="sm" reason={next ? null : "This is the last page"} onClick={() => next && onCursor(next)}>
            Next <ChevronRight aria-hidden />
          </Button>
        </span>
      ) : null}
    </nav>
  );
}

export const Facts = ({ children }: { children: ReactNode }) => (
  <div className="@container">
    <dl className="grid gap-x-6 gap-y-3 px-4 py-4 @sm:grid-cols-2 @2xl:grid-cols-3">{children}</dl>
  </div>
);
export const Fact = ({ label, children }: { label: string; children: ReactNode }) => (
  <div className="min-w-0">
    <dt className="text-xs text-ink-3">{label}</dt>
    <dd className="mt-0.5 [overflow-wrap:anywhere]">{children}</dd>
  </div>
);
