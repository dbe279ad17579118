import type { LimitReport } from "@keygate/shared/contracts/limits";
import { anthropic as contract } from "@keygate/shared/contracts/vendors/anthropic";
import { KeyGateError, must } from "@keygate/shared/errors";
import { microsToDollars } from "@keygate/shared/money";
import type { SagaKey } from "../../saga/step.ts";
import { reportLimits } from "../limits-report.ts";
import { defineVendor, type Issued } from "../vendor.ts";
import { check } from "./check.ts";
import { type AnthropicClient, anthropicVersion, createAnthropicClient } from "./client.ts";
import { spendLimitLink } from "./instructions.ts";
import { inventory } from "./inventory.ts";
import { provision } from "./provision.ts";
import { dismantle, revoke } from "./revoke.ts";
import { rotate } from "./rotate.ts";
import type { AnthropicState } from "./state.ts";

// Nothing is published about lists that lag; the same caution as for other vendors.
const settleMs = 10_000;

function limitsOf(state: AnthropicState, key: SagaKey): LimitReport[] {
  const rates = state.rateLimits ?? [];
  const lowest = rates.length > 0 ? Math.min(...rates.map((rate) => rate.requestsPerMinute)) : null;
  const unlimited = state.unlimitedGroups ?? [];
  const notes = [
    ...(unlimited.length > 0 ? [`Anthropic counts no requests per minute for: ${unlimited.join(", ")}.`] : []),
    ...(lowest !== null && lowest < key.rateLimitRpm ? ["The organization's own limit is lower and counts."] : []),
  ];
  const link = spendLimitLink(must(state.workspaceId, "workspaceId"));
  const endsAt = state.keyExpiresAt ?? null;
  const endsEarlier =
    endsAt !== null && key.expiresAt !== null && Date.parse(endsAt) < key.expiresAt.getTime() - 60_000;
  return reportLimits(contract.limits, key, {
    budget:
      state.spendLimitMicros === undefined
        ? {
            effective: null,
            enforcedBy: "declared",
            note: `Whoever made the key was asked to set the limit; nobody checked. It is set and seen at ${link}`,
          }
        : {
            effective: microsToDollars(state.spendLimitMicros),
            enforcedBy: "vendor",
            note: state.spendLimitCurrency
              ? `Set by KeyGate and confirmed by Anthropic, which bills this organization in ${state.spendLimitCurrency}: the number counts in that currency, not in US dollars.`
              : "Set by KeyGate and confirmed by Anthropic.",
          },
    rate_limit: {
      effective: lowest,
      ...(rates.length === 0 ? { enforcedBy: "none" as const } : {}),
      ...(notes.length > 0 ? { note: notes.join(" ") } : {}),
    },
    models: { effective: null },
    expiry: {
      effective: endsAt,
      ...(endsEarlier ? { note: "Whoever made the key chose an earlier end than was asked for." } : {}),
    },
  });
}

function describe(state: AnthropicState, key: SagaKey, client: AnthropicClient): Issued {
  const { issued: _noted, oldKeyId: _old, ...resources } = state;
  // The official packages add /v1 themselves.
  const baseUrl = client.connection.baseUrl.replace(/\/v1$/, "");
  return {
    vendorRef: { ...resources },
    limits: limitsOf(state, key),
    instructions: {
      base_url: baseUrl,
      auth_header: "x-api-key: <api_key>",
      version_header: `anthropic-version: ${anthropicVersion}`,
      environment: "ANTHROPIC_API_KEY",
      workspace_id: must(state.workspaceId, "workspaceId"),
    },
  };
}

/**
 * The official packages read the same variable without the version and add it themselves; an address that is nothing but
 * a host is meant like that.
 */
function apiAddressOf(text: string): string {
  const address = text.replace(/\/+$/, "");
  return new URL(address).pathname === "/" ? `${address}/v1` : address;
}

/** Anthropic: a workspace of its own for each developer key; the key itself is made by a person in the Console. */
export const anthropic = defineVendor<AnthropicClient, AnthropicState>({
  id: "anthropic",
  settleMs,
  connect(settings, { http, ...deps }) {
    const { adminKey, orgId, simulated } = settings;
    if (adminKey.reveal() === "") {
      throw new KeyGateError("vendor.refused_us", { detail: "No Admin key is configured." });
    }
    if (adminKey.reveal().startsWith("sk-ant-oat")) {
      throw new KeyGateError("vendor.refused_us", {
        detail: "This is an OAuth token, which ends within a day. Configure an Admin API key (sk-ant-admin01-…).",
      });
    }
    const { base_url, admin_key_expires_on } = contract.extraConfig.parse(settings.extra);
    const baseUrl = apiAddressOf(base_url ?? "https://api.anthropic.com/v1");
    const adminKeyExpiresOn = admin_key_expires_on ?? null;
    return createAnthropicClient({
      ...{ http, baseUrl, adminKey, orgId, adminKeyExpiresOn, simulated },
      settleMs: deps.settleMs ?? settleMs,
    });
  },
  check,
  provision,
  rotate,
  revoke,
  dismantle,
  describe,
  inventory,
});
