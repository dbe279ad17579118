import { ChangePassword } from "@keygate/shared/contracts/auth";
import { Button } from "../../components/ui/button.tsx";
import { Field, Input } from "../../components/ui/field.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
import { changePassword } from "../../data/auth.ts";
import { useForm } from "../../lib/form.ts";
import { toast } from "../../lib/toasts.ts";

/** Sets one's own password; every other session ends. */
export function PasswordForm() {
  const form = useForm({
    initial: { current_password: "", new_password: "" },
    schema: ChangePassword,
    toBody: (values) => values,
    async run(body) {
      await changePassword(body);
      form.set("current_password", "");
      form.set("new_password", "");
      toast("good", "Your password is changed");
    },
  });
  return (
    <form
      noValidate
      className="flex flex-col gap-4 p-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <Field label="Current password" error={form.errors.current_password ? "Needed" : undefined}>
        {(aria) => (
          <Input
            {...aria}
            type="password"
            autoComplete="current-password"
            value={form.values.current_password}
            onChange={(event) => form.set("current_password", event.target.value)}
          />
        )}
      </Field>
      <Field label="New password" help="12 characters or more" error={form.errors.new_password}>
        {(aria) => (
          <Input
            {...aria}
            type="password"
            autoComplete="new-password"
            value={form.values.new_password}
            onChange={(event) => form.set("new_password", event.target.value)}
          />
        )}
      </Field>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <Button type="submit" variant="primary" className="self-start" isBusy={form.isBusy}>
        Change it
      </Button>
    </form>
  );
}
