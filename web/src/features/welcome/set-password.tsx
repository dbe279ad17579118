import { NewPassword } from "@keygate/shared/contracts/auth";
import { useQuery } from "@tanstack/react-query";
import { z } from "zod";
import { FormShell, TextField } from "../../components/form.tsx";
import { Field, Input } from "../../components/ui/field.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { SkeletonRows } from "../../components/ui/skeleton.tsx";
import { Time } from "../../components/ui/time.tsx";
import { signIn } from "../../data/auth.ts";
import { linkQuery, setPasswordByLink } from "../../data/users.ts";
import { useForm } from "../../lib/form.ts";

// Typed twice: nobody can look up afterwards what it was.
const Passwords = z
  .object({ new_password: NewPassword, again: z.string() })
  .refine(({ new_password, again }) => new_password === again, { path: ["again"], message: "Is another one" });

/** Whom a one-time link is for, and their first or new password. */
export function SetPassword({ token, onDone }: { token: string; onDone(): void }) {
  const link = useQuery({ ...linkQuery(token), enabled: token !== "" });
  const form = useForm({
    initial: { new_password: "", again: "" },
    schema: Passwords,
    toBody: (values) => values,
    async run({ new_password: password }) {
      const { email } = await setPasswordByLink(token, password);
      await signIn({ email, password });
      onDone();
    },
  });
  if (token === "") {
    return (
      <Notice tone="bad" title="This link is not complete">
        Copy it whole, with what stands behind the #.
      </Notice>
    );
  }
  if (link.isError) return <ProblemNotice error={link.error} />;
  if (!link.data) return <SkeletonRows />;
  const { email, role, purpose, invited_by: by, expires_at: until } = link.data;
  return (
    <FormShell form={form} deed="Set it and sign in" isWide isForAnybody>
      <p className="text-ink-2">
        {purpose === "join"
          ? `${by} invited you to KeyGate as ${role}. `
          : `${by} made you a link for a new password. `}
        The link ends <Time at={until} />.
      </p>
      <Field label="E-mail">
        {(aria) => <Input {...aria} type="email" autoComplete="username" readOnly value={email} />}
      </Field>
      <TextField
        form={form}
        name="new_password"
        label="New password"
        help="12 characters or more"
        type="password"
        autoFocus
        autoComplete="new-password"
      />
      <TextField form={form} name="again" label="Once more" type="password" autoComplete="new-password" />
    </FormShell>
  );
}
