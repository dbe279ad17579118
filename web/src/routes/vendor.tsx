import type { CheckReport, VendorView } from "@keygate/shared/contracts/vendors";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Activity, Trash2 } from "lucide-react";
import { useState } from "react";
import { ChangeButton } from "../components/change.tsx";
import { Confirm } from "../components/confirm.tsx";
import { HealthBadge, Pace } from "../components/health.tsx";
import { LimitsTable } from "../components/limits-table.tsx";
import { Fact, Facts, Page } from "../components/page.tsx";
import { Badge } from "../components/ui/badge.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Notice, ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Time } from "../components/ui/time.tsx";
import { queryClient } from "../data/query-client.ts";
import { checkVendor, contractOf, removeVendor, vendorsQuery } from "../data/vendors.ts";
import { CheckFindings } from "../features/vendors/check-findings.tsx";
import { VendorForm } from "../features/vendors/vendor-form.tsx";
import { useDeed } from "../lib/deed.ts";
import { toast } from "../lib/toasts.ts";

const route = getRouteApi("/app/vendors/$vendor");
const sources = { api: "Set up here", environment: "From the environment", simulator: "Simulated here" } as const;

export function VendorPage() {
  const { vendor } = route.useParams();
  const vendors = useQuery(vendorsQuery);
  const [report, setReport] = useState<CheckReport | null>(null);
  const [asksToRemove, setAsksToRemove] = useState(false);
  const navigate = useNavigate();
  const contract = contractOf(vendor);
  const view = vendors.data?.find((each) => each.vendor === vendor);

  const [check, isChecking] = useDeed(async () => {
    setReport(await checkVendor(vendor));
    await queryClient.invalidateQueries({ queryKey: ["vendors"] });
  });
  const limits = Object.entries(contract.limits).map(([limit, sheet]) => ({
    limit,
    requested: [] as string[],
    enforced_by: sheet.enforcedBy,
    delay: sheet.delay,
    fine_print: sheet.finePrint,
  }));

  return (
    <Page
      title={contract.title}
      note={view ? <HealthBadge health={view.health} /> : "Not set up yet"}
      action={
        view ? (
          <>
            <ChangeButton isBusy={isChecking} onClick={check}>
              <Activity aria-hidden /> Check now
            </ChangeButton>
            <ChangeButton variant="danger" onClick={() => setAsksToRemove(true)}>
              <Trash2 aria-hidden /> Remove
            </ChangeButton>
          </>
        ) : null
      }
    >
      {vendors.isError ? <ProblemNotice error={vendors.error} /> : null}
      {vendors.isPending ? <SkeletonRows rows={3} /> : null}
      {view ? <About view={view} /> : null}
      {report ? <CheckFindings report={report} /> : null}
      <div className="grid items-start gap-5 lg:grid-cols-2">
        <Card>
          <CardHead
            title={view ? "Replace the credential" : "Set it up"}
            note="Encrypted before it is stored, and never shown again."
          />
          {vendors.isPending ? (
            <SkeletonRows rows={4} />
          ) : (
            <VendorForm key={view ? "known" : "new"} vendor={vendor} configured={view} />
          )}
        </Card>
        <Card>
          <CardHead title="What it enforces" note="From the vendor's documentation and behaviour, not from wishes" />
          <LimitsTable limits={limits.map((line) => ({ ...line, requested: "" }))} />
        </Card>
      </div>
      {view ? (
        <Confirm
          isOpen={asksToRemove}
          onClose={() => setAsksToRemove(false)}
          title={`Remove ${contract.title}?`}
          deed={view.active_keys > 0 ? "Remove, and leave its keys behind" : "Remove"}
          typed={view.active_keys > 0 || view.source !== "api" ? vendor : undefined}
          run={async () => {
            await removeVendor(vendor, view.active_keys > 0 || view.source !== "api");
            await queryClient.invalidateQueries({ queryKey: ["vendors"] });
            toast("good", `${contract.title} is removed`);
            await navigate({ to: "/vendors" });
          }}
        >
          {view.active_keys > 0 ? (
            <Notice tone="bad" title={`${view.active_keys} of its keys still work`}>
              Without the credential KeyGate can no longer revoke them.{" "}
              <Link className="underline" to="/keys" search={{ vendor }}>
                Revoke them first
              </Link>
              .
            </Notice>
          ) : (
            <p>The stored credential is deleted. Keys can be made there again once it is set up anew.</p>
          )}
          {view.source === "api" ? null : <p>It comes from the environment and is back at the next start.</p>}
        </Confirm>
      ) : null}
    </Page>
  );
}

const About = ({ view }: { view: VendorView }) => (
  <Card>
    {view.health.status === "unhealthy" ? (
      <Notice tone="bad" className="m-4 mb-0" title="The vendor does not take what KeyGate asks of it">
        {view.health.detail} Jobs wait until that is mended; nothing is lost.
      </Notice>
    ) : null}
    <Facts>
      <Fact label="Admin credential">
        <span className="font-mono text-[0.8125rem]">{view.admin_key_hint}</span>
      </Fact>
      <Fact label="Source">{view.simulated ? <Badge>{sources[view.source]}</Badge> : sources[view.source]}</Fact>
      <Fact label="Active keys">
        <Link className="underline" to="/keys" search={{ vendor: view.vendor }}>
          {view.active_keys}
        </Link>
      </Fact>
      <Fact label="Organization">{view.org_id ?? "–"}</Fact>
      <Fact label="Set up">
        <Time at={view.configured_at} as="full" />
      </Fact>
      <Fact label="Calls to its Admin API">
        <Pace throttling={view.throttling} />
      </Fact>
      <Fact label="Health">
        {view.health.status}
        {view.health.since ? (
          <>
            {" "}
            since <Time at={view.health.since} />
          </>
        ) : null}
      </Fact>
    </Facts>
  </Card>
);
