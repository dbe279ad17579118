import type { DeveloperId, KeyId } from "@keygate/shared/contracts/ids";
import { AdoptRequest, type ReconcileFinding } from "@keygate/shared/contracts/reconcile";
import { DeveloperPicker } from "../../components/developer-picker.tsx";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Field } from "../../components/ui/field.tsx";
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
    <FormShell form={form} deed="Adopt" onCancel={onClose}>
      <Field label="Whose key it is" error={form.errors.developer_id ? "Choose a developer" : undefined}>
        {(aria) => (
          <DeveloperPicker
            aria={aria}
            value={form.values.developer_id}
            onChange={(id) => form.set("developer_id", id)}
          />
        )}
      </Field>
      <TextField form={form} name="description" label="What it is for" optional />
    </FormShell>
  );
}
