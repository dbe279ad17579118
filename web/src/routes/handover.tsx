import { getRouteApi, Link } from "@tanstack/react-router";
import { Page } from "../components/page.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Handover } from "../features/handover/handover.tsx";

const route = getRouteApi("/app/handover/$id");

export function HandoverPage() {
  const { id } = route.useParams();
  const { by } = route.useSearch();
  return (
    <Page
      title="Hand over a key"
      note="The vendor makes it, KeyGate seals it, one person takes it."
      action={
        <Link className={buttonClass("ghost")} to="/jobs/$id" params={{ id }}>
          The job
        </Link>
      }
    >
      <div className="w-full max-w-3xl">
        <Handover key={id} id={id} by={by} />
      </div>
    </Page>
  );
}
