import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal, type JobDetail } from "@keygate/shared/contracts/jobs";
import type { KeyView } from "@keygate/shared/contracts/keys";
import { useQueries } from "@tanstack/react-query";
import { Link, useBlocker } from "@tanstack/react-router";
import { useState } from "react";
import { Countdown } from "../../components/countdown.tsx";
import { JobStateBadge, VendorName } from "../../components/marks.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { DialogFoot } from "../../components/ui/dialog.tsx";
import { Skeleton } from "../../components/ui/skeleton.tsx";
import { jobQuery } from "../../data/jobs.ts";
import { queryClient } from "../../data/query-client.ts";
import { toCsv } from "../../lib/csv.ts";
import { keyLabel } from "../../lib/format.ts";
import { asProblem } from "../../lib/problem.ts";
import { keepReceiver, makeReceiver, type Receiver, receiverOf } from "../../lib/receiver.ts";

/** What became of asking for one key's successor. */
export type Asked = { key: KeyView } & ({ jobId: JobId } | { fault: string } | { isAsking: true });

const atOnce = 3;

/**
 * Asks for a successor of each key, each sealed for a link of its own; `ask` is called once per key. A key whose request
 * fails does not stop the others.
 */
export async function askForEach(
  keys: readonly KeyView[],
  ask: (key: KeyView, receiver: Receiver) => Promise<{ job_id: JobId }>,
  onChange: (asked: Asked[]) => void,
): Promise<void> {
  const asked: Asked[] = keys.map((key) => ({ key, isAsking: true }));
  onChange([...asked]);
  const left = [...keys.entries()];
  const work = async () => {
    for (let next = left.shift(); next; next = left.shift()) {
      const [at, key] = next;
      try {
        const receiver = await makeReceiver(true);
        const { job_id: jobId } = await ask(key, receiver);
        keepReceiver(jobId, receiver);
        asked[at] = { key, jobId };
      } catch (error) {
        asked[at] = { key, fault: asProblem(error).message };
      }
      onChange([...asked]);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  void queryClient.invalidateQueries({ queryKey: ["keys"] });
}

const linkOf = (jobId: JobId): string | null => {
  const half = receiverOf(jobId)?.privateHalf;
  return half ? `${location.origin}/claim/${jobId}#${half}` : null;
};

/** A result per key: how far it is, and the link that its developer alone should get. */
export function LinkBatch({ asked, onClose }: { asked: readonly Asked[]; onClose(): void }) {
  const [isSaved, setSaved] = useState(false);
  const made = asked.flatMap((each) => ("jobId" in each ? [each] : []));
  const jobs = useQueries({ queries: made.map(({ jobId }) => jobQuery(jobId)) });
  const stateOf = new Map(made.map(({ jobId }, at) => [jobId, jobs[at]?.data]));
  const links = made.flatMap(({ key, jobId }) => {
    const link = linkOf(jobId);
    return link ? [[key.developer_name, key.vendor, link]] : [];
  });
  // The links live in this page's memory: moving around keeps them, loading it anew does not.
  useBlocker({ shouldBlockFn: () => false, enableBeforeUnload: () => links.length > 0 && !isSaved });
  const done = made.filter(({ jobId }) => {
    const status = stateOf.get(jobId)?.status;
    return status && isFinal(status);
  }).length;

  return (
    <div className="flex flex-col gap-4">
      <p role="status" className="text-ink-2">
        {done} of {asked.length} done. Send each link to its developer alone: whoever opens it first gets the key, once.
      </p>
      <ul
        className="max-h-[50dvh] divide-y divide-line overflow-y-auto rounded-lg border border-line"
        aria-label="A link for each key"
      >
        {asked.map((each) => (
          <li key={each.key.id} className="flex flex-wrap items-center gap-x-3 gap-y-2 px-3 py-2.5">
            <span className="min-w-0 flex-1 basis-44">
              <span className="block font-medium [overflow-wrap:anywhere]">{each.key.developer_name}</span>
              <span className="block truncate font-mono text-[0.8125rem] text-ink-3">{keyLabel(each.key)}</span>
            </span>
            <VendorName vendor={each.key.vendor} isSimulated={each.key.simulated} isCompact />
            {"isAsking" in each ? <Skeleton className="h-5 w-20" /> : null}
            {"fault" in each ? (
              <Badge tone="bad" title={each.fault}>
                not begun
              </Badge>
            ) : null}
            {"jobId" in each ? (
              <Result jobId={each.jobId} job={stateOf.get(each.jobId)} onCopied={() => setSaved(true)} />
            ) : null}
            {"fault" in each ? <p className="basis-full text-[0.8125rem] text-bad">{each.fault}</p> : null}
          </li>
        ))}
      </ul>
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Close
        </Button>
        <CopyButton
          variant="primary"
          size="md"
          label="Copy all as CSV"
          reason={links.length === 0 ? "There is no link yet" : null}
          text={() => toCsv([["developer", "vendor", "link"], ...links])}
          onCopied={() => setSaved(true)}
        />
      </DialogFoot>
    </div>
  );
}

function Result({ jobId, job, onCopied }: { jobId: JobId; job: JobDetail | undefined; onCopied(): void }) {
  const link = linkOf(jobId);
  if (!job) return <Skeleton className="h-5 w-20" />;
  return (
    <>
      {job.claim?.claimed_at ? <Badge tone="good">taken</Badge> : <JobStateBadge state={job.status} />}
      {job.claim?.until && !job.claim.claimed_at ? (
        <span className="text-[0.8125rem] text-ink-3">
          <Countdown until={job.claim.until} /> left
        </span>
      ) : null}
      {job.status === "waiting_for_input" ? (
        <Link className="underline" to="/handover/$id" params={{ id: jobId }} search={{ by: "link" }}>
          Go through it
        </Link>
      ) : null}
      {link && !job.claim?.claimed_at && job.status !== "failed" && job.status !== "cancelled" ? (
        <CopyButton text={link} label="Copy link" onCopied={onCopied} />
      ) : null}
      {job.error && job.status !== "succeeded" ? (
        <p className="basis-full text-[0.8125rem] text-ink-2">{job.error.detail}</p>
      ) : null}
    </>
  );
}
