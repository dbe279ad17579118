import type { ProvisionResult } from "@keygate/shared/contracts/keys";
import { useBlocker } from "@tanstack/react-router";
import { Download, Eye, EyeOff } from "lucide-react";
import { useId, useState } from "react";
import { LimitsTable } from "../../components/limits-table.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { contractOf } from "../../data/vendors.ts";
import { cn } from "../../lib/cn.ts";
import { download } from "../../lib/csv.ts";
import { dollars, localDateTime, words } from "../../lib/format.ts";
import { snippetsFor } from "./snippets.ts";

export interface TakenKey {
  secret: string;
  result: ProvisionResult;
}

interface KeyCardProps {
  taken: TakenKey;
  /** Forgets the key. */
  onClose(): void;
}

const maskOf = (hint: string): string => hint.replace("...", "•".repeat(12));

/**
 * The key, this once. It is in this component's state only: what holds it is gone when the card is closed, and the
 * page warns before that happens uncopied.
 */
export function KeyCard({ taken, onClose }: KeyCardProps) {
  const { secret, result } = taken;
  const [isShown, setShown] = useState(false);
  const [isSaved, setSaved] = useState(false);
  const [asksToClose, setAsksToClose] = useState(false);
  const isFile = secret.trimStart().startsWith("{");
  const leaving = useBlocker({ shouldBlockFn: () => !isSaved, enableBeforeUnload: () => !isSaved, withResolver: true });
  const saved = () => setSaved(true);
  const fileName = `${result.project_name}.json`;

  return (
    <div className="flex flex-col gap-4">
      <Card className="border-brand/50">
        <CardHead title="The key" note="Shown this once. KeyGate does not have it and cannot show it again." />
        <div className="flex flex-col gap-3 p-4">
          <pre
            data-testid="secret"
            className={cn(
              "max-h-56 overflow-auto rounded-md border border-line bg-sunken p-3 font-mono text-[0.8125rem]",
              isFile ? "whitespace-pre" : "break-all whitespace-pre-wrap",
            )}
          >
            {isShown ? secret : isFile ? "{ … a JSON file, hidden … }" : maskOf(result.key_hint)}
          </pre>
          <div className="flex flex-wrap gap-2">
            <CopyButton variant="primary" size="md" text={() => secret} label="Copy the key" onCopied={saved} />
            {isFile ? (
              <Button
                onClick={() => {
                  download(fileName, secret, "application/json");
                  saved();
                }}
              >
                <Download aria-hidden /> Download {fileName}
              </Button>
            ) : null}
            <Button aria-pressed={isShown} onClick={() => setShown(!isShown)}>
              {isShown ? <EyeOff aria-hidden /> : <Eye aria-hidden />} {isShown ? "Hide" : "Show"}
            </Button>
            <Button variant="ghost" className="ml-auto" onClick={() => (isSaved ? onClose() : setAsksToClose(true))}>
              Done, forget it
            </Button>
          </div>
          {isSaved ? null : (
            <p className="text-[0.8125rem] text-warn">
              Not copied yet. When this page is closed, the key is gone for good.
            </p>
          )}
        </div>
      </Card>
      <Snippets secret={secret} isShown={isShown} result={result} onCopied={saved} />
      <Card>
        <CardHead
          title="What it may do"
          note={`${dollars(result.budget_limit_usd)} a month${result.expires_at ? `, until ${localDateTime(result.expires_at)}` : ""}`}
        />
        <LimitsTable limits={result.limits} />
      </Card>
      <CloseUncopied
        isOpen={asksToClose || leaving.status === "blocked"}
        onStay={() => {
          setAsksToClose(false);
          leaving.reset?.();
        }}
        onLeave={() => {
          if (leaving.status === "blocked") leaving.proceed();
          else onClose();
        }}
      />
    </div>
  );
}

const CloseUncopied = ({ isOpen, onStay, onLeave }: { isOpen: boolean; onStay(): void; onLeave(): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onStay}
    title="The key was not copied"
    description="Nobody can show it again: it would have to be rotated to get a new one."
  >
    <DialogFoot>
      <Button variant="danger" onClick={onLeave}>
        Close without it
      </Button>
      <Button variant="primary" onClick={onStay}>
        Stay
      </Button>
    </DialogFoot>
  </Dialog>
);

function Snippets({
  secret,
  isShown,
  result,
  onCopied,
}: {
  secret: string;
  isShown: boolean;
  result: ProvisionResult;
  onCopied(): void;
}) {
  const snippets = snippetsFor(
    result.vendor,
    result.instructions,
    contractOf(result.vendor).suggestedModels[0] ?? "model",
  );
  const [at, setAt] = useState(0);
  const id = useId();
  const snippet = snippets[at] ?? snippets[0];
  if (!snippet) return null;
  const notes = Object.entries(result.instructions).filter(
    ([name, value]) => typeof value === "string" && !["base_url", "auth_header"].includes(name),
  );
  return (
    <Card>
      <CardHead
        title="Use it"
        action={
          <CopyButton
            text={() => snippet.text(secret)}
            label={`Copy ${snippet.title}`}
            onCopied={() => snippet.holdsKey && onCopied()}
          />
        }
      />
      <div role="tablist" aria-label="Ways to use it" className="flex gap-1 overflow-x-auto border-b border-line px-2">
        {snippets.map(({ title }, index) => (
          <button
            key={title}
            type="button"
            role="tab"
            id={`${id}-${index}`}
            aria-selected={index === at}
            aria-controls={`${id}-panel`}
            tabIndex={index === at ? 0 : -1}
            className={cn(
              "border-b-2 border-transparent px-3 py-2 font-medium text-ink-2",
              index === at && "border-brand text-ink",
            )}
            onClick={() => setAt(index)}
            onKeyDown={(event) => {
              const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
              if (step === undefined) return;
              const next = (at + step + snippets.length) % snippets.length;
              setAt(next);
              document.getElementById(`${id}-${next}`)?.focus();
            }}
          >
            {title}
          </button>
        ))}
      </div>
      <pre
        id={`${id}-panel`}
        role="tabpanel"
        aria-labelledby={`${id}-${at}`}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
        tabIndex={0}
        className="overflow-x-auto p-4 font-mono text-[0.8125rem]"
      >
        {snippet.text(isShown ? secret : maskOf(result.key_hint))}
      </pre>
      {notes.length > 0 ? (
        <dl className="grid gap-2 border-t border-line p-4 text-[0.8125rem] sm:grid-cols-[10rem_1fr]">
          {notes.map(([name, value]) => (
            <div key={name} className="contents">
              <dt className="text-ink-3">{words(name)}</dt>
              <dd className="mb-1 [overflow-wrap:anywhere]">{String(value)}</dd>
            </div>
          ))}
        </dl>
      ) : null}
    </Card>
  );
}

export const KeyForgotten = () => (
  <Notice tone="good" role="status" title="Handed over">
    This page has forgotten the key. If it is ever lost, rotate it: nobody can show it again.
  </Notice>
);
