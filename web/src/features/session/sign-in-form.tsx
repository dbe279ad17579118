import { LoginRequest } from "@keygate/shared/contracts/auth";
import { Button } from "../../components/ui/button.tsx";
import { Field, Input } from "../../components/ui/field.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { signIn } from "../../data/auth.ts";
import { useForm } from "../../lib/form.ts";
import { canReceive } from "../../lib/receiver.ts";

/** E-mail and password; the session's cookie is the API's to set and no script's to read. */
export function SignInForm({ email, onSignedIn }: { email?: string; onSignedIn(): void }) {
  const form = useForm({
    initial: { email: email ?? "", password: "" },
    schema: LoginRequest,
    toBody: (values) => values,
    async run(body) {
      await signIn(body);
      onSignedIn();
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
      {canReceive() ? null : (
        <Notice tone="warn" title="This page needs https, or localhost">
          Browsers keep the session's cookie and open sealed keys only over a secure connection.
        </Notice>
      )}
      <Field label="E-mail" error={form.errors.email}>
        {(aria) => (
          <Input
            {...aria}
            type="email"
            autoComplete="username"
            readOnly={email !== undefined}
            autoFocus={!email}
            value={form.values.email}
            onChange={(event) => form.set("email", event.target.value)}
          />
        )}
      </Field>
      <Field label="Password" error={form.errors.password}>
        {(aria) => (
          <Input
            {...aria}
            type="password"
            autoComplete="current-password"
            autoFocus={Boolean(email)}
            value={form.values.password}
            onChange={(event) => form.set("password", event.target.value)}
          />
        )}
      </Field>
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <Button type="submit" variant="primary" isBusy={form.isBusy}>
        Sign in
      </Button>
    </form>
  );
}
