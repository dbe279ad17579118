import { type CheckReport, ConfigureVendor, type VendorView } from "@keygate/shared/contracts/vendors";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { useState } from "react";
import { FormShell, TextField } from "../../components/form.tsx";
import { Field, Input, Textarea } from "../../components/ui/field.tsx";
import { queryClient } from "../../data/query-client.ts";
import { configureVendor, contractOf } from "../../data/vendors.ts";
import { useForm } from "../../lib/form.ts";
import { CheckFindings } from "./check-findings.tsx";

const isLong = (name: string) => name.endsWith("_json");

/** A vendor's own fields, each with where to find it; what was found when the credential was tried comes below. */
export function VendorForm({ vendor, configured }: { vendor: VendorId; configured: VendorView | undefined }) {
  const contract = contractOf(vendor);
  const settings = Object.entries(contract.settings);
  const usual = settings.filter(([, setting]) => !setting.help.startsWith("Only for"));
  const rare = settings.filter(([, setting]) => setting.help.startsWith("Only for"));
  const [report, setReport] = useState<CheckReport | null>(null);
  const form = useForm<Record<string, string>, typeof ConfigureVendor>({
    initial: {
      admin_api_key: "",
      org_id: configured?.org_id ?? "",
      ...Object.fromEntries(settings.map(([name]) => [name, ""])),
    },
    schema: ConfigureVendor,
    toBody({ admin_api_key, org_id, ...rest }) {
      const extra = Object.fromEntries(Object.entries(rest).filter(([, value]) => value.trim() !== ""));
      return {
        vendor,
        admin_api_key,
        ...(org_id?.trim() ? { org_id } : {}),
        ...(Object.keys(extra).length > 0 ? { extra_config: extra } : {}),
      };
    },
    async run(body) {
      setReport(null);
      const result = await configureVendor(body);
      setReport(result.check);
      await queryClient.invalidateQueries({ queryKey: ["vendors"] });
    },
  });
  const field = ([name, setting]: (typeof settings)[number]) => (
    <Field
      key={name}
      label={setting.label}
      help={setting.help}
      optional={!setting.required}
      error={form.errors[`extra_config.${name}`]}
    >
      {(aria) =>
        isLong(name) ? (
          <Textarea
            {...aria}
            rows={5}
            autoComplete="off"
            spellCheck={false}
            className="font-mono text-[0.8125rem]"
            value={form.values[name]}
            onChange={(event) => form.set(name, event.target.value)}
          />
        ) : (
          <Input
            {...aria}
            type={setting.secret ? "password" : "text"}
            autoComplete="off"
            spellCheck={false}
            value={form.values[name]}
            onChange={(event) => form.set(name, event.target.value)}
          />
        )
      }
    </Field>
  );
  const isFile = contract.environment.adminKey.isFile === true;
  return (
    <>
      <FormShell
        form={form}
        deed={form.isBusy ? "Trying it at the vendor …" : "Store encrypted, and check"}
        className="gap-5 p-4"
      >
        <Field
          label={contract.adminKey.label}
          help={
            configured
              ? `${contract.adminKey.help} The stored one (${configured.admin_key_hint}) is replaced.`
              : contract.adminKey.help
          }
          error={form.errors.admin_api_key ? "Needed: KeyGate acts at the vendor with it" : undefined}
        >
          {(aria) =>
            isFile ? (
              <Textarea
                {...aria}
                rows={6}
                autoComplete="off"
                spellCheck={false}
                className="font-mono text-[0.8125rem]"
                value={form.values.admin_api_key}
                onChange={(event) => form.set("admin_api_key", event.target.value)}
              />
            ) : (
              <Input
                {...aria}
                type="password"
                autoComplete="off"
                spellCheck={false}
                value={form.values.admin_api_key}
                onChange={(event) => form.set("admin_api_key", event.target.value)}
              />
            )
          }
        </Field>
        {usual.map(field)}
        {contract.environment.orgId ? (
          <TextField form={form} name="org_id" label="Organization id" optional spellCheck={false} />
        ) : null}
        {rare.length > 0 ? (
          <details className="rounded-md border border-line px-3 py-2">
            <summary className="font-medium">Addresses, for a private gateway</summary>
            <div className="mt-3 flex flex-col gap-4 pb-2">{rare.map(field)}</div>
          </details>
        ) : null}
      </FormShell>
      {report ? (
        <div className="px-4 pb-4">
          <CheckFindings report={report} />
        </div>
      ) : null}
    </>
  );
}
