import { z } from "zod";
import { pageQuery, Timestamp } from "./common.ts";
import { ServiceTokenId } from "./ids.ts";

/** What a service token may do, and in words for whoever chooses. Managing users and tokens is for people alone. */
export const scopes = {
  read: "Read everything that an auditor reads",
  "keys:provision": "Ask for keys, and take those that it asked for",
  "keys:rotate": "Replace keys, and take those that it asked for",
  "keys:revoke": "Revoke keys, one or many, and find whose a leaked key is",
  "developers:write": "Register, edit and deactivate developers; deactivating revokes their keys",
  "workspaces:write": "Make, change and archive workspaces, and choose their members",
  "vendors:write": "Set, try and remove vendors' admin credentials",
  "jobs:write": "Give jobs what they wait for, retry and cancel them",
  "operations:write": "Settle debt and findings, and ask for a reconcile",
} as const;
export type Scope = keyof typeof scopes;

const scopeNames = Object.keys(scopes) as [Scope, ...Scope[]];
export const Scope = z.enum(scopeNames);

/** Every service token begins so: scanners find leaked ones by it. */
export const serviceTokenPrefix = "kg_";

const TokenName = z
  .string()
  .trim()
  .regex(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,62}$/, {
    message: "Must be 1 to 63 letters, digits, spaces, dots, dashes or underscores, a letter or digit first",
  })
  // The audit log calls whoever takes a key by its claim token so.
  .refine((name) => name.toLowerCase() !== "claim", { message: "Is reserved" })
  .meta({ example: "deploy-pipeline" });

export const CreateServiceToken = z
  .strictObject({
    name: TokenName,
    scopes: z
      .array(Scope)
      .min(1)
      .max(scopeNames.length)
      .transform((list) => scopeNames.filter((name) => list.includes(name))),
    expires_in_days: z.int().min(1).max(366).default(90),
  })
  .meta({ id: "CreateServiceToken" });

export const ServiceTokenView = z
  .object({
    id: ServiceTokenId,
    name: z.string(),
    /** How it begins and ends: enough to tell which one a pipeline has. */
    hint: z.string(),
    scopes: z.array(Scope),
    status: z.enum(["active", "expired", "revoked"]),
    created_by: z.string(),
    created_at: Timestamp,
    expires_at: Timestamp,
    /** To the minute. */
    last_used_at: Timestamp.nullable(),
    last_used_address: z.string().nullable(),
    revoked_at: Timestamp.nullable(),
    revoked_by: z.string().nullable(),
  })
  .meta({ id: "ServiceToken" });
export type ServiceTokenView = z.infer<typeof ServiceTokenView>;

export const CreatedServiceToken = ServiceTokenView.extend({
  token: z
    .string()
    .nullable()
    .meta({ description: "The token, this once; null when an Idempotency-Key repeats the answer" }),
}).meta({ id: "CreatedServiceToken" });
export type CreatedServiceToken = z.infer<typeof CreatedServiceToken>;

export const ServiceTokenListQuery = z.strictObject({
  ...pageQuery,
  status: z.enum(["active", "all"]).default("active"),
});
export type ServiceTokenListQuery = z.infer<typeof ServiceTokenListQuery>;

export const RevokeTokenResult = z
  .object({ status: z.literal("revoked"), token_id: ServiceTokenId })
  .meta({ id: "RevokeTokenResult" });

/** What `GET /auth/me` says to a service token. */
export const TokenSelf = z
  .object({
    id: ServiceTokenId,
    name: z.string(),
    scopes: z.array(Scope),
    created_by: z.string(),
    expires_at: Timestamp,
  })
  .meta({ id: "TokenSelf" });
