import { CreateWorkspace, type WorkspaceView } from "@keygate/shared/contracts/workspaces";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input, Textarea } from "../../components/ui/field.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
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
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <div className="grid grid-cols-[1fr_4rem] gap-4">
        <Field label="Name" error={form.errors.name}>
          {(aria) => (
            <Input
              {...aria}
              autoFocus
              autoComplete="off"
              value={form.values.name}
              onChange={(event) => form.set("name", event.target.value)}
            />
          )}
        </Field>
        <Field label="Colour" error={form.errors.color}>
          {(aria) => (
            <Input
              {...aria}
              type="color"
              className="px-1"
              value={form.values.color}
              onChange={(event) => form.set("color", event.target.value)}
            />
          )}
        </Field>
      </div>
      <Field label="Description" optional error={form.errors.description}>
        {(aria) => (
          <Textarea
            {...aria}
            rows={2}
            value={form.values.description}
            onChange={(event) => form.set("description", event.target.value)}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Dollars a month" optional error={form.errors.spend_limit} help="The budgets of its keys together">
          {(aria) => (
            <Input
              {...aria}
              inputMode="decimal"
              placeholder="no limit"
              value={form.values.spend}
              onChange={(event) => form.set("spend", event.target.value)}
            />
          )}
        </Field>
        <Field label="Requests a minute" optional error={form.errors.rate_limit_rpm} help="No key of it may have more">
          {(aria) => (
            <Input
              {...aria}
              inputMode="numeric"
              placeholder="no limit"
              value={form.values.rpm}
              onChange={(event) => form.set("rpm", event.target.value)}
            />
          )}
        </Field>
      </div>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" isBusy={form.isBusy}>
          {workspace ? "Save" : "Make it"}
        </Button>
      </DialogFoot>
    </form>
  );
}
