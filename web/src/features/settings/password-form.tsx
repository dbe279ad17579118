import { ChangePassword } from "@keygate/shared/contracts/auth";
import { FormShell, TextField } from "../../components/form.tsx";
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
    <FormShell form={form} deed="Change it" isForAnybody className="p-4">
      <TextField
        form={form}
        name="current_password"
        label="Current password"
        error={form.errors.current_password ? "Needed" : undefined}
        type="password"
        autoComplete="current-password"
      />
      <TextField
        form={form}
        name="new_password"
        label="New password"
        help="12 characters or more"
        type="password"
        autoComplete="new-password"
      />
    </FormShell>
  );
}
