import { JobKind, jobStates } from "@keygate/shared/contracts/jobs";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { ExternalLink, ListChecks } from "lucide-react";
import { Choice, FilterChip, Filters } from "../components/filters.tsx";
import { JobRows } from "../components/job-rows.tsx";
import { Page, Pager } from "../components/page.tsx";
import { QueuesLink } from "../components/queues-link.tsx";
import { Button, buttonClass } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { type JobSearch, jobsQuery } from "../data/jobs.ts";
import { words } from "../lib/format.ts";

const route = getRouteApi("/app/jobs");
const any = (label: string) => ["", label] as const;
const states = [any("Every state"), ...jobStates.map((state) => [state, words(state)] as const)];
const kinds = [any("Every kind"), ...JobKind.options.map((kind) => [kind, words(kind)] as const)];
const vendors = [
  any("Every vendor"),
  ...Object.entries(vendorContracts).map(([id, { title }]) => [id, title] as const),
];

export function JobsPage() {
  const search = route.useSearch();
  const jobs = useQuery(jobsQuery(search));
  const navigate = useNavigate();
  const filter = (change: Partial<Record<keyof JobSearch, string | undefined>>) =>
    navigate({ to: "/jobs", search: { ...search, cursor: undefined, ...change } as JobSearch });
  const items = jobs.data?.items;
  return (
    <Page
      title="Jobs"
      note="What KeyGate is doing at the vendors, and has done."
      action={
        <QueuesLink className={buttonClass("ghost")}>
          Queues <ExternalLink aria-hidden />
        </QueuesLink>
      }
    >
      <Card>
        <Filters>
          <Choice label="State" value={search.status} options={states} onChange={(status) => filter({ status })} />
          <Choice label="Kind" value={search.kind} options={kinds} onChange={(kind) => filter({ kind })} />
          <Choice label="Vendor" value={search.vendor} options={vendors} onChange={(vendor) => filter({ vendor })} />
          {search.key_id ? <FilterChip label="One key" onRemove={() => filter({ key_id: undefined })} /> : null}
          {search.developer_id ? (
            <FilterChip label="One developer" onRemove={() => filter({ developer_id: undefined })} />
          ) : null}
          {search.parent_id ? <FilterChip label="One batch" onRemove={() => filter({ parent_id: undefined })} /> : null}
        </Filters>
        {jobs.isError ? (
          <ProblemNotice
            className="m-4"
            error={jobs.error}
            action={<Button onClick={() => jobs.refetch()}>Try again</Button>}
          />
        ) : null}
        {jobs.isPending ? <SkeletonRows rows={8} /> : null}
        {items?.length === 0 ? (
          <Empty icon={ListChecks} title="No jobs here">
            Everything that KeyGate does at a vendor is a job: made, retried, undone or finished where you can see it.
          </Empty>
        ) : null}
        {items?.length ? (
          <>
            <JobRows jobs={items} />
            <Pager
              shown={items.length}
              noun="job"
              next={jobs.data?.next ?? null}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/jobs", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
    </Page>
  );
}
