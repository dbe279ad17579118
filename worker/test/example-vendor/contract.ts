import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import { z } from "zod";

export const acme = {
  title: "Acme",
  adminKey: {
    label: "Admin token (acme-admin-…)",
    help: "Made by an organization's owner under Organization → Tokens, with the scope projects:write.",
  },
  extraConfig: z.strictObject({
    base_url: z.url({ protocol: /^https?$/ }).optional(),
  }),
  settings: {
    base_url: {
      label: "API address",
      help: "Only for a private gateway; https://api.acme.example/v1 otherwise.",
      required: false,
      secret: false,
    },
  },
  environment: {
    adminKey: { variable: "ACME_ADMIN_TOKEN" },
    orgId: "ACME_ORG_ID",
    extra: { base_url: "ACME_BASE_URL" },
    required: ["ACME_ORG_ID"],
  },
  naming: { maxLength: 40, charset: "lower-alnum-dash" },
  expiryDaysMax: null,
  suggestedModels: ["acme-large", "acme-small"],
  limits: {
    budget: {
      enforcedBy: "vendor",
      delay: "Up to a minute after the spend was recorded.",
      finePrint: "A monthly budget on the key's own Acme project; all keys of the project share it.",
    },
    rate_limit: { enforcedBy: "none", delay: "Never.", finePrint: "Acme limits organizations, never projects." },
    models: { enforcedBy: "none", delay: "Never.", finePrint: "Acme has no way to restrict a key to certain models." },
    expiry: {
      enforcedBy: "vendor",
      delay: "None: the key stops at its time.",
      finePrint: "Acme is told when the key is made. KeyGate also removes what is left within a minute.",
    },
  },
} as const satisfies VendorContract;
