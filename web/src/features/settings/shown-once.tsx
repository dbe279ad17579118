import { Button } from "../../components/ui/button.tsx";
import { CopyButton } from "../../components/ui/copy-button.tsx";
import { DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input } from "../../components/ui/field.tsx";
import { Notice } from "../../components/ui/notice.tsx";

/** A link or token in the one moment in which it is known; it lives in the dialog's state and goes with it. */
export function ShownOnce({
  label,
  text,
  help,
  onClose,
}: {
  label: string;
  text: string;
  help: string;
  onClose(): void;
}) {
  return (
    <div className="flex flex-col gap-4">
      <Notice tone="warn" title="This is shown once">
        {help}
      </Notice>
      <Field label={label}>
        {(aria) => (
          <Input
            {...aria}
            readOnly
            autoFocus
            spellCheck={false}
            className="font-mono text-[0.8125rem]"
            value={text}
            onFocus={(event) => event.target.select()}
          />
        )}
      </Field>
      <DialogFoot>
        <CopyButton text={text} size="md" />
        <Button variant="primary" onClick={onClose}>
          I have it
        </Button>
      </DialogFoot>
    </div>
  );
}
