import type { VendorView } from "@keygate/shared/contracts/vendors";
import { type VendorId, vendorIds } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useWhyNotChange } from "../components/change.tsx";
import { HealthBadge, Pace } from "../components/health.tsx";
import { EnforcerBadge, limitTitle, VendorName } from "../components/marks.tsx";
import { Page } from "../components/page.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { contractOf, vendorsQuery } from "../data/vendors.ts";
import { plural } from "../lib/format.ts";

export function VendorsPage() {
  const vendors = useQuery(vendorsQuery);
  return (
    <Page title="Vendors" note="Where keys come from, and what each vendor really enforces.">
      {vendors.isError ? <ProblemNotice error={vendors.error} /> : null}
      <ul className="grid gap-4 md:grid-cols-2">
        {vendorIds.map((vendor) =>
          vendors.isPending ? (
            <li key={vendor} className="h-56 rounded-lg border border-line bg-surface p-4">
              <Skeleton className="h-5 w-1/3" />
            </li>
          ) : (
            <VendorCard key={vendor} vendor={vendor} view={vendors.data?.find((view) => view.vendor === vendor)} />
          ),
        )}
      </ul>
    </Page>
  );
}

function VendorCard({ vendor, view }: { vendor: VendorId; view: VendorView | undefined }) {
  const { limits } = contractOf(vendor);
  const whyNot = useWhyNotChange();
  return (
    <li className="flex flex-col rounded-lg border border-line bg-surface">
      <div className="flex flex-wrap items-center justify-between gap-2 border-b border-line px-4 py-3 font-semibold">
        <h2>
          <VendorName vendor={vendor} isSimulated={view?.simulated ?? false} />
        </h2>
        {view ? <HealthBadge health={view.health} /> : null}
      </div>
      <dl className="flex flex-1 flex-col gap-2 px-4 py-3">
        {view ? (
          <div className="flex items-center justify-between gap-3">
            <dt className="text-ink-2">Calls to its Admin API</dt>
            <dd className={view.throttling.jobs_waiting ? "text-right text-warn" : "text-ink-2"}>
              <Pace throttling={view.throttling} />
            </dd>
          </div>
        ) : null}
        {Object.entries(limits).map(([name, sheet]) => (
          <div key={name} className="flex items-center justify-between gap-3" title={sheet.finePrint}>
            <dt className="text-ink-2">{limitTitle(name)}</dt>
            <dd>
              <EnforcerBadge by={sheet.enforcedBy} />
            </dd>
          </div>
        ))}
      </dl>
      <div className="flex flex-wrap items-center justify-between gap-2 border-t border-line px-4 py-3">
        <span className="text-[0.8125rem] text-ink-3">
          {view ? `${plural(view.active_keys, "active key")} · ${view.admin_key_hint}` : "Not set up"}
        </span>
        <Link
          className={buttonClass(view || whyNot ? "secondary" : "primary", "sm")}
          to="/vendors/$vendor"
          params={{ vendor }}
        >
          {view || whyNot ? "Open" : "Set up"}
        </Link>
      </div>
    </li>
  );
}
