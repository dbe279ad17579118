import type { JobId, KeyId } from "@keygate/shared/contracts/ids";
import type { KeyView } from "@keygate/shared/contracts/keys";
import { useState } from "react";
import { Confirm } from "../../components/confirm.tsx";
import { FormShell } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Field, Select } from "../../components/ui/field.tsx";
import { revokeKey, rotateKey } from "../../data/keys.ts";
import { queryClient } from "../../data/query-client.ts";
import { keyLabel } from "../../lib/format.ts";
import { keepReceiver, makeReceiver } from "../../lib/receiver.ts";
import { toast } from "../../lib/toasts.ts";

/** When the old key of a rotation ends, in minutes after the new one was taken. */
const graces = [
  [0, "At once, when the new one was taken"],
  [15, "15 minutes later"],
  [60, "1 hour later"],
  [1_440, "1 day later"],
  [10_080, "1 week later"],
] as const;

type Way = "page" | "link";

/** Why a key in this state cannot be rotated or revoked; null when it can. */
export const whyNotRotate = (key: Pick<KeyView, "status">): string | null =>
  key.status === "active" ? null : key.status === "retiring" ? "It is being replaced already" : `It is ${key.status}`;
export const whyNotRevoke = (key: Pick<KeyView, "status">): string | null =>
  key.status === "active" || key.status === "retiring" || key.status === "pending"
    ? null
    : key.status === "revoking"
      ? "It is being revoked already"
      : `It is ${key.status}`;

export function RotateDialog({
  keyId,
  isOpen,
  onClose,
  onAsked,
}: {
  keyId: KeyId;
  isOpen: boolean;
  onClose(): void;
  onAsked(jobId: JobId, by: Way): void;
}) {
  return (
    <Dialog
      isOpen={isOpen}
      onClose={onClose}
      title="Rotate this key"
      description="The vendor makes the new key first. The old one is not touched before somebody has the new one in hand."
    >
      <RotateBody keyId={keyId} onClose={onClose} onAsked={onAsked} />
    </Dialog>
  );
}

function RotateBody({
  keyId,
  onClose,
  onAsked,
}: {
  keyId: KeyId;
  onClose(): void;
  onAsked(jobId: JobId, by: Way): void;
}) {
  const [grace, setGrace] = useState(60);
  const [by, setBy] = useState<Way>("page");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const [attempt] = useState(() => crypto.randomUUID());
  const rotate = async () => {
    if (isBusy) return;
    setBusy(true);
    setError(null);
    try {
      const receiver = await makeReceiver(by === "link");
      const asked = await rotateKey(keyId, grace, receiver, `${attempt}-${grace}-${by}`);
      keepReceiver(asked.job_id, receiver);
      void queryClient.invalidateQueries({ queryKey: ["keys"] });
      onAsked(asked.job_id, by);
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  return (
    <FormShell form={{ submit: rotate, problem: error, isBusy }} deed="Rotate" onCancel={onClose}>
      <GraceField label="The old key ends" value={grace} onChange={setGrace} />
      <Field label="The new key goes">
        {(aria) => (
          <Select {...aria} value={by} onChange={(event) => setBy(event.target.value === "link" ? "link" : "page")}>
            <option value="page">To me, in this page</option>
            <option value="link">To the developer, by a link</option>
          </Select>
        )}
      </Field>
    </FormShell>
  );
}

/** How long the old key goes on working beside the new one. */
export function GraceField({
  label,
  value,
  onChange,
}: {
  label: string;
  value: number;
  onChange(minutes: number): void;
}) {
  return (
    <Field label={label} help="Time to put the new one in place everywhere.">
      {(aria) => (
        <Select {...aria} value={value} onChange={(event) => onChange(Number(event.target.value))}>
          {graces.map(([minutes, text]) => (
            <option key={minutes} value={minutes}>
              {text}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}

export function RevokeDialog({ view, isOpen, onClose }: { view: KeyView; isOpen: boolean; onClose(): void }) {
  const [attempt, setAttempt] = useState(() => crypto.randomUUID());
  return (
    <Confirm
      isOpen={isOpen}
      onClose={onClose}
      title={`Revoke this key of ${view.developer_name}?`}
      deed="Revoke"
      run={async () => {
        await revokeKey(view.id, `${attempt}-${view.id}`);
        setAttempt(crypto.randomUUID());
        toast("info", "Revoking", "It says “revoked” once the vendor has confirmed it.");
        await queryClient.invalidateQueries({ queryKey: ["keys"] });
        await queryClient.invalidateQueries({ queryKey: ["jobs"] });
      }}
    >
      <p>
        <span className="font-mono text-[0.8125rem]">{keyLabel(view)}</span> stops working at the vendor. Whatever uses
        it fails from then on. It cannot be undone.
      </p>
    </Confirm>
  );
}
