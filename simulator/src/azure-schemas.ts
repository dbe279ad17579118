/** The bodies that the simulated ARM takes, strictly: what is not named here, or only Azure may write, is refused. */
import { z } from "zod";

const object = z.record(z.string(), z.unknown());
const objects = z.array(object);

const Tags = z
  .record(
    z
      .string()
      .min(1)
      .max(512)
      .regex(/^[^<>%&\\?/]*$/),
    z.string().max(256),
  )
  .refine((tags) => Object.keys(tags).length <= 50, { error: "at most 50 tags" });

const Sku = z.strictObject({
  name: z.string().min(1),
  tier: z.enum(["Free", "Basic", "Standard", "Premium", "Enterprise"]).optional(),
  size: z.string().optional(),
  family: z.string().optional(),
  capacity: z.int().optional(),
});

const NetworkAcls = z.strictObject({
  defaultAction: z.enum(["Allow", "Deny"]).optional(),
  bypass: z.enum(["None", "AzureServices"]).optional(),
  ipRules: z.array(z.strictObject({ value: z.string() })).optional(),
  virtualNetworkRules: z
    .array(
      z.strictObject({
        id: z.string(),
        state: z.string().optional(),
        ignoreMissingVnetServiceEndpoint: z.boolean().optional(),
      }),
    )
    .optional(),
});

const AccountProperties = z.strictObject({
  // An account's address: letters, digits and hyphens, neither first nor last a hyphen.
  customSubDomainName: z
    .string()
    .regex(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,62}[a-zA-Z0-9])?$/)
    .min(2)
    .optional(),
  publicNetworkAccess: z.enum(["Enabled", "Disabled"]).optional(),
  networkAcls: NetworkAcls.optional(),
  disableLocalAuth: z.boolean().optional(),
  allowProjectManagement: z.boolean().optional(),
  dynamicThrottlingEnabled: z.boolean().optional(),
  storedCompletionsDisabled: z.boolean().optional(),
  restrictOutboundNetworkAccess: z.boolean().optional(),
  allowedFqdnList: z.array(z.string()).optional(),
  restore: z.boolean().optional(),
  migrationToken: z.string().optional(),
  encryption: object.optional(),
  userOwnedStorage: objects.optional(),
  amlWorkspace: object.optional(),
  apiProperties: object.optional(),
  locations: object.optional(),
  raiMonitorConfig: object.optional(),
  networkInjections: objects.optional(),
  defaultProject: z.string().optional(),
  associatedProjects: z.array(z.string()).optional(),
  a365LoggingEnabled: z.boolean().optional(),
});

const Identity = z.strictObject({
  type: z.enum(["None", "SystemAssigned", "UserAssigned", "SystemAssigned, UserAssigned"]),
  userAssignedIdentities: z.record(z.string(), object).optional(),
});

const kind = z.enum(["OpenAI", "AIServices"]);

/** A restoration needs no kind and no SKU: the account has its own. */
export const AccountPut = z
  .strictObject({
    location: z.string().min(1),
    kind: kind.optional(),
    sku: Sku.optional(),
    tags: Tags.optional(),
    identity: Identity.optional(),
    properties: AccountProperties.optional(),
  })
  .superRefine((body, ctx) => {
    if (body.properties?.restore) return;
    for (const path of ["kind", "sku"] as const) {
      if (body[path] === undefined) ctx.addIssue({ code: "custom", path: [path], message: "is required" });
    }
  });
export type AccountPut = z.output<typeof AccountPut>;

export const AccountPatch = z.strictObject({
  tags: Tags.optional(),
  sku: Sku.optional(),
  properties: AccountProperties.omit({ restore: true }).optional(),
});
export type AccountPatch = z.output<typeof AccountPatch>;

const capacity = z.int().min(1);

export const DeploymentPut = z.strictObject({
  sku: Sku.extend({ capacity }),
  tags: Tags.optional(),
  properties: z.strictObject({
    model: z.strictObject({ format: z.literal("OpenAI"), name: z.string().min(1), version: z.string().min(1) }),
    versionUpgradeOption: z
      .enum(["OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"])
      .default("OnceNewDefaultVersionAvailable"),
    raiPolicyName: z.string().optional(),
    serviceTier: z.enum(["Default", "Priority"]).optional(),
    deploymentState: z.enum(["Running", "Paused"]).optional(),
    spilloverDeploymentName: z.string().optional(),
  }),
});
export type DeploymentPut = z.output<typeof DeploymentPut>;

/** Tags and size are all that a PATCH can change. */
export const DeploymentPatch = z.strictObject({ tags: Tags.optional(), sku: Sku.extend({ capacity }).optional() });
export type DeploymentPatch = z.output<typeof DeploymentPatch>;

export const RegenerateKey = z.strictObject({ keyName: z.enum(["Key1", "Key2"]) });

export const CheckDomain = z.strictObject({
  subdomainName: z.string().min(1),
  type: z.literal("Microsoft.CognitiveServices/accounts"),
  kind: kind.optional(),
});

export const CheckSku = z.strictObject({
  skus: z.array(z.string()).min(1),
  kind: z.string(),
  type: z.string(),
});
export type CheckSku = z.output<typeof CheckSku>;

/** Actions take nothing; some clients send an empty object all the same. */
export const Empty = z.union([z.undefined(), z.strictObject({})]);
