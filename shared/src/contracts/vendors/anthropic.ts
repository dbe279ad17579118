import { z } from "zod";
import type { VendorContract } from "./vendor-contract.ts";

export const anthropic = {
  title: "Anthropic",
  adminKey: {
    label: "Admin API key (sk-ant-admin01-…)",
    help: "Made by an admin of the organization in the Console under Settings → Admin keys. It cannot be restricted: it has full power over the organization, so give it an expiry and keep it for KeyGate alone.",
  },
  extraConfig: z.strictObject({
    base_url: z.url({ protocol: /^https?$/ }).optional(),
    admin_key_expires_on: z.iso.date().optional(),
  }),
  settings: {
    base_url: {
      label: "API address",
      help: "Only for a private gateway; https://api.anthropic.com/v1 otherwise.",
      required: false,
      secret: false,
    },
    admin_key_expires_on: {
      label: "Last day of the Admin key",
      help: "As chosen in the Console, like 2027-03-31. The API does not tell it; KeyGate warns two weeks ahead.",
      required: false,
      secret: false,
    },
  },
  environment: {
    adminKey: { variable: "ANTHROPIC_ADMIN_KEY" },
    extra: { base_url: "ANTHROPIC_BASE_URL", admin_key_expires_on: "ANTHROPIC_ADMIN_KEY_EXPIRES_ON" },
  },
  naming: { maxLength: 40, charset: "lower-alnum-dash" },
  expiryDaysMax: null,
  suggestedModels: ["claude-opus-4-6", "claude-sonnet-4-6", "claude-haiku-4-5"],
  limits: {
    budget: {
      enforcedBy: "declared",
      delay: "Not published; a small overshoot has to be expected.",
      finePrint:
        "A monthly spend limit (calendar month, UTC) on the key's own Anthropic workspace; requests beyond it are answered with status 400. KeyGate sets it itself where Anthropic has opened spend limits by API for the organization (early access); elsewhere a person sets it in the Console, and KeyGate can neither read nor check it. It cannot exceed the organization's own limit.",
    },
    rate_limit: {
      enforcedBy: "vendor",
      delay: "Up to about an hour after it was set.",
      finePrint:
        "Requests per minute for each model group of the key's own workspace, not for the key as a whole, and always next to the organization's limit, never above it. Batches, token counting and model groups that Anthropic adds later are not covered.",
    },
    models: {
      enforcedBy: "none",
      delay: "Never.",
      finePrint: "Anthropic has no way to restrict a workspace or a key to certain models; the list is a note only.",
    },
    expiry: {
      enforcedBy: "vendor",
      delay: "None: the key stops at its time.",
      finePrint:
        "Chosen by whoever makes the key in the Console and fixed from then on; KeyGate refuses a key that would live longer than was asked, and removes it at the asked time in any case.",
    },
  },
} as const satisfies VendorContract;
