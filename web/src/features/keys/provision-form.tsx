import type { DeveloperId, JobId, WorkspaceId } from "@keygate/shared/contracts/ids";
import { ProvisionRequest } from "@keygate/shared/contracts/keys";
import { limitNames } from "@keygate/shared/contracts/limits";
import type { VendorView } from "@keygate/shared/contracts/vendors";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useId } from "react";
import { ChangeButton } from "../../components/change.tsx";
import { DeveloperPicker } from "../../components/developer-picker.tsx";
import { LimitsTable } from "../../components/limits-table.tsx";
import { VendorName } from "../../components/marks.tsx";
import { buttonClass } from "../../components/ui/button.tsx";
import { Card, CardHead } from "../../components/ui/card.tsx";
import { Field, Input, Select, Textarea } from "../../components/ui/field.tsx";
import { Notice, ProblemNotice } from "../../components/ui/notice.tsx";
import { developerQuery } from "../../data/developers.ts";
import { provisionKey } from "../../data/keys.ts";
import { contractOf } from "../../data/vendors.ts";
import { workspacesQuery } from "../../data/workspaces.ts";
import { cn } from "../../lib/cn.ts";
import { useForm } from "../../lib/form.ts";
import { dollars } from "../../lib/format.ts";
import { canReceive, keepReceiver, makeReceiver } from "../../lib/receiver.ts";

interface Values extends Record<string, unknown> {
  developer_id: DeveloperId | null;
  vendor: VendorId | null;
  workspace_id: WorkspaceId | null;
  budget: string;
  rpm: string;
  days: string;
  models: string[];
  otherModels: string;
  description: string;
  by: "page" | "link";
}

const daysAMonth = 365.25 / 12;
const toNumber = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));
const modelsOf = (values: Values): string[] => [
  ...values.models,
  ...values.otherModels.split(/[\s,]+/).filter(Boolean),
];

/** A budget in the size in which people notice it. */
function aDay(budget: string): string {
  const amount = toNumber(budget);
  if (!(amount > 0)) return "US dollars, calendar month";
  return `US dollars, about ${dollars(Math.round((amount / daysAMonth) * 100) / 100)} a day`;
}

const Request = ProvisionRequest.omit({ delivery: true });

function toBody(values: Values) {
  const models = modelsOf(values);
  return {
    developer_id: values.developer_id ?? "",
    vendor: values.vendor ?? "",
    ...(values.workspace_id ? { workspace_id: values.workspace_id } : {}),
    budget_limit_usd: toNumber(values.budget),
    rate_limit_rpm: toNumber(values.rpm),
    expires_in_days: toNumber(values.days),
    ...(models.length > 0 ? { models_allowed: models } : {}),
    description: values.description,
  };
}

const kinder: Record<string, string> = {
  developer_id: "Choose who gets the key",
  vendor: "Choose a vendor",
  budget_limit_usd: "Between $0.01 and $1,000,000, in whole cents",
  rate_limit_rpm: "A whole number of 1 or more",
  expires_in_days: "Between 1 and 365 days",
};

export interface ProvisionFormProps {
  vendors: readonly VendorView[];
  start: { developer: DeveloperId | undefined; vendor: VendorId | undefined; workspace: WorkspaceId | undefined };
  onAsked(jobId: JobId, by: "page" | "link"): void;
}

