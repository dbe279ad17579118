import { must } from "@keygate/shared/errors";
import type { SagaKey } from "../../saga/step.ts";
import { defineVendor, type Issued } from "../vendor.ts";
import { check } from "./check.ts";
import { type AzureClient, azureSettleMs, createAzureClient } from "./client.ts";
import { createAzureTokens } from "./identity.ts";
import { inventory } from "./inventory.ts";
import { limitsOf } from "./limits.ts";
import { provision } from "./provision.ts";
import { dismantle, revoke } from "./revoke.ts";
import { rotate } from "./rotate.ts";
import { readAzureSettings } from "./settings.ts";
import type { AzureState } from "./state.ts";

/** The data plane's API version that answers on every account; the newer /openai/v1/ addresses need none. */
const dataApiVersion = "2024-10-21";

const closedNetwork =
  "Public access to the account is disabled: the key works from the networks that are connected to it, and from nowhere else.";

function describe(state: AzureState, key: SagaKey): Issued {
  const account = must(state.account, "account");
  const endpoint = must(state.endpoint, "endpoint");
  const { publicNetworkAccess = null, deployments = [], slot, mark, previousMark = null } = state;
  const slash = endpoint.endsWith("/") ? "" : "/";
  return {
    vendorRef: {
      account,
      endpoint,
      publicNetworkAccess,
      deployments,
      slot: must(slot, "slot"),
      mark: must(mark, "mark"),
      previousMark,
    },
    limits: limitsOf(state, key),
    instructions: {
      base_url: endpoint,
      auth_header: "api-key: <api_key>",
      environment: "AZURE_OPENAI_API_KEY",
      endpoint,
      api_version: dataApiVersion,
      deployments: deployments.map(({ deployment }) => deployment),
      chat_completions_url: `${endpoint}${slash}openai/deployments/<deployment>/chat/completions?api-version=${dataApiVersion}`,
      openai_compatible_url: `${endpoint}${slash}openai/v1/`,
      location: account.location,
      first_minute: "The address of a new account can take a minute to be found.",
      ...(publicNetworkAccess === "Disabled" ? { network: closedNetwork } : {}),
    },
  };
}

/** Azure OpenAI: an account with deployments of its own for each developer key, since both keys of an account are equal. */
export const azureOpenAi = defineVendor<AzureClient, AzureState>({
  id: "azure_openai",
  settleMs: azureSettleMs,
  connect(stored, deps) {
    const settings = readAzureSettings(stored);
    const tokens = createAzureTokens(settings, deps);
    return createAzureClient({ http: deps.http, tokens, settings, settleMs: deps.settleMs ?? azureSettleMs });
  },
  check,
  provision,
  rotate,
  revoke,
  dismantle,
  describe,
  inventory,
});
