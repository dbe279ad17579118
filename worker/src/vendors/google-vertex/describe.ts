import type { Instructions } from "@keygate/shared/contracts/keys";
import type { LimitReport } from "@keygate/shared/contracts/limits";
import { googleVertex as contract } from "@keygate/shared/contracts/vendors/google-vertex";
import { must } from "@keygate/shared/errors";
import type { SagaKey } from "../../saga/step.ts";
import { reportLimits } from "../limits-report.ts";
import type { Issued } from "../vendor.ts";
import type { GoogleClient } from "./client.ts";
import type { GoogleState } from "./state.ts";

/** The earlier of the key's own end and the one that was asked for. */
function expiryOf(state: GoogleState, key: SagaKey): { effective: string | null; note?: string } {
  const wanted = key.expiresAt?.toISOString() ?? null;
  const own = state.keyValidUntil ?? null;
  const endsEarly = own !== null && (wanted === null || Date.parse(own) < Date.parse(wanted) - 1_000);
  if (endsEarly)
    return { effective: own, note: `The organization ends keys early: this one at ${own}. Rotate before.` };
  if (state.keyMadeBy === "create") {
    return {
      effective: wanted,
      note: "Google made this key, which has no end of its own, since the organization does not take uploaded ones.",
    };
  }
  return { effective: wanted, note: "The key's certificate ends at that time." };
}

function limitsOf(state: GoogleState, key: SagaKey): LimitReport[] {
  const until = state.accessUntil ?? null;
  const grantEnds = until !== null && key.expiresAt !== null && Date.parse(until) <= key.expiresAt.getTime();
  const keyEnds = (state.keyValidUntil ?? null) !== null;
  return reportLimits(contract.limits, key, {
    budget: { effective: null },
    rate_limit: { effective: null },
    models: { effective: null },
    // After a rotation the grant may have to last longer than a new key that has no end of its own.
    expiry: { ...expiryOf(state, key), ...(grantEnds || keyEnds ? {} : { enforcedBy: "keygate" as const }) },
  });
}

function instructionsFor(state: GoogleState, { settings }: GoogleClient): Instructions {
  const projectId = must(state.projectId, "projectId");
  return {
    base_url: `${settings.vertexUrl}/v1/projects/${projectId}/locations/${settings.region}`,
    auth_header: "Authorization: Bearer <access token>",
    environment: "GOOGLE_APPLICATION_CREDENTIALS",
    project_id: projectId,
    location: settings.region,
    service_account: must(state.email, "email"),
    token_url: settings.tokenUrl,
    token_scope: "https://www.googleapis.com/auth/cloud-platform",
    credential:
      "api_key is the text of a JSON file, not a bearer token. Save it where only you can read it and name its path in GOOGLE_APPLICATION_CREDENTIALS; Google's libraries do the rest. Any other client must first exchange it for an access token at token_url: a JWT signed with its private key (RS256; iss and sub: client_email, aud: https://oauth2.googleapis.com/token, scope: token_scope, at most an hour), sent as grant_type urn:ietf:params:oauth:grant-type:jwt-bearer. Tokens live for an hour.",
    ready: "Google may need up to 7 minutes until a new key may call models; until then calls answer 403.",
  };
}

/** What was made for a key, and what may be said about it. */
export function describe(state: GoogleState, key: SagaKey, client: GoogleClient): Issued {
  const { issued: _noted, accessUntilBefore: _before, ...resources } = state;
  return { vendorRef: { ...resources }, limits: limitsOf(state, key), instructions: instructionsFor(state, client) };
}
