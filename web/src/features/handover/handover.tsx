import type { JobId } from "@keygate/shared/contracts/ids";
import { isFinal, type JobDetail } from "@keygate/shared/contracts/jobs";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { ChangeButton, ChangeLink } from "../../components/change.tsx";
import { Countdown } from "../../components/countdown.tsx";
import { JobProgress } from "../../components/job-progress.tsx";
import { JobStateBadge } from "../../components/marks.tsx";
import { Button, buttonClass } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { SkeletonRows } from "../../components/ui/skeleton.tsx";
import { claimSealed, nameReceiver, useLiveJob } from "../../data/jobs.ts";
import { queryClient } from "../../data/query-client.ts";
import { forgetReceiver, keepReceiver, makeReceiver, receiverOf } from "../../lib/receiver.ts";
import { InputForm } from "./anthropic-input.tsx";
import { KeyCard, KeyForgotten, type TakenKey } from "./key-card.tsx";

export type HandoverBy = "page" | "link";

/** From the request for a key to the key in somebody's hands, whatever happens on the way. */
export function Handover({ id, by }: { id: JobId; by: HandoverBy }) {
  const live = useLiveJob(id);
  const [taken, setTaken] = useState<TakenKey | "closed" | null>(null);

  if (taken === "closed") return <KeyForgotten />;
  if (taken) return <KeyCard taken={taken} onClose={() => setTaken("closed")} />;
  if (live.isPending) return <SkeletonRows rows={4} />;
  if (live.isError && !live.data)
    return <ProblemNotice error={live.error} action={<Button onClick={() => live.refetch()}>Try again</Button>} />;
  const job = live.data;

  return (
    <div className="flex flex-col gap-4">
      <Card>
        <CardHead
          title={job.kind === "rotate" ? "Making the new key" : "Making the key"}
          action={<JobStateBadge state={job.status} />}
        />
        <div className="p-4">
          <JobProgress job={job} />
        </div>
      </Card>
      {live.isError ? (
        <Notice tone="warn" title="KeyGate cannot be reached right now">
          The job goes on without this page. It is looked at again by itself.
        </Notice>
      ) : null}
      <Waiting job={job} />
      {job.status === "waiting_for_input" ? <ForInput job={job} by={by} /> : null}
      {job.claim?.claimed_at ? (
        <Notice tone="good" title="The key has been taken">
          If that was neither you nor the developer, <KeyLink job={job} text="revoke it" />.
        </Notice>
      ) : null}
      {job.status === "succeeded" && !job.claim?.claimed_at && !job.claim?.available ? (
        <Notice tone="warn" title="Nobody took the key in time">
          Nobody has it, so nobody misses it: KeyGate has it removed at the vendor.{" "}
          <KeyLink job={job} text="See the key" />, or make another.
        </Notice>
      ) : null}
      {by === "link" && !isFinal(job.status) ? <LinkCard job={job} /> : null}
      {job.claim?.available ? by === "link" ? <LinkCard job={job} /> : <TakeCard job={job} onTaken={setTaken} /> : null}
    </div>
  );
}

const KeyLink = ({ job, text }: { job: JobDetail; text: string }) =>
  job.key_id ? (
    <Link className="underline" to="/keys/$id" params={{ id: job.key_id }}>
      {text}
    </Link>
  ) : null;

/** What a job waits for, or why it came to nothing. */
function Waiting({ job }: { job: JobDetail }) {
  if (
    job.status === "failed" ||
    job.status === "cancelled" ||
    job.status === "needs_attention" ||
    job.status === "compensating"
  ) {
    return (
      <Notice
        tone="bad"
        role="alert"
        title={job.error?.title ?? (job.status === "cancelled" ? "The job was cancelled" : "The key could not be made")}
        action={
          <>
            <ChangeLink variant="secondary" size="sm" to="/keys/new">
              Try with other values
            </ChangeLink>
            <Link className={buttonClass("ghost", "sm")} to="/jobs/$id" params={{ id: job.id }}>
              See the job
            </Link>
          </>
        }
      >
        <p>{job.error?.detail}</p>
        <p>
          {job.status === "failed" || job.status === "cancelled"
            ? "Everything that was made on the way has been undone at the vendor."
            : "What was made on the way is being undone; KeyGate goes on until that is done."}
        </p>
      </Notice>
    );
  }
  if (isFinal(job.status) || job.status === "waiting_for_input" || !job.error) return null;
  return (
    <Notice tone="warn" role="status" title={`${job.error.title}: waiting it out`}>
      {job.error.detail}{" "}
      {job.next_try_at ? (
        <>
          Next try in <Countdown until={job.next_try_at} />.
        </>
      ) : null}
    </Notice>
  );
}

