import { isFinal, type JobDetail } from "@keygate/shared/contracts/jobs";
import { useQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { Ban, RotateCcw } from "lucide-react";
import { useState } from "react";
import { ChangeButton, ChangeLink } from "../components/change.tsx";
import { Confirm } from "../components/confirm.tsx";
import { JobProgress } from "../components/job-progress.tsx";
import { JobStateBadge, VendorName } from "../components/marks.tsx";
import { Fact, Facts, Page, Pager } from "../components/page.tsx";
import { Card, CardHead } from "../components/ui/card.tsx";
import { Notice, ProblemNotice } from "../components/ui/notice.tsx";
import { SkeletonRows } from "../components/ui/skeleton.tsx";
import { Table, Td, Th } from "../components/ui/table.tsx";
import { Time } from "../components/ui/time.tsx";
import { meQuery } from "../data/auth.ts";
import { cancelJob, jobsQuery, retryJob, useLiveJob } from "../data/jobs.ts";
import { queryClient } from "../data/query-client.ts";
import { isNotFound } from "../lib/api.ts";
import { useDeed } from "../lib/deed.ts";
import { words } from "../lib/format.ts";
import { toast } from "../lib/toasts.ts";
import { NotFound } from "./states.tsx";

const route = getRouteApi("/app/jobs/$id");
const makesKey = (job: JobDetail) => job.kind === "provision" || job.kind === "rotate";

/** Why a job cannot be run again now; null when it can. */
function whyNotRetry(job: JobDetail): string | null {
  if (isFinal(job.status)) return job.status === "cancelled" ? "It was cancelled" : `It has ${job.status}`;
  const waits =
    ["waiting_for_vendor", "compensating", "needs_attention"].includes(job.status) ||
    (job.status === "queued" && job.next_try_at !== null);
  return waits && job.kind !== "batch_revoke" ? null : "It is not waiting for another try";
}

export function JobPage() {
  const { id } = route.useParams();
  const live = useLiveJob(id);
  const me = useQuery(meQuery);
  const [asksToCancel, setAsksToCancel] = useState(false);
  const [retry, isRetrying] = useDeed(async () => {
    await retryJob(id);
    toast("info", "Running it again");
    await queryClient.invalidateQueries({ queryKey: ["jobs"] });
  });
  if (isNotFound(live.error)) return <NotFound />;
  if (!live.data)
    return <Page title="Job">{live.isError ? <ProblemNotice error={live.error} /> : <SkeletonRows />}</Page>;
  const job = live.data;
  const isMine = me.data?.email === job.requested_by;
  return (
    <Page
      title={words(job.kind)}
      note={
        <span className="flex flex-wrap items-center gap-3">
          <JobStateBadge state={job.status} />
          {job.vendor ? <VendorName vendor={job.vendor} /> : null}
        </span>
      }
      action={
        <>
          <ChangeButton isBusy={isRetrying} reason={whyNotRetry(job)} onClick={retry}>
            <RotateCcw aria-hidden /> Retry now
          </ChangeButton>
          <ChangeButton
            variant="danger"
            reason={
              makesKey(job) && !isFinal(job.status) && job.status !== "compensating"
                ? null
                : "Only a job that is making a key can be cancelled"
            }
            onClick={() => setAsksToCancel(true)}
          >
            <Ban aria-hidden /> Cancel
          </ChangeButton>
        </>
      }
    >
      {job.error ? (
        <Notice tone={isFinal(job.status) || job.status === "needs_attention" ? "bad" : "warn"} title={job.error.title}>
          <p>{job.error.detail}</p>
          {job.next_try_at ? (
            <p>
              Next try <Time at={job.next_try_at} as="full" />.
            </p>
          ) : null}
        </Notice>
      ) : null}
      {makesKey(job) &&
      isMine &&
      (job.status === "waiting_for_input" || job.claim?.available || !isFinal(job.status)) ? (
        <Notice
          tone="info"
          title={
            job.status === "waiting_for_input"
              ? "It waits for a person"
              : job.claim?.available
                ? "The key waits to be taken"
                : "The key is handed over when it is made"
          }
          action={
            <ChangeLink variant="primary" size="sm" to="/handover/$id" params={{ id }}>
              {job.status === "waiting_for_input" ? "Go through it" : "To the handover"}
            </ChangeLink>
          }
        >
          {job.waiting?.reason}
        </Notice>
      ) : null}
      {job.status === "waiting_for_input" && !isMine ? (
        <Notice tone="warn" title="It waits for a person">
          {job.waiting?.reason} {job.requested_by} asked for it and can go through it.
        </Notice>
      ) : null}
      <div className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_22rem]">
        <div className="flex min-w-0 flex-col gap-5">
          <Card>
            <CardHead title="Progress" />
            <div className="p-4">
              <JobProgress job={job} />
            </div>
          </Card>
          {job.kind === "batch_revoke" ? <Children id={id} /> : null}
        </div>
        <Card>
          <CardHead title="Facts" />
          <Facts>
            <Fact label="Asked for by">{job.requested_by}</Fact>
            <Fact label="Tries">{job.attempts}</Fact>
            <Fact label="Asked for">
              <Time at={job.created_at} as="full" />
            </Fact>
            {job.finished_at ? (
              <Fact label="Ended">
                <Time at={job.finished_at} as="full" />
              </Fact>
            ) : null}
            {job.key_id ? (
              <Fact label="Key">
                <Link className="underline" to="/keys/$id" params={{ id: job.key_id }}>
                  see it
                </Link>
              </Fact>
            ) : null}
            {job.parent_id ? (
              <Fact label="Part of">
                <Link className="underline" to="/jobs/$id" params={{ id: job.parent_id }}>
                  a batch
                </Link>
              </Fact>
            ) : null}
            <Fact label="Id">
              <span className="font-mono text-[0.8125rem]">{job.id}</span>
            </Fact>
          </Facts>
        </Card>
      </div>
      <Confirm
        isOpen={asksToCancel}
        onClose={() => setAsksToCancel(false)}
        title="Cancel this job?"
        deed="Cancel the job"
        run={async () => {
          await cancelJob(id);
          toast("info", "Cancelling", "What was made at the vendor is undone.");
          await queryClient.invalidateQueries({ queryKey: ["jobs"] });
        }}
      >
        <p>KeyGate stops it and undoes at the vendor whatever it has made so far.</p>
      </Confirm>
    </Page>
  );
}

