import type { LimitReport } from "@keygate/shared/contracts/limits";
import { openai as contract } from "@keygate/shared/contracts/vendors/openai";
import { KeyGateError, must } from "@keygate/shared/errors";
import type { SagaKey } from "../../saga/step.ts";
import { reportLimits } from "../limits-report.ts";
import { defineVendor, type Issued } from "../vendor.ts";
import { check } from "./check.ts";
import { createOpenAiClient, type OpenAiClient } from "./client.ts";
import { inventory } from "./inventory.ts";
import { type OpenAiState, provision } from "./provision.ts";
import { dismantle, revoke } from "./revoke.ts";
import { rotate } from "./rotate.ts";

function limitsOf(state: OpenAiState, key: SagaKey): LimitReport[] {
  const rates = state.rateLimits ?? [];
  const lowest = rates.length > 0 ? Math.min(...rates.map((rate) => rate.requestsPerMinute)) : null;
  const unlimited = state.unlimitedModels ?? [];
  return reportLimits(contract.limits, key, {
    // The project of an adopted key has no limit of ours.
    budget:
      state.spendLimitCents === undefined
        ? { effective: null, enforcedBy: "none" }
        : { effective: state.spendLimitCents / 100 },
    rate_limit: {
      effective: lowest,
      ...(rates.length === 0 ? { enforcedBy: "none" as const } : {}),
      ...(unlimited.length > 0 ? { note: `OpenAI has no rate-limit entry for: ${unlimited.join(", ")}.` } : {}),
      ...(lowest !== null && lowest < key.rateLimitRpm
        ? { note: "The organization's own limit is lower and stays." }
        : {}),
    },
    models: { effective: state.modelsAllowed ?? null },
    expiry: { effective: key.expiresAt?.toISOString() ?? null },
  });
}

function describe(state: OpenAiState, key: SagaKey, client: OpenAiClient): Issued {
  const { issued: _noted, ...resources } = state;
  return {
    vendorRef: { ...resources },
    limits: limitsOf(state, key),
    instructions: {
      base_url: client.baseUrl,
      auth_header: "Authorization: Bearer <api_key>",
      environment: "OPENAI_API_KEY",
      project_id: must(state.projectId, "projectId"),
    },
  };
}

/** OpenAI: a project, a service account and a key of its own for each developer key. */
export const openai = defineVendor<OpenAiClient, OpenAiState>({
  id: "openai",
  // Not published; lists were seen to show new projects within seconds, so twice that.
  settleMs: 10_000,
  connect(settings, { http }) {
    const adminKey = settings.adminKey;
    if (adminKey.reveal() === "")
      throw new KeyGateError("vendor.refused_us", { detail: "No admin key is configured." });
    const { base_url } = contract.extraConfig.parse(settings.extra);
    const baseUrl = (base_url ?? "https://api.openai.com/v1").replace(/\/+$/, "");
    return createOpenAiClient({ http, baseUrl, adminKey, orgId: settings.orgId });
  },
  check,
  provision,
  rotate,
  revoke,
  dismantle,
  describe,
  inventory,
});
