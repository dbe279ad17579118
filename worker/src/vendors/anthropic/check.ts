import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { KeyGateError } from "@keygate/shared/errors";
import type { AnthropicClient } from "./client.ts";

type Findings = Pick<CheckReport, "ok" | "findings" | "missing">;

const dayMs = 86_400_000;
const warnBeforeDays = 14;
/** Active workspaces of an organization, unless Anthropic has raised it; the API does not tell. */
const usualWorkspacesMax = 100;

interface Look {
  name: string;
  /** What to add or to fix when the vendor refuses. */
  needs: string;
  run(client: AnthropicClient): Promise<string>;
}

const looks: readonly Look[] = [
  {
    name: "organization",
    needs: "a valid Admin API key (sk-ant-admin01-…)",
    async run(client) {
      const { id, name } = await client.me();
      const expected = client.connection.orgId;
      if (expected && expected !== id) {
        throw new KeyGateError("vendor.refused_us", {
          detail: `The Admin key belongs to the organization ${id}, not to ${expected} as configured.`,
          facts: { status: 403 },
        });
      }
      return `The Admin key is alive and belongs to ${name ?? "the organization"} (${id}).`;
    },
  },
  {
    name: "workspaces",
    needs: "an Admin API key made by an admin of the organization",
    async run(client) {
      const count = (await client.listWorkspaces()).length;
      const rest = count >= usualWorkspacesMax * 0.9 ? " Each key needs one: ask Anthropic for more in time." : "";
      return `${count} active workspaces; ${usualWorkspacesMax} are usual as a maximum.${rest} The first provisioning shows whether the key may make them.`;
    },
  },
  {
    name: "rate limits",
    needs: "an organization with rate limits by API",
    async run(client) {
      const groups = (await client.listRateLimits()).filter((entry) => entry.group.type === "model_group");
      return `Requests per minute can be limited for ${groups.length} model groups.`;
    },
  },
  {
    name: "spend limits",
    needs: "early access to spend limits by API",
    async run(client) {
      try {
        await client.listSpendLimits();
        return "Spend limits can be read by API. The first provisioning shows whether they can be set, too.";
      } catch (error) {
        // No failure: KeyGate then asks a person to set the limit, and reports it as declared.
        const status = error instanceof KeyGateError ? error.facts.status : undefined;
        if (status !== 400 && status !== 403 && status !== 404) throw error;
        return "Anthropic has not opened spend limits by API for this organization: a person sets each budget in the Console, and KeyGate reports it as declared.";
      }
    },
  },
  {
    name: "Admin key expiry",
    needs: "a new Admin API key, and its last day in the settings",
    async run(client) {
      const lastDay = client.connection.adminKeyExpiresOn;
      if (!lastDay) return "Not known: the API does not tell it. Put it into the settings to be warned.";
      const days = Math.floor((Date.parse(lastDay) + dayMs - Date.now()) / dayMs);
      if (days < 0) {
        throw new KeyGateError("vendor.refused_us", {
          detail: `The Admin key's last day was ${lastDay}.`,
          facts: { status: 401 },
        });
      }
      return `${days} days left${days <= warnBeforeDays ? ": make a new Admin key soon." : "."}`;
    },
  },
];

/** Reads only; none of them can prove the right to write, which the first provisioning does. */
export async function check(client: AnthropicClient): Promise<Findings> {
  const findings: CheckReport["findings"] = [];
  const missing = new Set<string>();
  for (const { name, needs, run } of looks) {
    try {
      findings.push({ name, ok: true, detail: await run(client) });
    } catch (error) {
      const known = error instanceof KeyGateError ? error : null;
      findings.push({ name, ok: false, detail: known?.detail ?? known?.title ?? "The check itself failed." });
      const isForAnswer = known?.code === "vendor.refused_us" || known?.code === "vendor.refused";
      if (isForAnswer) missing.add(known.facts.status === 401 && name !== "Admin key expiry" ? validKey : needs);
      // Whoever is refused here is refused everywhere: one line is enough.
      if (name === "organization") break;
    }
  }
  return { ok: findings.every((finding) => finding.ok), findings, missing: [...missing] };
}

const validKey = "a valid Admin API key (sk-ant-admin01-…)";
