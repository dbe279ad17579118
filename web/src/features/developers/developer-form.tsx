import {
  CreateDeveloper,
  type DeveloperView,
  developerRoles,
  UpdateDeveloper,
} from "@keygate/shared/contracts/developers";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Field, Input, Select } from "../../components/ui/field.tsx";
import { changeDeveloper, createDeveloper } from "../../data/developers.ts";
import { queryClient } from "../../data/query-client.ts";
import { useForm } from "../../lib/form.ts";
import { toast } from "../../lib/toasts.ts";

interface DialogProps {
  isOpen: boolean;
  onClose(): void;
}

export const RegisterDialog = ({
  isOpen,
  onClose,
  onDone,
}: DialogProps & { onDone(developer: DeveloperView): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onClose}
    title="Register a developer"
    description="Whoever gets keys. They need no account here."
  >
    <RegisterForm onClose={onClose} onDone={onDone} />
  </Dialog>
);

function RegisterForm({ onClose, onDone }: { onClose(): void; onDone(developer: DeveloperView): void }) {
  const form = useForm({
    initial: { name: "", email: "", team: "", role: "developer" },
    schema: CreateDeveloper,
    toBody: (values) => values,
    async run(body, attempt) {
      const developer = await createDeveloper(body, attempt);
      await queryClient.invalidateQueries({ queryKey: ["developers"] });
      toast("good", `${developer.name} is registered`);
      onDone(developer);
    },
  });
  return (
    <FormShell form={form} deed="Register" onCancel={onClose}>
      <TextField form={form} name="name" label="Name" autoFocus />
      <TextField form={form} name="email" label="E-mail" type="email" />
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField form={form} name="team" label="Team" optional placeholder="default" />
        <Field label="Role" help="In your organization; it grants nothing here." error={form.errors.role}>
          {(aria) => (
            <Select {...aria} value={form.values.role} onChange={(event) => form.set("role", event.target.value)}>
              {developerRoles.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </Select>
          )}
        </Field>
      </div>
    </FormShell>
  );
}

export const EditDialog = ({ isOpen, onClose, developer }: DialogProps & { developer: DeveloperView }) => (
  <Dialog isOpen={isOpen} onClose={onClose} title={`Edit ${developer.name}`}>
    <EditForm onClose={onClose} developer={developer} />
  </Dialog>
);

function EditForm({ onClose, developer }: { onClose(): void; developer: DeveloperView }) {
  const { name, email, team } = developer;
  const form = useForm({
    initial: { name, email, team },
    schema: UpdateDeveloper,
    toBody: (values) => values,
    async run(body) {
      await changeDeveloper(developer.id, body);
      await queryClient.invalidateQueries({ queryKey: ["developers"] });
      toast("good", "Changed");
      onClose();
    },
  });
  return (
    <FormShell form={form} deed="Save" onCancel={onClose}>
      {(["name", "email", "team"] as const).map((field) => (
        <Field key={field} label={{ name: "Name", email: "E-mail", team: "Team" }[field]} error={form.errors[field]}>
          {(aria) => (
            <Input
              {...aria}
              autoComplete="off"
              value={form.values[field]}
              onChange={(event) => form.set(field, event.target.value)}
            />
          )}
        </Field>
      ))}
    </FormShell>
  );
}
