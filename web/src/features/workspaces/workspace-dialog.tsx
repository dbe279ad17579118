import { CreateWorkspace, type WorkspaceView } from "@keygate/shared/contracts/workspaces";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { queryClient } from "../../data/query-client.ts";
import { changeWorkspace, createWorkspace } from "../../data/workspaces.ts";
import { useForm } from "../../lib/form.ts";
import { toast } from "../../lib/toasts.ts";

interface WorkspaceDialogProps {
  isOpen: boolean;
  onClose(): void;
  /** Absent: a new one is made. */
  workspace?: WorkspaceView;
  onDone(workspace: WorkspaceView): void;
}

export const WorkspaceDialog = (props: WorkspaceDialogProps) => (
  <Dialog
    isOpen={props.isOpen}
    onClose={props.onClose}
    title={props.workspace ? `Edit ${props.workspace.name}` : "New workspace"}
    description="A group with limits of its own: no key in it goes beyond them."
  >
    <WorkspaceForm {...props} />
  </Dialog>
);

const numberOrNull = (text: string): number | null => (text.trim() === "" ? null : Number(text));

function WorkspaceForm({ onClose, workspace, onDone }: WorkspaceDialogProps) {
  const form = useForm({
    initial: {
      name: workspace?.name ?? "",
      description: workspace?.description ?? "",
      color: workspace?.color ?? "#0F766E",
      spend: workspace?.spend_limit?.toString() ?? "",
      rpm: workspace?.rate_limit_rpm?.toString() ?? "",
    },
    schema: CreateWorkspace,
    toBody: ({ spend, rpm, ...rest }) => ({
      ...rest,
      spend_limit: numberOrNull(spend),
      rate_limit_rpm: numberOrNull(rpm),
    }),
    async run(body) {
      const saved = workspace ? await changeWorkspace(workspace.id, body) : await createWorkspace(body);
      await queryClient.invalidateQueries({ queryKey: ["workspaces"] });
      toast("good", workspace ? "Changed" : `${saved.name} is made`);
      onDone(saved);
    },
  });
  return (
    <FormShell form={form} deed={workspace ? "Save" : "Make it"} onCancel={onClose}>
      <div className="grid grid-cols-[1fr_4rem] gap-4">
        <TextField form={form} name="name" label="Name" autoFocus />
        <TextField form={form} name="color" label="Colour" type="color" className="px-1" />
      </div>
      <TextField form={form} name="description" label="Description" optional rows={2} />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          form={form}
          name="spend"
          label="Dollars a month"
          optional
          error={form.errors.spend_limit}
          help="The budgets of its keys together"
          inputMode="decimal"
          placeholder="no limit"
        />
        <TextField
          form={form}
          name="rpm"
          label="Requests a minute"
          optional
          error={form.errors.rate_limit_rpm}
          help="No key of it may have more"
          inputMode="numeric"
          placeholder="no limit"
        />
      </div>
    </FormShell>
  );
}
