import type { Debt } from "@keygate/shared/contracts/debt";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, useNavigate } from "@tanstack/react-router";
import { Hourglass } from "lucide-react";
import { useState } from "react";
import { Choice, Filters } from "../components/filters.tsx";
import { Page, Pager } from "../components/page.tsx";
import { Button } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { type DebtSearch, debtQuery } from "../data/debt.ts";
import { DebtTable } from "../features/debt/debt-table.tsx";
import { WriteOffDialog } from "../features/debt/write-off-dialog.tsx";

const route = getRouteApi("/app/debt");
const vendors = [
  ["", "Every vendor"],
  ...Object.entries(vendorContracts).map(([id, { title }]) => [id, title] as const),
] as const;
const kinds = [
  ["", "Being tried"],
  ["all", "Also what was written off"],
] as const;

export function DebtPage() {
  const search = route.useSearch();
  const navigate = useNavigate();
  const debts = useQuery(debtQuery(search));
  const [writingOff, setWritingOff] = useState<Debt | null>(null);
  const filter = (change: DebtSearch) => navigate({ to: "/debt", search: { ...search, cursor: undefined, ...change } });
  const items = debts.data?.items;
  return (
    <Page
      title="Debt"
      note="What must go at the vendors and has not gone yet. KeyGate tries on every five minutes, without end."
    >
      <Card>
        <Filters>
          <Choice
            label="State"
            value={search.written_off ? "all" : undefined}
            options={kinds}
            onChange={(value) => filter({ written_off: value ? true : undefined })}
          />
          <Choice
            label="Vendor"
            value={search.vendor}
            options={vendors}
            onChange={(vendor) => filter({ vendor: vendor as DebtSearch["vendor"] })}
          />
        </Filters>
        {debts.isError ? (
          <ProblemNotice
            className="m-4"
            error={debts.error}
            action={<Button onClick={() => debts.refetch()}>Try again</Button>}
          />
        ) : null}
        {debts.isPending ? <SkeletonRows rows={5} /> : null}
        {items?.length === 0 ? (
          <Empty icon={Hourglass} title="Nothing is owed">
            A revocation that the vendor has not confirmed within five minutes is listed here, with the vendor's reason.
          </Empty>
        ) : null}
        {items?.length ? (
          <>
            <DebtTable debts={items} onWriteOff={setWritingOff} />
            <Pager
              shown={items.length}
              noun="debt"
              next={debts.data?.next ?? null}
              cursor={search.cursor}
              onCursor={(cursor) => navigate({ to: "/debt", search: { ...search, cursor } })}
            />
          </>
        ) : null}
      </Card>
      <WriteOffDialog debt={writingOff} onClose={() => setWritingOff(null)} />
    </Page>
  );
}