/** A batch's result for each key. */
function Children({ id }: { id: JobDetail["id"] }) {
  const children = useQuery(jobsQuery({ parent_id: id }, 100));
  return (
    <Card>
      <CardHead title="Each key" />
      {children.data?.items.length ? (
        <>
          <Table label="Revocations of this batch">
            <thead>
              <tr>
                <Th>Key</Th>
                <Th>Vendor</Th>
                <Th>Result</Th>
                <Th>Why</Th>
              </tr>
            </thead>
            <tbody>
              {children.data.items.map((child) => (
                <tr key={child.id}>
                  <Td>
                    {child.key_id ? (
                      <Link
                        className="font-mono text-[0.8125rem] hover:underline"
                        to="/keys/$id"
                        params={{ id: child.key_id }}
                      >
                        …{child.key_id.slice(-12)}
                      </Link>
                    ) : (
                      "–"
                    )}
                  </Td>
                  <Td>{child.vendor ? <VendorName vendor={child.vendor} /> : null}</Td>
                  <Td>
                    <Link to="/jobs/$id" params={{ id: child.id }}>
                      <JobStateBadge state={child.status} />
                    </Link>
                  </Td>
                  <Td className="text-ink-2">{child.error?.detail}</Td>
                </tr>
              ))}
            </tbody>
          </Table>
          <Pager shown={children.data.items.length} noun="key" next={null} cursor={undefined} onCursor={() => {}} />
        </>
      ) : (
        <p className="p-4 text-ink-2">{children.isPending ? "…" : "No live key was in it."}</p>
      )}
    </Card>
  );
}
