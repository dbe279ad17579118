import { type Debt, WriteOffRequest } from "@keygate/shared/contracts/debt";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { writeOffDebt } from "../../data/debt.ts";
import { queryClient } from "../../data/query-client.ts";
import { useForm } from "../../lib/form.ts";
import { words } from "../../lib/format.ts";
import { toast } from "../../lib/toasts.ts";

/** Stops the trying, for a reason that stays in the audit log. */
export const WriteOffDialog = ({ debt, onClose }: { debt: Debt | null; onClose(): void }) => (
  <Dialog
    isOpen={debt !== null}
    onClose={onClose}
    title="Write this debt off?"
    description="KeyGate stops trying and alerting. The key goes on saying “revoking”, since nobody has seen it gone: it may still work at the vendor."
  >
    {debt ? <WriteOffForm debt={debt} onClose={onClose} /> : null}
  </Dialog>
);

function WriteOffForm({ debt, onClose }: { debt: Debt; onClose(): void }) {
  const form = useForm({
    initial: { reason: "" },
    schema: WriteOffRequest,
    toBody: (values) => values,
    async run({ reason }) {
      await writeOffDebt(debt.job_id, reason);
      await queryClient.invalidateQueries({ queryKey: ["debt"] });
      toast("info", "Written off", "It stays on the list of what was written off.");
      onClose();
    },
  });
  return (
    <FormShell form={form} deed="Write it off" variant="danger" onCancel={onClose}>
      <p>
        {words(debt.kind)}
        {debt.owner ? `, ${debt.owner.name} (${debt.owner.team})` : ""}
        {debt.project_name ? (
          <span className="block font-mono text-[0.8125rem] text-ink-2 [overflow-wrap:anywhere]">
            {debt.project_name}
          </span>
        ) : null}
      </p>
      <TextField
        form={form}
        name="reason"
        label="Why"
        help="Stays in the audit log, with your name."
        error={form.errors.reason ? "A few words, at least 3 letters" : undefined}
        rows={3}
        autoFocus
      />
    </FormShell>
  );
}
