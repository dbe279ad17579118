import { CreateServiceToken, type Scope, scopes } from "@keygate/shared/contracts/tokens";
import { useState } from "react";
import { FormShell, TextField } from "../../components/form.tsx";
import { Dialog } from "../../components/ui/dialog.tsx";
import { Field, Select } from "../../components/ui/field.tsx";
import { queryClient } from "../../data/query-client.ts";
import { createServiceToken } from "../../data/tokens.ts";
import { useForm } from "../../lib/form.ts";
import { ShownOnce } from "./shown-once.tsx";

const scopeList = Object.entries(scopes) as [Scope, string][];
const days = [7, 30, 90, 180, 366];

export const TokenDialog = ({ isOpen, onClose }: { isOpen: boolean; onClose(): void }) => (
  <Dialog
    isOpen={isOpen}
    onClose={onClose}
    title="New service token"
    description="For a program: it may do what you tick, and nothing else."
  >
    <TokenForm onClose={onClose} />
  </Dialog>
);

function TokenForm({ onClose }: { onClose(): void }) {
  const [made, setMade] = useState<string | null>(null);
  const form = useForm<{ name: string; scopes: Scope[]; expires_in_days: number }, typeof CreateServiceToken>({
    initial: { name: "", scopes: ["read"], expires_in_days: 90 },
    schema: CreateServiceToken,
    toBody: (values) => values,
    async run(body) {
      const { token } = await createServiceToken(body);
      setMade(token ?? "");
      await queryClient.invalidateQueries({ queryKey: ["tokens"] });
    },
  });
  const { scopes: chosen } = form.values;
  if (made) {
    return (
      <ShownOnce
        label="Service token"
        text={made}
        help="KeyGate keeps a hash of it. Put it where your program keeps its secrets; whoever has it may do what it may."
        onClose={onClose}
      />
    );
  }
  return (
    <FormShell form={form} deed="Make the token" onCancel={onClose}>
      <div className="grid gap-4 sm:grid-cols-2">
        <TextField
          form={form}
          name="name"
          label="Name"
          help="Stands in the audit log for what it does"
          autoFocus
          placeholder="deploy-pipeline"
        />
        <Field label="Works for" error={form.errors.expires_in_days}>
          {(aria) => (
            <Select
              {...aria}
              value={form.values.expires_in_days}
              onChange={(event) => form.set("expires_in_days", Number(event.target.value))}
            >
              {days.map((n) => (
                <option key={n} value={n}>
                  {n} days
                </option>
              ))}
            </Select>
          )}
        </Field>
      </div>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-1.5 font-medium">Scopes</legend>
        {scopeList.map(([scope, help]) => (
          <label key={scope} className="flex items-start gap-2.5">
            <input
              type="checkbox"
              className="mt-1"
              checked={chosen.includes(scope)}
              onChange={(event) =>
                form.set("scopes", event.target.checked ? [...chosen, scope] : chosen.filter((one) => one !== scope))
              }
            />
            <span>
              <span className="font-mono text-[0.8125rem]">{scope}</span>
              <span className="block text-[0.8125rem] text-ink-3">{help}</span>
            </span>
          </label>
        ))}
        {form.errors.scopes ? (
          <p role="alert" className="text-[0.8125rem] text-bad">
            Tick one at least
          </p>
        ) : null}
      </fieldset>
    </FormShell>
  );
}
