import { LoginRequest } from "@keygate/shared/contracts/auth";
import { FormShell, TextField } from "../../components/form.tsx";
import { Notice } from "../../components/ui/notice.tsx";
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
    <FormShell form={form} deed="Sign in" isWide isForAnybody>
      {canReceive() ? null : (
        <Notice tone="warn" title="This page needs https, or localhost">
          Browsers keep the session's cookie and open sealed keys only over a secure connection.
        </Notice>
      )}
      <TextField
        form={form}
        name="email"
        label="E-mail"
        type="email"
        autoComplete="username"
        readOnly={email !== undefined}
        autoFocus={!email}
      />
      <TextField
        form={form}
        name="password"
        label="Password"
        type="password"
        autoComplete="current-password"
        autoFocus={Boolean(email)}
      />
    </FormShell>
  );
}