/** Everything about a new key on one page: for whom, from where, with which limits, and how it is handed over. */
export function ProvisionForm({ vendors, start, onAsked }: ProvisionFormProps) {
  const only = vendors.length === 1 ? vendors[0]?.vendor : undefined;
  const form = useForm<Values, typeof Request>({
    initial: {
      developer_id: start.developer ?? null,
      vendor: vendors.some(({ vendor }) => vendor === start.vendor) ? (start.vendor ?? null) : (only ?? null),
      workspace_id: start.workspace ?? null,
      budget: "50",
      rpm: "60",
      days: "90",
      models: [],
      otherModels: "",
      description: "",
      by: "page",
    },
    schema: Request,
    toBody,
    async run(body, attempt) {
      const receiver = await makeReceiver(form.values.by === "link");
      const asked = await provisionKey(body, receiver, attempt);
      keepReceiver(asked.job_id, receiver);
      onAsked(asked.job_id, form.values.by);
    },
  });
  const { values, set } = form;
  const error = (name: string) => (form.errors[name] ? (kinder[name] ?? form.errors[name]) : undefined);
  const contract = values.vendor ? contractOf(values.vendor) : null;
  const chosenVendor = vendors.find(({ vendor }) => vendor === values.vendor);

  return (
    <form
      noValidate
      className="grid items-start gap-5 lg:grid-cols-[minmax(0,1fr)_22rem]"
      onSubmit={(event) => {
        event.preventDefault();
        void form.submit();
      }}
    >
      <Card className="flex flex-col gap-6 p-5">
        {canReceive() ? null : (
          <Notice tone="bad" title="This page needs https, or localhost">
            Keys are opened in the browser, which it allows over a secure connection only.
          </Notice>
        )}
        <Field label="For whom" error={error("developer_id")}>
          {(aria) => (
            <DeveloperPicker aria={aria} value={values.developer_id} onChange={(id) => set("developer_id", id)} />
          )}
        </Field>
        <VendorChoice
          vendors={vendors}
          value={values.vendor}
          error={error("vendor")}
          onChange={(vendor) => {
            set("vendor", vendor);
            set("models", []);
          }}
        />
        <div className="grid gap-5 sm:grid-cols-3">
          <Field label="Budget a month" error={error("budget_limit_usd")} help={aDay(values.budget)}>
            {(aria) => (
              <div className="relative">
                <span aria-hidden className="absolute top-1/2 left-3 -translate-y-1/2 text-ink-3">
                  $
                </span>
                <Input
                  {...aria}
                  className="pl-7 tabular-nums"
                  inputMode="decimal"
                  value={values.budget}
                  onChange={(event) => set("budget", event.target.value)}
                />
              </div>
            )}
          </Field>
          <Field label="Requests a minute" error={error("rate_limit_rpm")}>
            {(aria) => (
              <Input
                {...aria}
                className="tabular-nums"
                inputMode="numeric"
                value={values.rpm}
                onChange={(event) => set("rpm", event.target.value)}
              />
            )}
          </Field>
          <Field
            label="Lives for"
            error={error("expires_in_days")}
            help={contract?.expiryDaysMax ? `Days, ${contract.expiryDaysMax} at most` : "Days, 365 at most"}
          >
            {(aria) => (
              <Input
                {...aria}
                className="tabular-nums"
                inputMode="numeric"
                value={values.days}
                onChange={(event) => set("days", event.target.value)}
              />
            )}
          </Field>
        </div>
        {contract ? (
          <ModelChoice suggested={contract.suggestedModels} values={values} set={set} error={error("models_allowed")} />
        ) : null}
        <WorkspaceChoice
          developerId={values.developer_id}
          value={values.workspace_id}
          error={error("workspace_id")}
          onChange={(id) => set("workspace_id", id)}
        />
        <Field label="What it is for" optional error={error("description")}>
          {(aria) => (
            <Textarea
              {...aria}
              rows={2}
              maxLength={1000}
              value={values.description}
              onChange={(event) => set("description", event.target.value)}
            />
          )}
        </Field>
        <HandoverChoice value={values.by} onChange={(by) => set("by", by)} />
        {form.problem ? <ProblemNotice error={form.problem} /> : null}
        {Object.keys(form.errors).length > 0 ? (
          <p role="alert" className="text-bad">
            Something above is not right yet.
          </p>
        ) : null}
        <div className="flex gap-2">
          <ChangeButton
            type="submit"
            variant="primary"
            isBusy={form.isBusy}
            reason={canReceive() ? null : "Needs https, or localhost"}
          >
            Make the key
          </ChangeButton>
          <Link to="/keys" className={buttonClass("ghost")}>
            Cancel
          </Link>
        </div>
      </Card>
      <Preview values={values} vendor={chosenVendor} />
    </form>
  );
}

