import { z } from "zod";
import { ArmError } from "./errors.ts";

// Shapes as far as KeyGate reads them; unknown members are left alone. Azure's specification calls nearly every member
// optional, and accounts, deployments and usages that others made stand in the same lists: what is not needed to go on
// may be missing or null, so that one odd entry never holds up a revocation.

const Tags = z.record(z.string(), z.string().nullish()).nullish();
const orEmpty = <T extends z.ZodType>(shape: T) => z.preprocess((value) => value ?? {}, shape);

export const Account = z.object({
  name: z.string(),
  location: z.string().nullish(),
  tags: Tags,
  properties: z.object({
    provisioningState: z.string().nullish(),
    endpoint: z.string().nullish(),
    disableLocalAuth: z.boolean().nullish(),
    publicNetworkAccess: z.string().nullish(),
  }),
});
export type AzureAccount = z.infer<typeof Account>;

export const DeletedAccount = z.object({
  name: z.string(),
  location: z.string().nullish(),
  tags: Tags,
  properties: z.object({ scheduledPurgeDate: z.string().nullish() }).nullish(),
});
export type AzureDeletedAccount = z.infer<typeof DeletedAccount>;

const RateLimit = z.object({
  key: z.string().nullish(),
  renewalPeriod: z.number().nullish(),
  count: z.number().nullish(),
});
export type AzureRateLimit = z.infer<typeof RateLimit>;

export const Deployment = z.object({
  name: z.string(),
  sku: orEmpty(z.object({ name: z.string().nullish(), capacity: z.number().nullish() })),
  properties: orEmpty(
    z.object({
      model: orEmpty(z.object({ name: z.string().nullish(), version: z.string().nullish() })),
      provisioningState: z.string().nullish(),
      versionUpgradeOption: z.string().nullish(),
      rateLimits: z.array(RateLimit).nullish(),
    }),
  ),
});
export type AzureDeployment = z.infer<typeof Deployment>;

export const Keys = z.object({ key1: z.string().min(8), key2: z.string().min(8) });

export const Usage = z.object({
  name: z.object({ value: z.string().nullish() }).nullish(),
  currentValue: z.number().nullish(),
  limit: z.number().nullish(),
});

const Sku = z.object({
  name: z.string(),
  usageName: z.string().nullish(),
  capacity: z
    .object({
      minimum: z.number().nullish(),
      maximum: z.number().nullish(),
      step: z.number().nullish(),
      default: z.number().nullish(),
      allowedValues: z.array(z.number()).nullish(),
    })
    .nullish(),
  rateLimits: z.array(RateLimit).nullish(),
});
export type AzureSku = z.infer<typeof Sku>;

const AzureModel = z.object({
  format: z.string().nullish(),
  name: z.string(),
  version: z.string().nullish(),
  isDefaultVersion: z.boolean().nullish(),
  lifecycleStatus: z.string().nullish(),
  deprecation: z.object({ inference: z.string().nullish() }).nullish(),
  skus: z.array(Sku).nullish(),
});
export type AzureOffer = z.infer<typeof AzureModel>;
/** One that KeyGate cannot read is one that it cannot deploy; the others are none the worse for it. */
export const Offer = z.object({ kind: z.string().nullish(), model: AzureModel.nullish().catch(null) });

/** The body of `Azure-AsyncOperation`; what `Location` leads to has none, or the resource. */
export const Operation = z.object({ status: z.string(), error: ArmError.nullish() });

const actions = z.array(z.string()).nullish();
export const Permission = z.object({ actions, notActions: actions });
export const Lock = z.object({ properties: z.object({ level: z.string() }) });
export const Provider = z.object({ registrationState: z.string() });
