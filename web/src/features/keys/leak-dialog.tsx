import { type FoundKey, type KeyView, liveKeyStatuses } from "@keygate/shared/contracts/keys";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { ChangeButton, ChangeLink } from "../../components/change.tsx";
import { KeyStatusBadge, VendorName } from "../../components/marks.tsx";
import { Badge } from "../../components/ui/badge.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Select, Textarea } from "../../components/ui/field.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { findBySecret, provisionKey, revokeMany } from "../../data/keys.ts";
import { queryClient } from "../../data/query-client.ts";
import { keepReceiver, makeReceiver } from "../../lib/receiver.ts";
import { type Asked, askForEach, LinkBatch } from "./link-batch.tsx";

/** Paste what was found, see whose it is, end it and replace it in one go. */
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

const dayMs = 86_400_000;

/** The same again for the same developer. A key that was adopted has no limits of its own: it gets the usual ones. */
function successorOf(key: KeyView) {
  const days = key.expires_at ? Math.round((Date.parse(key.expires_at) - Date.parse(key.created_at)) / dayMs) : null;
  return {
    developer_id: key.developer_id,
    vendor: key.vendor,
    ...(key.workspace_id ? { workspace_id: key.workspace_id } : {}),
    ...(key.budget_limit_usd > 0 ? { budget_limit_usd: key.budget_limit_usd } : {}),
    ...(key.rate_limit_rpm > 0 ? { rate_limit_rpm: key.rate_limit_rpm } : {}),
    ...(days ? { expires_in_days: Math.min(365, Math.max(1, days)) } : {}),
    ...(key.models_allowed ? { models_allowed: key.models_allowed } : {}),
    description: key.description,
  };
}

function LeakBody({ onClose }: { onClose(): void }) {
  const [text, setText] = useState("");
  const [found, setFound] = useState<FoundKey[] | null>(null);
  const [busy, setBusy] = useState<"find" | "revoke" | "replace" | null>(null);
  const [by, setBy] = useState<"page" | "link">("link");
  const [asked, setAsked] = useState<Asked[] | null>(null);
  const [unreplaced, setUnreplaced] = useState<KeyView | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(() => crypto.randomUUID());
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
      setAttempt(crypto.randomUUID());
      // What was pasted is not needed any more, and this page should not keep it either.
      setText("");
    });
  const revoke = async () => {
    const batch = await revokeMany({ key_ids: doomed.map(({ key }) => key.id) }, attempt);
    void queryClient.invalidateQueries({ queryKey: ["keys"] });
    return batch;
  };
  const revokeOnly = () =>
    during("revoke", async () => {
      const batch = await revoke();
      onClose();
      await navigate({ to: "/jobs/$id", params: { id: batch.job_id } });
    });
  const revokeAndReplace = () =>
    during("replace", async () => {
      await revoke();
      const keys = doomed.map(({ key }) => key);
      const [only] = keys;
      if (keys.length > 1 || !only) {
        await askForEach(
          keys,
          (key, receiver) => provisionKey(successorOf(key), receiver, `${attempt}-${key.id}`),
          setAsked,
        );
        return;
      }
      try {
        const receiver = await makeReceiver(by === "link");
        const made = await provisionKey(successorOf(only), receiver, `${attempt}-${only.id}-${by}`);
        keepReceiver(made.job_id, receiver);
        onClose();
        await navigate({ to: "/handover/$id", params: { id: made.job_id }, search: { by } });
      } catch (thrown) {
        setUnreplaced(only);
        throw thrown;
      }
    });

  if (asked) return <LinkBatch asked={asked} onClose={onClose} />;
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
          <ChangeButton
            type="submit"
            variant="primary"
            isBusy={busy === "find"}
            reason={text.trim().length < 8 ? "Paste at least 8 characters" : null}
          >
            Find whose it is
          </ChangeButton>
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
      {doomed.length === 1 && !unreplaced ? (
        <Field label="The new key goes" help="It gets the limits of the old one, and a lifetime as long.">
          {(aria) => (
            <Select {...aria} value={by} onChange={(event) => setBy(event.target.value === "link" ? "link" : "page")}>
              <option value="link">To the developer, by a link</option>
              <option value="page">To me, in this page</option>
            </Select>
          )}
        </Field>
      ) : null}
      {doomed.length > 1 ? (
        <p className="text-ink-2">Each new key gets the limits of the old one, and a link for its developer.</p>
      ) : null}
      {unreplaced ? (
        <Notice
          tone="warn"
          role="status"
          title="It is being revoked. Its successor could not be asked for"
          action={
            <ChangeLink
              variant="secondary"
              size="sm"
              to="/keys/new"
              search={{ developer: unreplaced.developer_id, vendor: unreplaced.vendor }}
              onClick={onClose}
            >
              Make one with other values
            </ChangeLink>
          }
        />
      ) : null}
      {error ? <ProblemNotice error={error} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={() => setFound(null)}>
          Look for another
        </Button>
        {doomed.length > 0 && !unreplaced ? (
          <>
            <ChangeButton variant="danger" isBusy={busy === "revoke"} onClick={revokeOnly}>
              Revoke {doomed.length === 1 ? "it" : `${doomed.length} keys`}
            </ChangeButton>
            <ChangeButton variant="primary" isBusy={busy === "replace"} onClick={revokeAndReplace}>
              Revoke and replace
            </ChangeButton>
          </>
        ) : null}
      </DialogFoot>
    </div>
  );
}
