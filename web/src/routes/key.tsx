import { liveKeyStatuses } from "@keygate/shared/contracts/keys";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link, useNavigate } from "@tanstack/react-router";
import { RotateCw, Trash2 } from "lucide-react";
import { ChangeButton, ChangeLink } from "../components/change.tsx";
import { EventList } from "../components/event-list.tsx";
import { LimitsTable } from "../components/limits-table.tsx";
import { KeyStatusBadge, VendorName } from "../components/marks.tsx";
import { Fact, Facts, Page } from "../components/page.tsx";
import { buttonClass } from "../components/ui/button.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Notice, ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Time } from "../components/ui/time.tsx";
import { auditQuery } from "../data/audit.ts";
import { jobQuery } from "../data/jobs.ts";
import { keyQuery } from "../data/keys.ts";
import { RevokeDialog, RotateDialog, whyNotRevoke, whyNotRotate } from "../features/keys/key-actions.tsx";
import { isNotFound } from "../lib/api.ts";
import { dollars, keyLabel, words } from "../lib/format.ts";
import { NotFound } from "./states.tsx";

const route = getRouteApi("/app/keys/$id");

export function KeyPage() {
  const { id } = route.useParams();
  const found = useQuery(keyQuery(id));
  const history = useQuery(auditQuery({ resource_id: id }, 20));
  const navigate = useNavigate();
  const { asks: asked } = route.useSearch();
  const setAsks = (asks: "rotate" | "revoke" | undefined) =>
    navigate({ to: "/keys/$id", params: { id }, search: asks ? { asks } : {}, replace: asks === undefined });
  if (isNotFound(found.error)) return <NotFound />;
  if (!found.data)
    return <Page title="Key">{found.isError ? <ProblemNotice error={found.error} /> : <SkeletonRows />}</Page>;
  const key = found.data;
  // An address that was kept, or a way back, asks nothing of a key that is gone.
  const asks = (liveKeyStatuses as readonly string[]).includes(key.status) ? asked : undefined;
  return (
    <Page
      title={keyLabel(key)}
      note={
        <span className="flex flex-wrap items-center gap-3">
          <KeyStatusBadge status={key.status} />
          <VendorName vendor={key.vendor} isSimulated={key.simulated} />
          <Link className="hover:underline" to="/developers/$id" params={{ id: key.developer_id }}>
            {key.developer_name}
          </Link>
        </span>
      }
      action={
        <>
          <ChangeButton reason={whyNotRotate(key)} onClick={() => setAsks("rotate")}>
            <RotateCw aria-hidden /> Rotate
          </ChangeButton>
          <ChangeButton variant="danger" reason={whyNotRevoke(key)} onClick={() => setAsks("revoke")}>
            <Trash2 aria-hidden /> Revoke
          </ChangeButton>
        </>
      }
    >
      {key.status === "revoking" ? (
        <Notice tone="warn" title="The vendor has not confirmed yet that it is gone">
          KeyGate goes on until it has. {key.status_reason}
        </Notice>
      ) : null}
      {key.status === "active" && !key.claimed_at && key.job_id ? <Unclaimed jobId={key.job_id} /> : null}
      {key.status === "failed" && key.status_reason ? (
        <Notice tone="bad" title="It never came to be">
          {key.status_reason}
        </Notice>
      ) : null}
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="flex min-w-0 flex-col gap-5">
          <Card>
            <CardHead title="Facts" />
            <Facts>
              <Fact label="Budget">{dollars(key.budget_limit_usd)} a month</Fact>
              <Fact label="Requests a minute">{key.rate_limit_rpm}</Fact>
              <Fact label="Models">{key.models_allowed?.join(", ") ?? "Every model"}</Fact>
              <Fact label="Expires">{key.expires_at ? <Time at={key.expires_at} as="full" /> : "Never"}</Fact>
              <Fact label="Made">
                <Time at={key.created_at} as="full" />
              </Fact>
              <Fact label="Taken">{key.claimed_at ? <Time at={key.claimed_at} as="full" /> : "Not yet"}</Fact>
              {key.revoked_at ? (
                <Fact label="Gone at the vendor">
                  <Time at={key.revoked_at} as="full" />
                </Fact>
              ) : null}
              {key.retire_at ? (
                <Fact label="Ends">
                  <Time at={key.retire_at} as="full" />
                </Fact>
              ) : null}
              <Fact label="Project at the vendor">
                <span className="font-mono text-[0.8125rem]">{key.project_name}</span>
              </Fact>
              <Fact label="Id">
                <span className="font-mono text-[0.8125rem]">{key.id}</span>
              </Fact>
              {key.replaces ? (
                <Fact label="Replaces">
                  <Link className="underline" to="/keys/$id" params={{ id: key.replaces }}>
                    the key before it
                  </Link>
                </Fact>
              ) : null}
              {key.replaced_by ? (
                <Fact label="Replaced by">
                  <Link className="underline" to="/keys/$id" params={{ id: key.replaced_by }}>
                    its successor
                  </Link>
                </Fact>
              ) : null}
              {key.job_id ? (
                <Fact label="Newest job">
                  <Link className="underline" to="/jobs/$id" params={{ id: key.job_id }}>
                    see it
                  </Link>
                </Fact>
              ) : null}
              {key.description ? <Fact label="What it is for">{key.description}</Fact> : null}
            </Facts>
          </Card>
          <Card>
            <CardHead
              title="History"
              action={
                <Link className={buttonClass("ghost", "sm")} to="/audit" search={{ resource_id: id }}>
                  All of it
                </Link>
              }
            />
            <EventList events={history.data?.items} error={history.error} />
          </Card>
        </div>
        <div className="flex min-w-0 flex-col gap-5">
          <Card>
            <CardHead title="Who enforces what" />
            {key.limits.length > 0 ? (
              <LimitsTable limits={key.limits} />
            ) : (
              <p className="p-4 text-ink-2">Known when the vendor has made the key.</p>
            )}
          </Card>
          <Card>
            <CardHead title="At the vendor" note="What stands for this key there" />
            <dl className="flex flex-col gap-2 p-4 text-[0.8125rem]">
              {Object.entries(key.vendor_resources)
                .filter(([name, value]) => typeof value !== "object" && !name.endsWith("Cents"))
                .map(([name, value]) => (
                  <div key={name}>
                    <dt className="text-ink-3">{words(name.replaceAll(/([A-Z])/g, " $1").toLowerCase())}</dt>
                    <dd className="font-mono [overflow-wrap:anywhere]">{String(value)}</dd>
                  </div>
                ))}
            </dl>
          </Card>
        </div>
      </div>
      <RotateDialog
        keyId={id}
        isOpen={asks === "rotate"}
        onClose={() => setAsks(undefined)}
        onAsked={(jobId, by) => navigate({ to: "/handover/$id", params: { id: jobId }, search: { by } })}
      />
      <RevokeDialog view={key} isOpen={asks === "revoke"} onClose={() => setAsks(undefined)} />
    </Page>
  );
}

function Unclaimed({ jobId }: { jobId: Parameters<typeof jobQuery>[0] }) {
  const job = useQuery(jobQuery(jobId));
  if (!job.data?.claim?.available) return null;
  return (
    <Notice
      tone="info"
      title="Nobody has taken this key yet"
      action={
        <ChangeLink variant="primary" size="sm" to="/handover/$id" params={{ id: jobId }}>
          Hand it over
        </ChangeLink>
      }
    >
      It waits sealed
      {job.data.claim.until ? (
        <>
          , until <Time at={job.data.claim.until} as="full" />
        </>
      ) : (
        ""
      )}
      .
    </Notice>
  );
}