function VendorChoice({
  vendors,
  value,
  error,
  onChange,
}: {
  vendors: readonly VendorView[];
  value: VendorId | null;
  error: string | undefined;
  onChange(vendor: VendorId): void;
}) {
  const errorId = useId();
  return (
    <fieldset aria-describedby={error ? errorId : undefined}>
      <legend className="mb-1.5 font-medium">Vendor</legend>
      <div className="grid gap-2 sm:grid-cols-2">
        {vendors.map((vendor) => (
          <label
            key={vendor.vendor}
            className={cn(
              "flex cursor-pointer items-center gap-3 rounded-md border border-line-strong/70 px-3 py-2.5 hover:bg-sunken has-focus-visible:outline-2 has-focus-visible:outline-brand",
              value === vendor.vendor && "border-brand bg-brand-soft",
            )}
          >
            <input
              type="radio"
              name="vendor"
              className="accent-brand"
              checked={value === vendor.vendor}
              onChange={() => onChange(vendor.vendor)}
            />
            <VendorName vendor={vendor.vendor} />
            {vendor.health.status === "unhealthy" ? <span className="ml-auto text-xs text-bad">unhealthy</span> : null}
          </label>
        ))}
      </div>
      {error ? (
        <p id={errorId} role="alert" className="mt-1.5 text-[0.8125rem] text-bad">
          {error}
        </p>
      ) : null}
    </fieldset>
  );
}

interface Choice {
  values: Values;
  set<K extends keyof Values>(name: K, value: Values[K]): void;
}

function ModelChoice({
  suggested,
  values,
  set,
  error,
}: Choice & { suggested: readonly string[]; error: string | undefined }) {
  return (
    <fieldset>
      <legend className="mb-1.5 font-medium">
        Models <span className="ml-1 font-normal text-ink-3">none chosen: every model</span>
      </legend>
      <div className="flex flex-wrap gap-2">
        {suggested.map((model) => {
          const isOn = values.models.includes(model);
          return (
            <label
              key={model}
              className={cn(
                "cursor-pointer rounded-full border border-line-strong/70 px-3 py-1 font-mono text-[0.8125rem] hover:bg-sunken has-focus-visible:outline-2 has-focus-visible:outline-brand",
                isOn && "border-brand bg-brand-soft",
              )}
            >
              <input
                type="checkbox"
                className="sr-only"
                checked={isOn}
                onChange={() =>
                  set("models", isOn ? values.models.filter((name) => name !== model) : [...values.models, model])
                }
              />
              {isOn ? "✓ " : ""}
              {model}
            </label>
          );
        })}
      </div>
      <Field
        className="mt-3"
        label="Others"
        optional
        error={error}
        help="Names, with commas or spaces between them; the vendor decides what exists"
      >
        {(aria) => (
          <Input
            {...aria}
            autoComplete="off"
            spellCheck={false}
            value={values.otherModels}
            onChange={(event) => set("otherModels", event.target.value)}
          />
        )}
      </Field>
    </fieldset>
  );
}

