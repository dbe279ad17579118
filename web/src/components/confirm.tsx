import { type ReactNode, useState } from "react";
import { FormShell } from "./form.tsx";
import { Dialog } from "./ui/dialog.tsx";
import { Field, Input } from "./ui/field.tsx";

export interface ConfirmProps {
  isOpen: boolean;
  onClose(): void;
  title: string;
  children: ReactNode;
  /** What the button says: the deed, not "OK". */
  deed: string;
  /** What has to be typed first, for what hits many. */
  typed?: string | undefined;
  run(): Promise<void>;
}

/** Asks before a deed that cannot be taken back. Stays open with the reason when it fails. */
export function Confirm(props: ConfirmProps) {
  const { isOpen, onClose, title } = props;
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={title}>
      <ConfirmBody {...props} />
    </Dialog>
  );
}

function ConfirmBody({ onClose, children, deed, typed, run }: ConfirmProps) {
  const [text, setText] = useState("");
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>(null);
  const submit = async () => {
    if (isBusy || (typed && text.trim() !== typed)) return;
    setBusy(true);
    setError(null);
    try {
      await run();
      onClose();
    } catch (thrown) {
      setError(thrown);
    } finally {
      setBusy(false);
    }
  };
  return (
    <FormShell
      form={{ submit, problem: error, isBusy }}
      deed={deed}
      variant="danger"
      reason={typed && text.trim() !== typed ? `Type ${typed} first` : null}
      onCancel={onClose}
    >
      <div className="flex flex-col gap-2 text-ink-2">{children}</div>
      {typed ? (
        <Field label={`Type ${typed} to go on`}>
          {(aria) => (
            <Input
              {...aria}
              autoComplete="off"
              spellCheck={false}
              value={text}
              onChange={(event) => setText(event.target.value)}
            />
          )}
        </Field>
      ) : null}
    </FormShell>
  );
}