/** Before a person's key is given, the page must hold what opens it afterwards. */
function ForInput({ job, by }: { job: JobDetail; by: HandoverBy }) {
  const [hasReceiver, setHas] = useState(receiverOf(job.id) !== undefined);
  return hasReceiver ? (
    <InputForm job={job} />
  ) : (
    <Anew job={job} by={by} onDone={() => setHas(true)} title="Go on here">
      What opens this key was in a page that has been closed. This page takes over: nothing is lost, since no key was
      made yet.
    </Anew>
  );
}

function Anew({
  job,
  by,
  onDone,
  title,
  children,
}: {
  job: JobDetail;
  by: HandoverBy;
  onDone(): void;
  title: string;
  children: React.ReactNode;
}) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const takeOver = async () => {
    setBusy(true);
    setError(null);
    try {
      const receiver = await makeReceiver(by === "link");
      await nameReceiver(job.id, receiver);
      keepReceiver(job.id, receiver);
      await queryClient.invalidateQueries({ queryKey: ["jobs", job.id] });
      onDone();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <Notice
        tone="info"
        title="This page cannot open the key yet"
        action={
          <ChangeButton variant="primary" isBusy={isBusy} onClick={takeOver}>
            {title}
          </ChangeButton>
        }
      >
        {children}
      </Notice>
      {error ? <ProblemNotice error={error} /> : null}
    </>
  );
}

const sealedAnew =
  "What opens it was only in a page that has been closed or loaded anew. KeyGate can have the vendor remove that key, which nobody has seen, and make another one for this page.";

function TakeCard({ job, onTaken }: { job: JobDetail; onTaken(taken: TakenKey): void }) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [, redraw] = useState(0);
  const receiver = receiverOf(job.id);
  if (!receiver) {
    return (
      <Anew job={job} by="page" title="Make it anew for this page" onDone={() => redraw((n) => n + 1)}>
        {sealedAnew}
      </Anew>
    );
  }
  const take = async () => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      const result = await claimSealed(job.id);
      const secret = result.api_key_jwe ? await receiver.open(result.api_key_jwe) : null;
      if (secret === null) throw new Error("The answer held no sealed key. If nobody took it, ask for it again.");
      forgetReceiver(job.id);
      onTaken({ secret, result: { ...result, api_key_jwe: undefined } });
      void queryClient.invalidateQueries({ queryKey: ["keys"] });
      void queryClient.invalidateQueries({ queryKey: ["jobs", job.id] });
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <Card className="border-brand/50">
      <CardHead title="The key is ready" note="It is sealed for this page: nobody else can open it, KeyGate neither." />
      <div className="flex flex-col gap-3 p-4">
        <p>It is shown once. Have the place ready where it goes.</p>
        <div className="flex flex-wrap items-center gap-3">
          <ChangeButton variant="primary" isBusy={isBusy} onClick={take}>
            Take the key
          </ChangeButton>
          {job.claim?.until ? (
            <span className="text-ink-3">
              <Countdown until={job.claim.until} /> left, then it is removed at the vendor
            </span>
          ) : null}
        </div>
        {error ? <ProblemNotice error={error} /> : null}
      </div>
    </Card>
  );
}

function LinkCard({ job }: { job: JobDetail }) {
  const [, redraw] = useState(0);
  const privateHalf = receiverOf(job.id)?.privateHalf;
  if (job.status === "waiting_for_input") return null;
  if (!privateHalf) {
    return (
      <Anew job={job} by="link" title="Make a new link" onDone={() => redraw((n) => n + 1)}>
        The link was shown once, in the page that asked for the key. {job.status === "succeeded" ? sealedAnew : ""}
      </Anew>
    );
  }
  const link = `${location.origin}/claim/${job.id}#${privateHalf}`;
  return (
    <Card className="border-brand/50">
      <CardHead
        title="A link for the developer"
        note="Whoever opens it first gets the key, once. What opens the key is behind the #, which browsers send to nobody."
      />
      <div className="flex flex-col gap-3 p-4">
        <pre
          data-testid="claim-link"
          className="rounded-md border border-line bg-sunken p-3 font-mono text-[0.8125rem] break-all whitespace-pre-wrap"
        >
          {link}
        </pre>
        <div className="flex flex-wrap items-center gap-3">
          <CopyButton variant="primary" size="md" text={link} label="Copy the link" />
          {job.claim?.until ? (
            <span className="text-ink-3">
              <Countdown until={job.claim.until} /> left to take it
            </span>
          ) : (
            <span className="text-ink-3">It works as soon as the key is made.</span>
          )}
        </div>
        <p className="text-[0.8125rem] text-ink-3">
          Send it to the developer alone, by a way that only they read. This page shows when it has been taken.
        </p>
      </div>
    </Card>
  );
}
