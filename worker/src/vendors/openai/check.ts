import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { KeyGateError } from "@keygate/shared/errors";
import type { OpenAiClient } from "./client.ts";
import { missingScopesIn } from "./errors.ts";

type Findings = Pick<CheckReport, "ok" | "findings" | "missing">;

const daySeconds = 86_400;
const warnBeforeDays = 14;

/** Three reads; none of them can prove the right to write, which the first provisioning does. */
export async function check(client: OpenAiClient): Promise<Findings> {
  const findings: CheckReport["findings"] = [];
  const missing = new Set<string>();

  const look = async (name: string, scope: string, run: () => Promise<string>): Promise<boolean> => {
    try {
      findings.push({ name, ok: true, detail: await run() });
      return true;
    } catch (error) {
      const words = error instanceof KeyGateError ? (error.detail ?? error.title) : "The check itself failed.";
      const isRefusal = error instanceof KeyGateError && error.code === "vendor.refused_us";
      const named = missingScopesIn(words);
      if (isRefusal && error.facts.status === 403) for (const each of named.length ? named : [scope]) missing.add(each);
      else if (isRefusal) missing.add("a valid admin key (sk-admin-…)");
      findings.push({ name, ok: false, detail: words });
      return false;
    }
  };

  const canRead = await look("management", "api.management.read", async () => {
    await client.probeManagementRead();
    return "The admin key is alive and may read projects. The first provisioning shows whether it may write.";
  });
  if (canRead) {
    await look("usage", "api.usage.read", async () => {
      await client.probeUsageRead(Math.floor(Date.now() / 1000) - daySeconds);
      return "Costs can be read.";
    });
    await look("admin key expiry", "api.management.read", async () => {
      const soonest = (await client.listAdminKeys()).data
        .map((key) => key.expires_at)
        .filter((at): at is number => typeof at === "number" && at * 1000 > Date.now())
        .sort((a, b) => a - b)[0];
      if (soonest === undefined) return "No admin key of the organization has an end that is near.";
      const days = Math.floor((soonest * 1000 - Date.now()) / 1000 / daySeconds);
      const when = `An admin key of the organization expires in ${days} days`;
      return days <= warnBeforeDays ? `${when}: make sure that it is not this one.` : `${when}.`;
    });
  }
  return { ok: findings.every((finding) => finding.ok), findings, missing: [...missing] };
}