function WorkspaceChoice({
  developerId,
  value,
  error,
  onChange,
}: {
  developerId: DeveloperId | null;
  value: WorkspaceId | null;
  error: string | undefined;
  onChange(id: WorkspaceId | null): void;
}) {
  const workspaces = useQuery(workspacesQuery());
  const developer = useQuery({ ...developerQuery(developerId ?? ("" as DeveloperId)), enabled: developerId !== null });
  const mine = workspaces.data?.items.filter(({ id }) => developer.data?.workspace_ids.includes(id)) ?? [];
  if (!workspaces.data?.items.length) return null;
  return (
    <Field
      label="Workspace"
      optional
      error={error}
      help={developerId && mine.length === 0 ? "The developer is a member of none." : "Its limits apply too."}
    >
      {(aria) => (
        <Select
          {...aria}
          value={value ?? ""}
          onChange={(event) => onChange(mine.find(({ id }) => id === event.target.value)?.id ?? null)}
        >
          <option value="">None</option>
          {mine.map((workspace) => (
            <option key={workspace.id} value={workspace.id}>
              {workspace.name}
              {workspace.spend_limit === null
                ? ""
                : ` (${dollars(Math.max(0, workspace.spend_limit - workspace.total_budget_allocated))} left)`}
            </option>
          ))}
        </Select>
      )}
    </Field>
  );
}

const ways = [
  { by: "page", title: "Show it to me", note: "Opened in this page, once. You pass it on." },
  { by: "link", title: "Send a link to the developer", note: "Nobody but them sees the key, not even you." },
] as const;

const HandoverChoice = ({ value, onChange }: { value: "page" | "link"; onChange(by: "page" | "link"): void }) => (
  <fieldset>
    <legend className="mb-1.5 font-medium">Handing over</legend>
    <div className="grid gap-2 sm:grid-cols-2">
      {ways.map(({ by, title, note }) => (
        <label
          key={by}
          className={cn(
            "flex cursor-pointer gap-3 rounded-md border border-line-strong/70 px-3 py-2.5 hover:bg-sunken has-focus-visible:outline-2 has-focus-visible:outline-brand",
            value === by && "border-brand bg-brand-soft",
          )}
        >
          <input
            type="radio"
            name="by"
            className="mt-0.5 size-4 accent-brand"
            checked={value === by}
            onChange={() => onChange(by)}
          />
          <span>
            <span className="block font-medium">{title}</span>
            <span className="block text-[0.8125rem] text-ink-2">{note}</span>
          </span>
        </label>
      ))}
    </div>
  </fieldset>
);

function Preview({ values, vendor }: { values: Values; vendor: VendorView | undefined }) {
  if (!vendor) {
    return (
      <Card className="lg:sticky lg:top-6">
        <CardHead title="What will be made" />
        <p className="p-4 text-ink-2">
          Choose a vendor to see what it makes, and who makes sure that each limit holds.
        </p>
      </Card>
    );
  }
  const days = toNumber(values.days);
  const requested = {
    budget: Number.isFinite(toNumber(values.budget)) ? toNumber(values.budget) : null,
    rate_limit: Number.isFinite(toNumber(values.rpm)) ? toNumber(values.rpm) : null,
    models: modelsOf(values).length > 0 ? modelsOf(values) : ["every model"],
    expiry: days >= 1 && days <= 365 ? new Date(Date.now() + days * 86_400_000).toISOString() : null,
  } as const;
  const lines = limitNames.flatMap((limit) => {
    const sheet = vendor.enforces[limit];
    if (!sheet) return [];
    const asked = requested[limit];
    return [{ limit, requested: typeof asked === "object" && asked !== null ? [...asked] : asked, ...sheet }];
  });
  return (
    <Card className="lg:sticky lg:top-6">
      <CardHead title="Who enforces what" note={`${vendor.title}, as its API really behaves`} />
      <LimitsTable limits={lines} />
      {vendor.simulated ? (
        <p className="border-t border-line px-4 py-3 text-[0.8125rem] text-ink-2">
          This vendor is simulated here: the key costs nothing and opens nothing.
        </p>
      ) : null}
      {vendor.vendor === "anthropic" ? (
        <p className="border-t border-line px-4 py-3 text-[0.8125rem] text-ink-2">
          Anthropic lets only a person make a key. KeyGate prepares everything, then leads you through it.
        </p>
      ) : null}
    </Card>
  );
}
