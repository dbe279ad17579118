import { z } from "zod";
import type { VendorContract } from "./vendor-contract.ts";

export const openai = {
  title: "OpenAI",
  adminKey: {
    label: "Admin key (sk-admin-…)",
    help: "Made by an organization owner under Settings → Admin keys. A restricted key with “Organization administration: write” and “Usage: read” is enough.",
  },
  extraConfig: z.strictObject({
    base_url: z.url({ protocol: /^https?$/ }).optional(),
  }),
  settings: {
    base_url: {
      label: "API address",
      help: "Only for a private gateway; https://api.openai.com/v1 otherwise.",
      required: false,
      secret: false,
    },
  },
  environment: {
    adminKey: { variable: "OPENAI_ADMIN_KEY" },
    orgId: "OPENAI_ORG_ID",
    extra: { base_url: "OPENAI_BASE_URL" },
  },
  naming: { maxLength: 60, charset: "lower-alnum-dash" },
  expiryDaysMax: 365,
  suggestedModels: ["gpt-5.1", "gpt-5.1-mini", "gpt-4.1", "gpt-4o", "gpt-4o-mini", "o3", "o4-mini"],
  limits: {
    budget: {
      enforcedBy: "vendor",
      delay: "Not instantaneous: recorded spend can pass the number a little.",
      finePrint:
        "A hard monthly spend limit on the key's own OpenAI project, in US dollars per calendar month. All keys of the project stop together with status 429 and code project_spend_limit_exceeded.",
    },
    rate_limit: {
      enforcedBy: "vendor",
      delay: "In force when the vendor has accepted it.",
      finePrint:
        "Requests per minute for each model of the project, not for the key as a whole. Models that OpenAI adds later come with the organization's default unless an allow list is set.",
    },
    models: {
      enforcedBy: "vendor",
      delay: "In force when the vendor has accepted it.",
      finePrint:
        "An allow list on the project; other models answer as if they did not exist. Whether a dated snapshot follows its alias is not published: list both.",
    },
    expiry: {
      enforcedBy: "vendor",
      delay: "None: the key stops at its time.",
      finePrint: "OpenAI is told at creation; 365 days at most. KeyGate also removes what is left within a minute.",
    },
  },
} as const satisfies VendorContract;
