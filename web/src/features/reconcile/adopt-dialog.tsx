import type { DeveloperId, KeyId } from "@keygate/shared/contracts/ids";
import { AdoptRequest, type ReconcileFinding } from "@keygate/shared/contracts/reconcile";
import { DeveloperPicker } from "../../components/developer-picker.tsx";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input } from "../../components/ui/field.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
import { queryClient } from "../../data/query-client.ts";
import { adoptFinding } from "../../data/reconcile.ts";
import { useForm } from "../../lib/form.ts";
import { toast } from "../../lib/toasts.ts";

interface AdoptProps {
  finding: ReconcileFinding | null;
  onClose(): void;
  onAdopted(id: KeyId): void;
}

/** Makes a key that somebody made by hand a key of a developer. */
export const AdoptDialog = ({ finding, onClose, onAdopted }: AdoptProps) => (
  <Dialog
    isOpen={finding !== null}
    onClose={onClose}
    title={`Adopt ${finding?.resource.name ?? "this key"}?`}
    description="It becomes a key of a developer, and can be rotated and revoked like any other. KeyGate never learns the key itself, and its limits stay nobody's."
  >
    {finding ? <AdoptForm finding={finding} onClose={onClose} onAdopted={onAdopted} /> : null}
  </Dialog>
);

interface Values extends Record<string, unknown> {
  developer_id: DeveloperId | null;
  description: string;
}

function AdoptForm({ finding, onClose, onAdopted }: AdoptProps & { finding: ReconcileFinding }) {
  const form = useForm<Values, typeof AdoptRequest>({
    initial: { developer_id: null, description: "" },
    schema: AdoptRequest,
    toBody: ({ developer_id, description }) => ({ developer_id: developer_id ?? "", description }),
    async run(body) {
      const key = await adoptFinding(finding.id, body);
      toast("good", "Adopted", `It is a key of ${key.developer_name} now.`);
      await Promise.all([
        queryClient.invalidateQueries({ queryKey: ["reconcile"] }),
        queryClient.invalidateQueries({ queryKey: ["keys"] }),
      ]);
      onAdopted(key.id);
    },
  });
  return (
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <Field label="Whose key it is" error={form.errors.developer_id ? "Choose a developer" : undefined}>
        {(aria) => (
          <DeveloperPicker
            aria={aria}
            value={form.values.developer_id}
            onChange={(id) => form.set("developer_id", id)}
          />
        )}
      </Field>
      <Field label="What it is for" optional error={form.errors.description}>
        {(aria) => (
          <Input
            {...aria}
            autoComplete="off"
            value={form.values.description}
            onChange={(event) => form.set("description", event.target.value)}
          />
        )}
      </Field>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" isBusy={form.isBusy}>
          Adopt
        </Button>
      </DialogFoot>
    </form>
  );
}
