import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { Eye, Plug } from "lucide-react";
import { useWhyNotChange } from "../components/change.tsx";
import { Page } from "../components/page.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Card } from "../components/ui/card.tsx";
import { Empty } from "../components/ui/empty.tsx";
import { ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { vendorsQuery } from "../data/vendors.ts";
import { ProvisionForm } from "../features/keys/provision-form.tsx";

const route = getRouteApi("/app/keys/new");

export function NewKeyPage() {
  const search = route.useSearch();
  const vendors = useQuery(vendorsQuery);
  const navigate = useNavigate();
  const whyNot = useWhyNotChange();
  return (
    <Page title="New key" note="A real key at the vendor, for one developer, with limits in force before it exists.">
      {vendors.isPending ? <SkeletonRows /> : null}
      {vendors.isError ? <ProblemNotice error={vendors.error} /> : null}
      {whyNot ? (
        <Card>
          <Empty icon={Eye} title={whyNot}>
            Ask an admin for a new key.
          </Empty>
        </Card>
      ) : null}
      {!whyNot && vendors.data?.length === 0 ? (
        <Card>
          <Empty
            icon={Plug}
            title="No vendor is set up yet"
            action={
              <Link className={buttonClass("primary")} to="/vendors">
                Set up a vendor
              </Link>
            }
          >
            KeyGate makes keys with a vendor's admin credential: give it one first.
          </Empty>
        </Card>
      ) : null}
      {!whyNot && vendors.data?.length ? (
        <ProvisionForm
          vendors={vendors.data}
          start={{ developer: search.developer, vendor: search.vendor, workspace: search.workspace }}
          onAsked={(id, by) => navigate({ to: "/handover/$id", params: { id }, search: { by }, replace: true })}
        />
      ) : null}
    </Page>
  );
}
