import type { KeyView } from "@keygate/shared/contracts/keys";
import { useRef, useState } from "react";
import { ChangeButton } from "../../components/change.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Notice } from "../../components/ui/notice.tsx";
import { rotateKey } from "../../data/keys.ts";
import { plural } from "../../lib/format.ts";
import { GraceField } from "./key-actions.tsx";
import { type Asked, askForEach, LinkBatch } from "./link-batch.tsx";

/** Rotates several keys at once; each developer gets the new key by a link of their own. */
export const RotateMany = ({ keys, onClose }: { keys: readonly KeyView[] | null; onClose(): void }) => (
  <Dialog
    isOpen={keys !== null}
    onClose={onClose}
    isModalOnly
    title={`Rotate ${plural(keys?.length ?? 0, "key")}`}
    description="The vendor makes each new key first. No old one is touched before its developer has the new one in hand."
    className="max-w-2xl"
  >
    {keys ? <RotateManyBody keys={keys} onClose={onClose} /> : null}
  </Dialog>
);

function RotateManyBody({ keys, onClose }: { keys: readonly KeyView[]; onClose(): void }) {
  const [grace, setGrace] = useState(60);
  const [asked, setAsked] = useState<Asked[] | null>(null);
  const hasBegun = useRef(false);
  const [attempt] = useState(() => crypto.randomUUID());
  if (asked) return <LinkBatch asked={asked} onClose={onClose} />;
  const byHand = keys.filter(({ vendor }) => vendor === "anthropic").length;
  const begin = () => {
    if (hasBegun.current) return;
    hasBegun.current = true;
    void askForEach(keys, (key, receiver) => rotateKey(key.id, grace, receiver, `${attempt}-${key.id}`), setAsked);
  };
  return (
    <div className="flex flex-col gap-4">
      <GraceField label="Each old key ends" value={grace} onChange={setGrace} />
      <p className="text-ink-2">
        You get a link for each. A new key that nobody takes in time is removed again, and its old one lives on.
      </p>
      {byHand > 0 ? (
        <Notice tone="warn" title={`${plural(byHand, "key")} of Anthropic ${byHand === 1 ? "needs" : "need"} a person`}>
          Anthropic lets only a person make a key: you are led through it for each.
        </Notice>
      ) : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <ChangeButton variant="primary" onClick={begin}>
          Rotate {plural(keys.length, "key")}
        </ChangeButton>
      </DialogFoot>
    </div>
  );
}
