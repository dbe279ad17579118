import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Download, FileClock, ShieldCheck } from "lucide-react";
import { FilterChip, Filters, SearchBox } from "../components/filters.tsx";
import { Page, Pager } from "../components/page.tsx";
import { Button, buttonClass } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { Input } from "../components/ui/field.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { type AuditSearch, asMoments, auditQuery, auditVerifyQuery } from "../data/audit.ts";
import { AuditTable } from "../features/audit/audit-table.tsx";
import { Verdict } from "../features/audit/verdict.tsx";
import { addressOf } from "../lib/api.ts";

const route = getRouteApi("/app/audit");

export function AuditPage() {
  const search = route.useSearch();
  const events = useQuery(auditQuery(search));
  const verdict = useQuery(auditVerifyQuery);
  const navigate = useNavigate();
  const filter = (change: AuditSearch) =>
    navigate({ to: "/audit", search: { ...search, cursor: undefined, ...change }, replace: true });
  const items = events.data?.items;
  const { cursor: _cursor, ...filters } = search;
  return (
    <Page
      title="Audit"
      note="Who did what, in rows that cannot be changed."
      action={
        <>
          <Button isBusy={verdict.isFetching} onClick={() => verdict.refetch()}>
            <ShieldCheck aria-hidden /> Verify now
          </Button>
          <a className={buttonClass()} href={addressOf("/audit/export", { ...asMoments(filters) })} download>
            <Download aria-hidden /> Export
          </a>
        </>
      }
    >
      {verdict.isError ? <ProblemNotice error={verdict.error} /> : null}
      {verdict.data ? <Verdict verdict={verdict.data} at={verdict.dataUpdatedAt} /> : null}
      <Card>
        <Filters>
          <SearchBox label="Actor: an e-mail address" value={search.actor} onSearch={(actor) => filter({ actor })} />
          <SearchBox label="Action, like key.revoke" value={search.action} onSearch={(action) => filter({ action })} />
          <Input
            type="date"
            aria-label="From"
            className="w-auto max-sm:flex-1"
            value={search.since ?? ""}
            onChange={(event) => filter({ since: event.target.value || undefined })}
          />
          <Input
            type="date"
            aria-label="Until"
            className="w-auto max-sm:flex-1"
            value={search.until ?? ""}
            onChange={(event) => filter({ until: event.target.value || undefined })}
          />
          {search.resource_id ? (
            <FilterChip
              label={`About ${search.resource_id.slice(0, 12)}…`}
              onRemove={() => filter({ resource_id: undefined })}
            />
          ) : null}
        </Filters>
        {events.isError ? <ProblemNotice className="m-4" error={events.error} /> : null}
        {events.isPending ? <SkeletonRows rows={10} /> : null}
        {items?.length === 0 ? (
          <Empty icon={FileClock} title="Nothing like that has happened">
            Actor and action are matched as a whole, like <code>key.claim</code>.
          </Empty>
        ) : null}
        {items?.length ? (
          <>
            <AuditTable events={items} onFilter={filter} />
            <Pager
              shown={items.length}
              noun="event"
              next={events.data?.next ?? null}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/audit", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
    </Page>
  );
}
