import type { JobId } from "@keygate/shared/contracts/ids";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { Countdown } from "../../components/countdown.tsx";
import { VendorName } from "../../components/marks.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { SkeletonRows } from "../../components/ui/skeleton.tsx";
import { Time } from "../../components/ui/time.tsx";
import { claimQuery, claimWithProof, disputeClaim, proofFor } from "../../data/claims.ts";
import { queryClient } from "../../data/query-client.ts";
import { Problem } from "../../lib/problem.ts";
import { canReceive, openerOf } from "../../lib/receiver.ts";
import { KeyCard, KeyForgotten, type TakenKey } from "./key-card.tsx";

/** What a developer's link leads to. Looking at it takes nothing; taking it sends nothing that could open the key. */
export function Claim({ id, privateHalf }: { id: JobId; privateHalf: string }) {
  const claim = useQuery(claimQuery(id));
  const [taken, setTaken] = useState<TakenKey | "closed" | null>(null);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const isWhole = /^[A-Za-z0-9_-]{43}$/.test(privateHalf);

  if (taken === "closed") return <KeyForgotten />;
  if (taken) return <KeyCard taken={taken} onClose={() => setTaken("closed")} />;
  if (claim.isPending) return <SkeletonRows rows={3} />;
  if (!claim.data) {
    const isUnknown = claim.error instanceof Problem && claim.error.status === 404;
    return isUnknown ? (
      <Notice tone="bad" title="There is no key behind this link">
        It may have been cut off on its way. Ask for it to be sent again, or for a new one.
      </Notice>
    ) : (
      <ProblemNotice error={claim.error} action={<Button onClick={() => claim.refetch()}>Try again</Button>} />
    );
  }
  const { developer_name, requested_by, vendor, state, until, taken_at } = claim.data;

  const take = async () => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      const open = await openerOf(privateHalf);
      const result = await claimWithProof(id, await proofFor(id, open));
      if (!result.api_key_jwe) throw new Error("The answer held no sealed key.");
      const secret = await open(result.api_key_jwe);
      setTaken({ secret, result: { ...result, api_key_jwe: undefined } });
    } catch (thrown) {
      setError(thrown);
      void queryClient.invalidateQueries({ queryKey: ["claims", id] });
    } finally {
      setBusy(false);
    }
  };

  return (
    <Card>
      <CardHead
        title={`A key for ${developer_name}`}
        note={`From ${requested_by}`}
        action={<VendorName vendor={vendor} />}
      />
      <div className="flex flex-col gap-4 p-4">
        {state === "ready" ? (
          <>
            <p>
              It is shown once, to whoever takes it first. Have the place ready where it goes; a password manager or a
              secret store is better than a file.
            </p>
            {isWhole && canReceive() ? (
              <div className="flex flex-wrap items-center gap-3">
                <Button variant="primary" isBusy={isBusy} onClick={take}>
                  Show me the key
                </Button>
                {until ? (
                  <span className="text-ink-3">
                    <Countdown until={until} /> left
                  </span>
                ) : null}
              </div>
            ) : (
              <Notice tone="bad" title={isWhole ? "This page needs https" : "The link is not whole"}>
                {isWhole
                  ? "Browsers open sealed keys only over a secure connection."
                  : "The part behind the # is missing or cut off. Copy the whole link, or ask for a new one."}
              </Notice>
            )}
          </>
        ) : null}
        {state === "preparing" ? (
          <Notice tone="info" role="status" title="The key is being made">
            This page goes on by itself when it is ready.
          </Notice>
        ) : null}
        {state === "gone" ? (
          <Notice tone="warn" title="The time of this key is over">
            Nobody took it, or it has been revoked. Ask {requested_by} for a new one.
          </Notice>
        ) : null}
        {state === "taken" ? <Taken id={id} privateHalf={isWhole ? privateHalf : null} at={taken_at} /> : null}
        {error ? <ProblemNotice error={error} /> : null}
      </div>
    </Card>
  );
}

function Taken({ id, privateHalf, at }: { id: JobId; privateHalf: string | null; at: string | null }) {
  const [state, setState] = useState<"idle" | "busy" | "told">("idle");
  const [error, setError] = useState<unknown>(null);
  const tell = async () => {
    if (!privateHalf || state !== "idle") return;
    setState("busy");
    setError(null);
    try {
      const open = await openerOf(privateHalf);
      await disputeClaim(id, await proofFor(id, open));
      setState("told");
    } catch (thrown) {
      setError(thrown);
      setState("idle");
    }
  };
  if (state === "told") {
    return (
      <Notice tone="good" role="status" title="Reported">
        The admins see it in the audit log. Call them as well: they can revoke the key at once.
      </Notice>
    );
  }
  return (
    <>
      <Notice
        tone="warn"
        title="This key has been taken already"
        action={
          <Button
            variant="danger"
            isBusy={state === "busy"}
            reason={privateHalf ? null : "The part behind the # is missing"}
            onClick={tell}
          >
            This was not me
          </Button>
        }
      >
        {at ? (
          <>
            It was shown once, <Time at={at} as="full" />, and cannot be shown again.
          </>
        ) : (
          "It was shown once and cannot be shown again."
        )}
      </Notice>
      {error ? <ProblemNotice error={error} /> : null}
    </>
  );
}
