import { CreateServiceToken, type Scope, scopes } from "@keygate/shared/contracts/tokens";
import { useState } from "react";
import { Button } from "../../components/ui/button.tsx";
import { Dialog, DialogFoot } from "../../components/ui/dialog.tsx";
import { Field, Input, Select } from "../../components/ui/field.tsx";
import { ProblemNotice } from "../../components/ui/notice.tsx";
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
    <form
      noValidate
      className="flex flex-col gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Name" help="Stands in the audit log for what it does" error={form.errors.name}>
          {(aria) => (
            <Input
              {...aria}
              autoFocus
              autoComplete="off"
              placeholder="deploy-pipeline"
              value={form.values.name}
              onChange={(event) => form.set("name", event.target.value)}
            />
          )}
        </Field>
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
      {form.problem ? <ProblemNotice error={form.problem} /> : null}
      <DialogFoot>
        <Button variant="ghost" onClick={onClose}>
          Cancel
        </Button>
        <Button type="submit" variant="primary" isBusy={form.isBusy}>
          Make the token
        </Button>
      </DialogFoot>
    </form>
  );
}
