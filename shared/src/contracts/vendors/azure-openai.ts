import { z } from "zod";
import type { VendorContract } from "./vendor-contract.ts";

const guid = z.guid({ message: "Must be an id like 00000000-1111-2222-3333-444444444444" });
const address = (message: string) => z.url({ protocol: /^https?$/, message });

/** The kinds of deployment that cost nothing while nobody calls; the provisioned ones bill by the hour. */
export const azureDeploymentTypes = ["GlobalStandard", "DataZoneStandard", "Standard"] as const;

const split = (text: string) =>
  text
    .split(",")
    .map((part) => part.trim())
    .filter(Boolean);

/** Comma-separated text, which is how the environment and the form give it, or a list. */
const listOf = (item: z.ZodType<string, string>) =>
  z.union([z.string().transform(split), z.array(z.string())]).pipe(z.array(item).min(1));

export const azureOpenAi = {
  title: "Azure OpenAI",
  adminKey: {
    label: "Client secret of the app registration",
    help: "The secret's value, not its id. Or one of the words managed-identity and workload-identity, where the machine that runs KeyGate has an identity of its own. Which roles it needs stands in the vendor's page in the documentation.",
  },
  extraConfig: z.strictObject({
    subscription_id: guid.optional(),
    resource_group: z
      .string()
      .regex(/^[-\w.()]{0,89}[-\w()]$/, { message: "Must be a resource group's name, at most 90 characters" })
      .optional(),
    tenant_id: z
      .string()
      .regex(/^[a-zA-Z0-9.-]{1,253}$/, { message: "Must be the directory (tenant) id or one of its domains" })
      .optional(),
    client_id: guid.optional(),
    client_secret: z.string().min(1).optional(),
    location: listOf(
      z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9 ]{1,40}$/, { message: "Must be a location like swedencentral" }),
    ).optional(),
    resource_manager_url: address("Must be an address like https://management.azure.com").optional(),
    authority_host: address("Must be an https address like https://login.microsoftonline.com")
      .refine((url) => /^https:|^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(\/|$)/i.test(url), {
        message:
          "Must be an https address like https://login.microsoftonline.com; http serves on the same machine only",
      })
      .optional(),
    deployment_types: listOf(z.enum(azureDeploymentTypes)).optional(),
    api_version: z
      .string()
      .regex(/^\d{4}-\d{2}-\d{2}(-preview)?$/, { message: "Must be a version like 2026-03-01" })
      .optional(),
  }),
  settings: {
    subscription_id: { label: "Subscription id", help: "Where the accounts are made.", required: true, secret: false },
    resource_group: {
      label: "Resource group",
      help: "It must exist, and should hold nothing but KeyGate's accounts.",
      required: true,
      secret: false,
    },
    tenant_id: {
      label: "Tenant id",
      help: "The directory of the app registration. Not needed with managed-identity.",
      required: false,
      secret: false,
    },
    client_id: {
      label: "Client id",
      help: "The application id of the app registration, or of a user-assigned identity.",
      required: false,
      secret: false,
    },
    client_secret: {
      label: "Client secret",
      help: "The same as the admin credential, for those who keep it with the other settings; it goes before it.",
      required: false,
      secret: true,
    },
    location: {
      label: "Locations",
      help: "One or several, separated by commas, the preferred one first. One holds about 30 keys.",
      required: true,
      secret: false,
    },
    resource_manager_url: {
      label: "Resource Manager address",
      help: "For a sovereign cloud or a private gateway; https://management.azure.com otherwise.",
      required: false,
      secret: false,
    },
    authority_host: {
      label: "Sign-in address",
      help: "For a sovereign cloud or a private authority, always https; that of the Resource Manager's cloud otherwise.",
      required: false,
      secret: false,
    },
    deployment_types: {
      label: "Kinds of deployment",
      help: "Which of GlobalStandard, DataZoneStandard and Standard may be used, the preferred one first; all three otherwise. They decide in which part of the world prompts are processed.",
      required: false,
      secret: false,
    },
    api_version: {
      label: "Resource Manager API version",
      help: "2026-03-01 when left out.",
      required: false,
      secret: false,
    },
  },
  environment: {
    adminKey: { variable: "AZURE_CLIENT_SECRET" },
    extra: {
      subscription_id: "AZURE_SUBSCRIPTION_ID",
      resource_group: "AZURE_RESOURCE_GROUP",
      tenant_id: "AZURE_TENANT_ID",
      client_id: "AZURE_CLIENT_ID",
      location: "AZURE_LOCATION",
      resource_manager_url: "AZURE_RESOURCE_MANAGER_URL",
      authority_host: "AZURE_AUTHORITY_HOST",
      deployment_types: "AZURE_DEPLOYMENT_TYPES",
      api_version: "AZURE_API_VERSION",
    },
    required: ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_LOCATION"],
    // Without a secret: a managed identity, or the federated token that Kubernetes puts beside the client id.
    ambient: ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_LOCATION"],
  },
  // Account and subdomain bear the same name; a label of a host name has at most 63 characters.
  naming: { maxLength: 60, charset: "lower-alnum-dash" },
  // An account has two slots for keys: during a grace period both are taken.
  keysAtOnce: 2,
  expiryDaysMax: null,
  // In this order, so that the first few are what a key gets whose models nobody named.
  suggestedModels: ["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "o3", "o4-mini", "o3-mini"],
  limits: {
    budget: {
      enforcedBy: "none",
      delay: "Never.",
      finePrint:
        "Nobody enforces it. Azure's budgets send e-mails about a day late and stop nothing, and its cost data lags by 8 to 24 hours. The number is a note between you and the developer; the rate limit bounds what a minute can cost.",
    },
    rate_limit: {
      enforcedBy: "vendor",
      delay: "In force when the deployment exists, which is before the key does.",
      finePrint:
        "For each deployed model, not for the key as a whole. Azure takes units of capacity instead of a number; each brings a fixed count of requests and tokens, and the tokens often run out first. Both are checked in slices of 1 to 10 seconds, so a burst is refused although the minute is far from full. All models of a key together may do 30 requests per second.",
    },
    models: {
      enforcedBy: "vendor",
      delay: "None: what is not deployed does not exist for the key.",
      finePrint:
        "Only the deployed models answer, under their deployment's name, and a key cannot deploy. The version is pinned: it does not change under the key, and it stops on its retirement date.",
    },
    expiry: {
      enforcedBy: "keygate",
      delay: "Within a minute, while a worker runs; as soon as one runs again otherwise.",
      finePrint:
        "Azure's keys never end by themselves. At its time KeyGate replaces both keys of the account and deletes it, and says so only after a look that no longer finds it.",
    },
  },
} as const satisfies VendorContract;
