import { KeyId } from "@keygate/shared/contracts/ids";
import { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { ChangeLink, useWhyNotChange } from "../components/change.tsx";
import { EventList } from "../components/event-list.tsx";
import { HealthBadge } from "../components/health.tsx";
import { VendorName } from "../components/marks.tsx";
import { Page } from "../components/page.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Notice, ProblemNotice } from "../components/ui/notice.tsx";
import { Skeleton } from "../components/ui/skeleton.tsx";
import { Time } from "../components/ui/time.tsx";
import { auditQuery } from "../data/audit.ts";
import { keysQuery } from "../data/keys.ts";
import { statsQuery } from "../data/overview.ts";
import { vendorsQuery } from "../data/vendors.ts";
import { Bars } from "../features/overview/bars.tsx";
import { FirstSteps } from "../features/overview/first-steps.tsx";
import { History } from "../features/overview/history.tsx";
import { cn } from "../lib/cn.ts";
import { count } from "../lib/format.ts";

const weekMs = 7 * 86_400_000;

export function OverviewPage() {
  const stats = useQuery(statsQuery);
  const vendors = useQuery(vendorsQuery);
  const newest = useQuery(keysQuery({ status: "all" }, 5));
  const disputes = useQuery(auditQuery({ action: "key.claim_disputed" }, 3));
  const whyNot = useWhyNotChange();
  const data = stats.data;
  const isEmpty =
    newest.data?.items.length === 0 ||
    (newest.data !== undefined && newest.data.next === null && newest.data.items.every((key) => !key.claimed_at));
  const recent = disputes.data?.items.filter((event) => Date.parse(event.created_at) > Date.now() - weekMs) ?? [];

  return (
    <Page
      title="Overview"
      action={
        <ChangeLink variant="primary" to="/keys/new">
          <Plus aria-hidden /> New key
        </ChangeLink>
      }
    >
      {stats.isError ? <ProblemNotice error={stats.error} /> : null}
      {recent.map((event) => (
        <Notice
          key={event.id}
          tone="bad"
          title="Somebody says that a key was taken by somebody else"
          action={
            <Link
              className={buttonClass("danger", "sm")}
              to="/keys/$id"
              params={{ id: KeyId.parse(event.resource_id) }}
            >
              {whyNot ? "See the key" : "See the key and revoke it"}
            </Link>
          }
        >
          Reported <Time at={event.created_at} /> by the holder of its link.
        </Notice>
      ))}
      {isEmpty && data && vendors.data ? (
        <FirstSteps
          hasVendor={vendors.data.length > 0}
          isSimulated={vendors.data.some((vendor) => vendor.simulated)}
          hasDeveloper={data.total_developers > 0}
          hasKey={(newest.data?.items.length ?? 0) > 0}
          isTaken={newest.data?.items.some((key) => key.claimed_at) ?? false}
        />
      ) : null}
      <dl className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Figure label="Active keys" value={data?.active_keys} to="/keys" />
        <Figure
          label="Jobs that wait for a person"
          value={data?.jobs_waiting_for_a_person}
          to="/jobs"
          search={{ status: "waiting_for_input" }}
          warn
        />
        <Figure
          label="Expire within a week"
          value={data?.keys_expiring_within_7_days}
          to="/keys"
          search={{ status: "all", expires_within_days: 7 }}
          warn
        />
        <Figure label="Revocations overdue" value={data?.revocations_overdue} to="/debt" bad />
      </dl>
      <Card>
        <CardHead title="Keys made and ended" note="The last 30 days" />
        {data ? <History days={data.keys_by_day ?? []} /> : <Skeleton className="m-4 h-48" />}
      </Card>
      <div className="grid gap-5 lg:grid-cols-3">
        <Card>
          <CardHead title="Keys by vendor" />
          {data ? (
            <Bars
              empty="No active keys yet."
              bars={Object.entries(data.keys_by_vendor).map(([id, n]) => {
                const vendor = VendorId.safeParse(id);
                return {
                  id,
                  n,
                  to: "/keys",
                  search: { vendor: id },
                  label: vendor.success ? <VendorName vendor={vendor.data} /> : id,
                };
              })}
            />
          ) : (
            <Waiting />
          )}
        </Card>
        <Card>
          <CardHead title="Keys by team" />
          {data ? (
            <Bars
              empty="No active keys yet."
              bars={Object.entries(data.keys_by_team).map(([id, n]) => ({
                id,
                n,
                label: id,
                to: "/developers",
                search: { team: id },
              }))}
            />
          ) : (
            <Waiting />
          )}
        </Card>
        <Card>
          <CardHead
            title="Vendors"
            action={
              <Link className={buttonClass("ghost", "sm")} to="/vendors">
                All
              </Link>
            }
          />
          {vendors.data ? (
            <ul className="flex flex-col gap-3 p-4">
              {vendors.data.length === 0 ? <li className="text-ink-2">None is set up yet.</li> : null}
              {vendors.data.map((vendor) => (
                <li key={vendor.vendor} className="flex flex-wrap items-center justify-between gap-2">
                  <Link className="hover:underline" to="/vendors/$vendor" params={{ vendor: vendor.vendor }}>
                    <VendorName vendor={vendor.vendor} />
                  </Link>
                  <HealthBadge health={vendor.health} />
                </li>
              ))}
            </ul>
          ) : (
            <Waiting />
          )}
        </Card>
      </div>
      <Card>
        <CardHead
          title="Recent events"
          action={
            <Link className={buttonClass("ghost", "sm")} to="/audit">
              The audit log
            </Link>
          }
        />
        <EventList events={data?.recent_events} />
      </Card>
    </Page>
  );
}

const Waiting = () => (
  <div className="flex flex-col gap-4 p-4">
    <Skeleton className="h-4 w-3/4" />
    <Skeleton className="h-4 w-1/2" />
    <Skeleton className="h-4 w-2/3" />
  </div>
);

interface FigureProps {
  label: string;
  value: number | undefined;
  to: string;
  search?: Record<string, string | number>;
  warn?: boolean;
  bad?: boolean;
}

const Figure = ({ label, value, to, search = {}, warn, bad }: FigureProps) => (
  <div className="relative rounded-lg border border-line bg-surface p-4 hover:border-line-strong">
    <dt className="text-[0.8125rem] text-ink-2">
      <Link to={to} search={search} className="after:absolute after:inset-0 after:rounded-lg">
        {label}
      </Link>
    </dt>
    <dd
      className={cn(
        "mt-1 text-2xl font-semibold tracking-tight tabular-nums",
        value && warn ? "text-warn" : "",
        value && bad ? "text-bad" : "",
      )}
    >
      {value === undefined ? <Skeleton className="my-1 h-6 w-12" /> : count(value)}
    </dd>
  </div>
);
