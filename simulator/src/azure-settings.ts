/** What of the simulated Azure can be set while it runs, and how it starts. */
import { z } from "zod";
import { HISTORY_MS } from "./azure-listing.ts";
import type { SimContext } from "./core.ts";

const ACCOUNTS = "Microsoft.CognitiveServices/accounts";
const PROVIDER = "Microsoft.CognitiveServices";

/** What a caller can lack, with the action that Azure names in its refusal. The one for pausing is not published. */
export const ACTIONS = {
  read: `${ACCOUNTS}/read`,
  write: `${ACCOUNTS}/write`,
  delete: `${ACCOUNTS}/delete`,
  list_keys: `${ACCOUNTS}/listKeys/action`,
  regenerate_key: `${ACCOUNTS}/regenerateKey/action`,
  deployments_read: `${ACCOUNTS}/deployments/read`,
  deployments_write: `${ACCOUNTS}/deployments/write`,
  deployments_delete: `${ACCOUNTS}/deployments/delete`,
  pause: `${ACCOUNTS}/deployments/pause/action`,
  deleted_read: `${PROVIDER}/deletedAccounts/read`,
  purge: `${PROVIDER}/locations/resourceGroups/deletedAccounts/delete`,
  usages: `${PROVIDER}/locations/usages/read`,
  models: `${PROVIDER}/locations/models/read`,
  check_domain: `${PROVIDER}/checkDomainAvailability/action`,
  provider_read: "Microsoft.Resources/subscriptions/providers/read",
  group_read: "Microsoft.Resources/subscriptions/resourceGroups/read",
  resources_read: "Microsoft.Resources/subscriptions/resources/read",
  locks_read: "Microsoft.Authorization/locks/read",
  permissions_read: "Microsoft.Authorization/permissions/read",
} as const;
export type Right = keyof typeof ACTIONS;
const rights = Object.keys(ACTIONS) as [Right, ...Right[]];

const ms = z.int().min(0);
const bucket = (size: number, perSecond: number) =>
  z.strictObject({ size: z.int().min(1), per_second: z.number().positive() }).default({ size, per_second: perSecond });
const amounts = z.record(z.string(), z.int().min(0)).default({});

/**
 * Times are milliseconds by the simulator's clock, but for `write_ms`. Where Azure's own time is not known the default is what
 * makes a test quick; where it is a trap (soft delete, subdomains, one operation at a time) it is on from the start.
 */
export const AzureSettings = z.strictObject({
  /** How long an account is `Creating`. Seconds, with a subdomain up to a minute, at the real one. */
  create_ms: ms.default(50),
  /** How a creation answers: 201 and `Azure-AsyncOperation`; 202, `Location` and the account; or 202 without a body. */
  create_answer: z.enum(["created", "accepted", "bare"]).default("created"),
  /** `Retry-After` of a creation, which the real one leaves out as a rule. */
  create_retry_after_s: z.int().min(1).nullable().default(null),
  /** For this long after its PUT a new account cannot be read. */
  get_lag_ms: ms.default(0),
  /** For this long after `Succeeded` writes below a new account still say that it is `Accepted`. */
  early_succeeded_ms: ms.default(0),
  /** Above 0, a deployment PUT is a long-running operation. Recorded ones were done when they answered. */
  deploy_ms: ms.default(0),
  /** Whether a deployment PUT answers with 202 and nothing else. */
  deploy_bare: z.boolean().default(false),
  /** Above 0, deletion of a deployment answers 202 with `Location`. */
  undeploy_ms: ms.default(0),
  /** Above 0, deletion of an account answers 202 with `Location`. */
  delete_ms: ms.default(0),
  /** Above 0, a purge answers 202 with `Location`. */
  purge_ms: ms.default(0),
  /** Real time that a write below an account takes; another one meanwhile gets `RequestConflict`. */
  write_ms: ms.max(10_000).default(10),
  /** A taken subdomain is told at once, or by an operation that fails and leaves a `Failed` account, or none. */
  custom_domain_failure: z.enum(["sync", "failed", "absent"]).default("sync"),
  /** Subdomains that somebody else in the world has. */
  taken_subdomains: z.array(z.string()).default([]),
  /** How far lists and the tag search are behind. */
  list_lag_ms: ms.max(HISTORY_MS).default(0),
  page_size: z.int().min(1).default(100),
  /** How the last page says that it is the last. */
  last_next_link: z.enum(["absent", "null", "empty"]).default("absent"),
  /** Of what the specification calls optional: all of it, only what a caller cannot do without, or null and news. */
  members: z.enum(["all", "few", "null"]).default("all"),
  /** Ids as they were written, or as parts of Azure answer them: in lower case. */
  id_case: z.enum(["as_written", "lower"]).default("as_written"),
  /** Limits by usage name (`OpenAI.GlobalStandard.gpt-4o`), or by `location/usage name`. */
  quota_limits: amounts,
  /** What others of the subscription use, named like the limits. */
  quota_occupied: amounts,
  /** Whether soft-deleted accounts count in `OpenAI.S0.AccountCount`: reported, not documented. */
  deleted_accounts_count: z.boolean().default(true),
  /** Models that are no longer deployable, by name. */
  retired_models: z.array(z.string()).default([]),
  missing_roles: z.array(z.enum(rights)).default([]),
  /** A policy that refuses accounts with keys. */
  policy_deny_local_auth: z.boolean().default(false),
  /** A policy that silently switches keys off on what is written. */
  policy_modify_local_auth: z.boolean().default(false),
  /** A lock on the resource group. */
  lock: z.enum(["none", "CanNotDelete", "ReadOnly"]).default("none"),
  /** Whether the subscription has Microsoft.CognitiveServices registered. */
  registered: z.boolean().default(true),
  /** How long keys still work after `disableLocalAuth` was set: minutes at the real one. */
  local_auth_lag_ms: ms.default(120_000),
  /** How long a key still works after `regenerateKey`; not published. */
  key_death_lag_ms: ms.default(0),
  /** ARM's token buckets; `null` = no throttling. */
  throttling: z
    .strictObject({ reads: bucket(250, 25), writes: bucket(200, 10), deletes: bucket(200, 10) })
    .nullable()
    .default({
      reads: { size: 250, per_second: 25 },
      writes: { size: 200, per_second: 10 },
      deletes: { size: 200, per_second: 10 },
    }),
});
export type AzureSettings = z.output<typeof AzureSettings>;

/** The settings, typed: the server holds what `AzureSettings` parsed and nothing else. */
export const settingsOf = (sim: SimContext) => sim.settings as AzureSettings;
