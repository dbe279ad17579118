import { findingKinds, type ReconcileFinding } from "@keygate/shared/contracts/reconcile";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Scale, ScanSearch } from "lucide-react";
import { useState } from "react";
import { ChangeButton } from "../components/change.tsx";
import { Confirm } from "../components/confirm.tsx";
import { Choice, Filters } from "../components/filters.tsx";
import { Page, Pager } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { queryClient } from "../data/query-client.ts";
import { type FindingSearch, lookNow, reconcileQuery, removeFinding } from "../data/reconcile.ts";
import { AdoptDialog } from "../features/reconcile/adopt-dialog.tsx";
import { FindingList, findingWords } from "../features/reconcile/finding-list.tsx";
import { Runs } from "../features/reconcile/runs.tsx";
import { useDeed } from "../lib/deed.ts";
import { plural } from "../lib/format.ts";
import { toast } from "../lib/toasts.ts";

const route = getRouteApi("/app/reconcile");
const kinds = [["", "Every kind"], ...findingKinds.map((kind) => [kind, findingWords[kind].title] as const)] as const;
const statuses = [
  ["", "Open"],
  ["resolved", "Resolved"],
  ["all", "Open and resolved"],
] as const;
const vendors = [
  ["", "Every vendor"],
  ...Object.entries(vendorContracts).map(([id, { title }]) => [id, title] as const),
] as const;

export function ReconcilePage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const report = useQuery(reconcileQuery(search));
  const [open, setOpen] = useState<{ deed: "adopt" | "remove"; finding: ReconcileFinding } | null>(null);
  const close = () => setOpen(null);
  const filter = (change: Partial<Record<keyof FindingSearch, string | undefined>>) =>
    navigate({ to: "/reconcile", search: { ...search, cursor: undefined, ...change } as FindingSearch });
  const [look, isAsking] = useDeed(async () => {
    const { jobs } = await lookNow(search.vendor);
    toast("info", `Looking at ${plural(jobs.length, "vendor")}`, "At a pace that leaves people's requests in front.");
    await queryClient.invalidateQueries({ queryKey: ["reconcile"] });
  });
  const { runs, findings, next } = report.data ?? {};
  const isFiltered = Boolean(search.kind || search.vendor || search.status);
  return (
    <Page
      title="Reconcile"
      note="What stands at the vendors, held against what KeyGate knows. Once an hour, and whenever you ask."
      action={
        <ChangeButton variant="primary" isBusy={isAsking} onClick={look}>
          <ScanSearch aria-hidden /> Look now
        </ChangeButton>
      }
    >
      {report.isError ? (
        <ProblemNotice error={report.error} action={<Button onClick={() => report.refetch()}>Try again</Button>} />
      ) : null}
      <Card>
        <CardHead title="The newest look at each vendor" />
        {report.isPending ? <SkeletonRows rows={4} /> : null}
        {runs?.length === 0 ? <p className="p-4 text-ink-2">Nobody has looked yet.</p> : null}
        {runs?.length ? <Runs runs={runs} /> : null}
      </Card>
      <Card>
        <CardHead title="Findings" />
        <Filters>
          <Choice label="State" value={search.status} options={statuses} onChange={(status) => filter({ status })} />
          <Choice label="Kind" value={search.kind} options={kinds} onChange={(kind) => filter({ kind })} />
          <Choice label="Vendor" value={search.vendor} options={vendors} onChange={(vendor) => filter({ vendor })} />
        </Filters>
        {report.isPending ? <SkeletonRows rows={5} /> : null}
        {findings?.length === 0 ? (
          <Empty icon={Scale} title={isFiltered ? "Nothing of that kind" : "Everything adds up"}>
            {isFiltered
              ? "Take a filter away to see the others."
              : "Every key that KeyGate calls alive is at its vendor, and nothing of KeyGate's is there that it does not know."}
          </Empty>
        ) : null}
        {findings?.length ? (
          <>
            <FindingList
              findings={findings}
              onAdopt={(finding) => setOpen({ deed: "adopt", finding })}
              onRemove={(finding) => setOpen({ deed: "remove", finding })}
            />
            <Pager
              shown={findings.length}
              noun="finding"
              next={next ?? null}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/reconcile", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
      <AdoptDialog
        finding={open?.deed === "adopt" ? open.finding : null}
        onClose={close}
        onAdopted={(id) => navigate({ to: "/keys/$id", params: { id } })}
      />
      {open?.deed === "remove" ? (
        <Confirm
          isOpen
          onClose={close}
          title={`Remove ${open.finding.resource.name}?`}
          deed="Remove it at the vendor"
          typed={open.finding.kind === "unmanaged" ? open.finding.resource.name : undefined}
          run={async () => {
            const job = await removeFinding(open.finding.id);
            await queryClient.invalidateQueries({ queryKey: ["reconcile"] });
            await navigate({ to: "/jobs/$id", params: { id: job.id } });
          }}
        >
          <p>
            {open.finding.resource.type} <span className="font-mono text-[0.8125rem]">{open.finding.resource.id}</span>{" "}
            is deleted at the vendor with what belongs to it. Whatever uses it fails from then on. It cannot be undone.
          </p>
        </Confirm>
      ) : null}
    </Page>
  );
}
