import { KeyGateError, must } from "@keygate/shared/errors";
import type { SagaKey } from "../../src/saga/step.ts";
import { reportLimits } from "../../src/vendors/limits-report.ts";
import { defineVendor, type Issued } from "../../src/vendors/vendor.ts";
import { check } from "./check.ts";
import { type AcmeClient, createAcmeClient } from "./client.ts";
import { acme as contract } from "./contract.ts";
import { inventory } from "./inventory.ts";
import { type AcmeState, provision } from "./provision.ts";
import { dismantle, revoke } from "./revoke.ts";
import { rotate } from "./rotate.ts";
import { acmeId } from "./unlisted.ts";

function describe(state: AcmeState, key: SagaKey, client: AcmeClient): Issued {
  const { project, budgetCents, keyId } = state;
  return {
    vendorRef: { project: must(project, "project"), budgetCents, keyId: must(keyId, "keyId") },
    limits: reportLimits(contract.limits, key, {
      budget: { effective: budgetCents === undefined ? null : budgetCents / 100 },
      rate_limit: { effective: null },
      models: { effective: null },
      expiry: { effective: key.expiresAt?.toISOString() ?? null },
    }),
    instructions: { base_url: client.baseUrl, auth_header: "Authorization: Bearer <api_key>" },
  };
}

/** Acme: a project with a budget and a key of its own for each developer key. */
export const acme = defineVendor<AcmeClient, AcmeState>({
  id: acmeId,
  // Acme's reference: "lists may be up to five seconds old". Twice that.
  settleMs: 10_000,
  connect({ adminKey, orgId, extra }, { http }) {
    if (!orgId) throw new KeyGateError("vendor.refused_us", { detail: "No organization (org_id) is configured." });
    const { base_url } = contract.extraConfig.parse(extra);
    const baseUrl = (base_url ?? "https://api.acme.example/v1").replace(/\/+$/, "");
    return createAcmeClient({ http, baseUrl, orgId, adminToken: adminKey });
  },
  check,
  provision,
  rotate,
  revoke,
  dismantle,
  describe,
  inventory,
});
