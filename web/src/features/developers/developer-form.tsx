import {
  CreateDeveloper,
  type DeveloperView,
  developerRoles,
  UpdateDeveloper,
} from "@keygate/shared/contracts/developers";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input, Select } from "../../components/ui/field.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
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
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
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
      <Field label="E-mail" error={form.errors.email}>
        {(aria) => (
          <Input
            {...aria}
            type="email"
            autoComplete="off"
            value={form.values.email}
            onChange={(event) => form.set("email", event.target.value)}
          />
        )}
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Team" optional error={form.errors.team}>
          {(aria) => (
            <Input
              {...aria}
              autoComplete="off"
              placeholder="default"
              value={form.values.team}
              onChange={(event) => form.set("team", event.target.value)}
            />
          )}
        </Field>
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
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" isBusy={form.isBusy}>
          Register
        </Button>
      </DialogFoot>
    </form>
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
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
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
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" isBusy={form.isBusy}>
          Save
        </Button>
      </DialogFoot>
    </form>
  );
}
