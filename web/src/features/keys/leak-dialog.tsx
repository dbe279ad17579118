import type { FoundKey } from "@keygate/shared/contracts/keys";
import { liveKeyStatuses } from "@keygate/shared/contracts/keys";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { KeyStatusBadge, VendorName } from "../../components/marks.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Textarea } from "../../components/ui/field.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { findBySecret, revokeMany } from "../../data/keys.ts";
import { queryClient } from "../../data/query-client.ts";

/** Paste what was found, see whose it is, end it, replace it. */
export function LeakDialog({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) {
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title="A key has leaked"
      description="Paste the key, its last 16 characters, or the line in which you found it. It is compared by fingerprint and stored nowhere."
      className="max-w-2xl"
    >
      <LeakBody onClose={onClose} />
    </Dialog>
  );
}

function LeakBody({ onClose }: { onClose(): void }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<FoundKey[] | null>(null);
  const [busy, setBusy] = useState<"find" | "revoke" | "replace" | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt] = useState(() => crypto.randomUUID());
  const navigate = useNavigate();
  const live = found?.filter(({ key }) => (liveKeyStatuses as readonly string[]).includes(key.status)) ?? [];
  const certain = live.filter(({ match }) => match === "fingerprint");
  const doomed = certain.length > 0 ? certain : live;

  const during = async (what: NonNullable<typeof busy>, run: () => Promise<void>) => {
    if (busy) return;
    setBusy(what);
    setError(null);
    try {
      await run();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(null);
    }
  };
  const find = () =>
    during("find", async () => {
      setFound(await findBySecret(text.trim()));
      // What was pasted is not needed any more, and this page should not keep it either.
      setText("");
    });
  const revoke = (thenReplace: boolean) =>
    during(thenReplace ? "replace" : "revoke", async () => {
      const batch = await revokeMany({ key_ids: doomed.map(({ key }) => key.id) }, attempt);
      void queryClient.invalidateQueries({ queryKey: ["keys"] });
      onClose();
      const key = doomed[0]?.key;
      if (thenReplace && key) {
        await navigate({
          to: "/keys/new",
          search: {
            developer: key.developer_id,
            vendor: key.vendor,
            ...(key.workspace_id ? { workspace: key.workspace_id } : {}),
          },
        });
      } else await navigate({ to: "/jobs/$id", params: { id: batch.job_id } });
    });

  if (!found) {
    return (
      <form
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void find();
        }}
        className="flex flex-col gap-4"
      >
        <Field label="What was found">
          {(aria) => (
            <Textarea
              {...aria}
              required
              minLength={8}
              rows={4}
              autoFocus
              autoComplete="off"
              spellCheck={false}
              className="font-mono text-[0.8125rem]"
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
        {error ? <ProblemNotice error={error} /> : null}
        <DialogFoot>
          <Button
            type="submit"
            variant="primary"
            isBusy={busy === "find"}
            reason={text.trim().length < 8 ? "Paste at least 8 characters" : null}
          >
            Find whose it is
          </Button>
        </DialogFoot>
      </form>
    );
  }
  return (
    <div className="flex flex-col gap-4">
      {found.length === 0 ? (
        <Notice tone="info" role="status" title="No key of KeyGate's">
          It was not made here, or only a middle part of it was pasted. A key that KeyGate does not know has to be
          removed at the vendor by hand.
        </Notice>
      ) : (
        <ul className="divide-y divide-line rounded-lg border border-line" aria-label="Keys found">
          {found.map(({ match, key }) => (
            <li key={key.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-3 py-2.5">
              <VendorName vendor={key.vendor} isSimulated={key.simulated} />
              <span className="font-medium">{key.developer_name}</span>
              <span className="font-mono text-[0.8125rem] text-ink-3">{key.key_hint}</span>
              <span className="ml-auto flex gap-2">
                <Badge
                  tone={match === "fingerprint" ? "good" : "warn"}
                  title={match === "hint" ? "It begins and ends alike, which may be chance" : "The fingerprint fits"}
                >
                  {match === "fingerprint" ? "certain" : "may be it"}
                </Badge>
                <KeyStatusBadge status={key.status} />
              </span>
            </li>
          ))}
        </ul>
      )}
      {found.length > 0 && doomed.length === 0 ? (
        <Notice tone="good" title="It is dead already">
          The vendor no longer accepts it.
        </Notice>
      ) : null}
      {error ? <ProblemNotice error={error} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={() => setFound(null)}>
          Look for another
        </Button>
        {doomed.length > 0 ? (
          <>
            <Button variant="danger" isBusy={busy === "revoke"} onClick={() => revoke(false)}>
              Revoke {doomed.length === 1 ? "it" : `${doomed.length} keys`}
            </Button>
            <Button variant="primary" isBusy={busy === "replace"} onClick={() => revoke(true)}>
              Revoke and replace
            </Button>
          </>
        ) : null}
      </DialogFoot>
    </div>
  );
}
