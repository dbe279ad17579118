import { defineVendor } from "../vendor.ts";
import { check } from "./check.ts";
import { createGoogleClient, type GoogleClient } from "./client.ts";
import { describe } from "./describe.ts";
import { inventory } from "./inventory.ts";
import { provision } from "./provision.ts";
import { dismantle, revoke } from "./revoke.ts";
import { rotate } from "./rotate.ts";
import { readSettings } from "./settings.ts";
import type { GoogleState } from "./state.ts";
import { createTokenSource } from "./tokens.ts";

// An account may be unknown for more than a minute and key lists lag by one and a half, as those who run many of them
// report; Google publishes neither.
const settleMs = 120_000;

/** Google Vertex AI: a service account, a grant that ends and a key for each developer key, in one project. */
export const googleVertex = defineVendor<GoogleClient, GoogleState>({
  id: "google_vertex",
  settleMs,
  connect(stored, deps) {
    const settings = readSettings(stored);
    const tokens = createTokenSource(settings.credential, settings.tokenUrl, deps.timeoutMs);
    return createGoogleClient({ http: deps.http, settings, tokens, settleMs: deps.settleMs ?? settleMs });
  },
  check,
  provision,
  rotate,
  revoke,
  dismantle,
  describe,
  inventory,
});
