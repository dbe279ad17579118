import type { AuditEvent } from "@keygate/shared/contracts/audit";
import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import { useState } from "react";
import { Button } from "../../components/ui/button.tsx";
import { Time } from "../../components/ui/time.tsx";
import { cn } from "../../lib/cn.ts";
import { words } from "../../lib/format.ts";
import { sentenceOf } from "../../lib/sentences.ts";

interface AuditTableProps {
  events: readonly AuditEvent[];
  onFilter(change: { action?: string; actor?: string; resource_id?: string }): void;
}

/** Sentences; each opens to its details. */
export function AuditTable({ events, onFilter }: AuditTableProps) {
  const [opened, setOpened] = useState<string | null>(null);
  return (
    <ol className="divide-y divide-line">
      {events.map((event) => {
        const isOpen = opened === event.id;
        return (
          <li key={event.id}>
            <button
              type="button"
              aria-expanded={isOpen}
              onClick={() => setOpened(isOpen ? null : event.id)}
              className="flex w-full items-baseline gap-3 px-4 py-2.5 text-left select-text hover:bg-sunken/60 focus-visible:outline-offset-[-2px]"
            >
              <ChevronRight
                aria-hidden
                className={cn(
                  "size-3.5 shrink-0 translate-y-0.5 text-ink-3 transition-transform",
                  isOpen && "rotate-90",
                )}
              />
              <span className="min-w-0 flex-1 [overflow-wrap:anywhere]">{sentenceOf(event)}</span>
              <span className="hidden font-mono text-xs text-ink-3 sm:inline">{event.action}</span>
              <span className="text-[0.8125rem] text-ink-3">
                <Time at={event.created_at} />
              </span>
            </button>
            {isOpen ? <Details event={event} onFilter={onFilter} /> : null}
          </li>
        );
      })}
    </ol>
  );
}

function Details({ event, onFilter }: { event: AuditEvent; onFilter: AuditTableProps["onFilter"] }) {
  return (
    <div className="flex flex-col gap-3 bg-sunken/60 px-4 py-3 pl-11">
      <dl className="grid gap-x-4 gap-y-1.5 text-[0.8125rem] sm:grid-cols-[9rem_1fr]">
        <dt className="text-ink-3">When</dt>
        <dd>
          <Time at={event.created_at} as="full" /> <span className="text-ink-3">({event.created_at})</span>
        </dd>
        <dt className="text-ink-3">From</dt>
        <dd>{event.ip_address ?? "inside KeyGate"}</dd>
        <dt className="text-ink-3">About</dt>
        <dd className="font-mono [overflow-wrap:anywhere]">
          <Subject event={event} />
        </dd>
        {Object.entries(event.details).map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="text-ink-3">{words(name)}</dt>
            <dd className="[overflow-wrap:anywhere]">
              {typeof value === "object" && value !== null ? <code>{JSON.stringify(value)}</code> : String(value)}
            </dd>
          </div>
        ))}
      </dl>
      <div className="flex flex-wrap gap-2">
        <Button size="sm" onClick={() => onFilter({ action: event.action })}>
          Only {event.action}
        </Button>
        <Button size="sm" onClick={() => onFilter({ actor: event.actor })}>
          Only this actor
        </Button>
        <Button size="sm" onClick={() => onFilter({ resource_id: event.resource_id })}>
          Only about this
        </Button>
      </div>
    </div>
  );
}

function Subject({ event }: { event: AuditEvent }) {
  const { resource_type: type, resource_id: id } = event;
  const to = {
    key: `/keys/${id}`,
    job: `/jobs/${id}`,
    developer: `/developers/${id}`,
    workspace: `/workspaces/${id}`,
    vendor: `/vendors/${id}`,
  }[type];
  const text = `${type} ${id}`;
  return to && id !== "none" ? (
    <Link className="underline" to={to}>
      {text}
    </Link>
  ) : (
    text
  );
}
