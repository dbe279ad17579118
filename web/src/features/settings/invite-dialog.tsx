import { userRoles } from "@keygate/shared/contracts/auth";
import { InviteUser, type UserLink } from "@keygate/shared/contracts/users";
import { useState } from "react";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Field, Select } from "../../components/ui/field.tsx";
import { queryClient } from "../../data/query-client.ts";
import { inviteUser } from "../../data/users.ts";
import { useForm } from "../../lib/form.ts";
import { words } from "../../lib/format.ts";
import { ShownOnce } from "./shown-once.tsx";

export const roleHelp = {
  owner: "Everything, and who else uses KeyGate",
  admin: "Vendors, developers and keys",
  auditor: "Reads, changes nothing",
} as const;

/** The link with this KeyGate's address in front, where the API does not know it. */
const absolute = (link: string) => new URL(link, location.origin).href;

export const UserLinkShown = ({ link, onClose }: { link: UserLink; onClose(): void }) => (
  <ShownOnce
    label={`Link for ${link.user.email}`}
    text={absolute(link.one_time_link ?? "")}
    help="KeyGate sends no mail: hand it over yourself, over a channel that you trust. It sets a password once, until its time is over."
    onClose={onClose}
  />
);

export const InviteDialog = ({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onClose}
    title="Invite somebody"
    description="To use KeyGate itself. Developers who only receive keys need no account."
  >
    <InviteForm onClose={onClose} />
  </Dialog>
);

function InviteForm({ onClose }: { onClose(): void }) {
  const [link, setLink] = useState<UserLink | null>(null);
  const form = useForm({
    initial: { email: "", role: "admin", expires_in_hours: 72 },
    schema: InviteUser,
    toBody: (values) => values,
    async run(body) {
      setLink(await inviteUser(body));
      await queryClient.invalidateQueries({ queryKey: ["users"] });
    },
  });
  if (link) return <UserLinkShown link={link} onClose={onClose} />;
  return (
    <FormShell form={form} deed="Make the link" onCancel={onClose}>
      <TextField form={form} name="email" label="E-mail" type="email" autoFocus />
      <div className="grid gap-4 sm:grid-cols-2">
        <Field
          label="Role"
          help={roleHelp[userRoles.find((role) => role === form.values.role) ?? "admin"]}
          error={form.errors.role}
        >
          {(aria) => (
            <Select {...aria} value={form.values.role} onChange={(event) => form.set("role", event.target.value)}>
              {userRoles.map((role) => (
                <option key={role} value={role}>
                  {words(role)}
                </option>
              ))}
            </Select>
          )}
        </Field>
        <Field label="The link works for" error={form.errors.expires_in_hours}>
          {(aria) => (
            <Select
              {...aria}
              value={form.values.expires_in_hours}
              onChange={(event) => form.set("expires_in_hours", Number(event.target.value))}
            >
              <option value={4}>4 hours</option>
              <option value={24}>a day</option>
              <option value={72}>three days</option>
              <option value={168}>a week</option>
            </Select>
          )}
        </Field>
      </div>
    </FormShell>
  );
}
