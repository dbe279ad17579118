/** Accounts: made by PUT under a name of the caller's, changed, read, listed. */
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { deleteAccount, restoreAccount } from "./azure-deleted.ts";
import { ArmError, disallowedByPolicy, malformed, notFound, notOffered, subdomainTaken } from "./azure-errors.ts";
import { ACCOUNT_PATH, COGNITIVE_VERSIONS, GROUP_PATH, PROVIDER_PATH } from "./azure-paths.ts";
import { ACCOUNT_COUNT, poolsOf } from "./azure-quota.ts";
import { AccountPatch, AccountPut } from "./azure-schemas.ts";
import {
  type Account,
  accountId,
  accountKey,
  addAccount,
  logEvent,
  normalLocation,
  noteListed,
  touch,
} from "./azure-state.ts";
import { accountView, page } from "./azure-views.ts";
import { accepted, accountOf, begin, exclusively } from "./azure-writes.ts";
import type { SimResponse } from "./core.ts";

const TYPE = "Microsoft.CognitiveServices/accounts";
const versions = COGNITIVE_VERSIONS;
const LIST_QUERY = ["$skiptoken"];

export const accountRoutes: ArmRoute[] = [
  route("PUT", ACCOUNT_PATH, { versions, right: "write", body: AccountPut, handle: putAccount }),
  route("PATCH", ACCOUNT_PATH, { versions, right: "write", body: AccountPatch, handle: patchAccount }),
  route("GET", ACCOUNT_PATH, { versions, right: "read", handle: getAccount }),
  route("DELETE", ACCOUNT_PATH, { versions, right: "delete", handle: deleteAccount }),
  route("GET", `${GROUP_PATH}/accounts`, {
    versions,
    right: "read",
    query: LIST_QUERY,
    handle: (call) => listAccounts(call, call.params.group),
  }),
  route("GET", `${PROVIDER_PATH}/accounts`, {
    versions,
    right: "read",
    query: LIST_QUERY,
    handle: (call) => listAccounts(call),
  }),
];

function getAccount(call: ArmCall): SimResponse {
  const account = accountOf(call);
  if (account === undefined || call.now() < account.createdAt + call.settings.get_lag_ms) {
    throw notFound(TYPE, call.params.account ?? "", call.params.group ?? "");
  }
  return { status: 200, body: accountView(call, account) };
}

function listAccounts(call: ArmCall, group?: string): SimResponse {
  const items = call.state.listed
    .asOf(call.now() - call.settings.list_lag_ms)
    .filter((account) => group === undefined || account.group.toLowerCase() === group.toLowerCase());
  return page(
    call,
    items,
    (account) => accountKey(account.group, account.name),
    (account) => accountView(call, account),
  );
}

async function putAccount(call: ArmCall<AccountPut>): Promise<SimResponse> {
  const { state, params, body, settings } = call;
  const { account: name = "", group = "" } = params;
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,63}$/.test(name)) {
    throw malformed("InvalidResourceName", `'${name}' is not a name for an account.`);
  }
  if (body.properties?.restore) return restoreAccount(call);

  const key = accountKey(group, name);
  if (state.deleted.has(key)) {
    const id = accountId(state, { group, name });
    throw new ArmError(409, {
      code: "FlagMustBeSetForRestore",
      message:
        `An existing resource with ID '${id}' has been soft-deleted. To restore the resource, you must specify ` +
        "'restore' to be 'true' in the property. If you don't want to restore existing resource, please purge it first.",
    });
  }
  // What the schema cannot tell: only a restoration comes without a kind and a SKU.
  const kind = body.kind ?? "";
  const { customSubDomainName: subdomain, restore: _, ...given } = body.properties ?? {};
  const options = underPolicy(call, given);
  if (body.sku?.name !== "S0") throw notOffered(`The SKU '${body.sku?.name}' is not offered for kind '${kind}'.`);

  const existing = accountOf(call);
  if (existing && existing.provisioningState !== "Failed") {
    return replaceAccount(call, existing, { kind, options, tags: body.tags, subdomain });
  }

  checkRoom(call, body.location, existing);
  const takenByOther = subdomain !== undefined && isTaken(call, subdomain);
  if (takenByOther && settings.custom_domain_failure === "sync") throw new ArmError(409, subdomainTaken(subdomain));

  const input = {
    name,
    group,
    location: body.location,
    kind,
    sku: { name: "S0" },
    tags: body.tags,
    options,
    subdomain,
  };
  const account = addAccount(state, input, call.now());
  account.ownsSubdomain = !takenByOther;
  logEvent(state, call.now(), "account.created", accountId(state, account), { tags: body.tags ?? {} });
  const isCreated = settings.create_answer === "created";
  const headers = begin(call, account, {
    style: isCreated ? "async" : "location",
    verb: "Creating",
    ms: settings.create_ms,
    ...(settings.create_retry_after_s !== null && { retryAfterS: settings.create_retry_after_s }),
    finish: (at) => finishCreation(call, account, at),
  });
  if (settings.create_answer === "bare") return accepted(headers);
  return { status: isCreated ? 201 : 202, headers, body: accountView(call, account) };
}

function finishCreation(call: ArmCall, account: Account, at: number) {
  if (account.ownsSubdomain) {
    account.provisioningState = "Succeeded";
    account.readyAt = at;
    touch(call.state, account, at);
    return null;
  }
  account.provisioningState = "Failed";
  if (call.settings.custom_domain_failure === "absent") {
    call.state.accounts.delete(accountKey(account.group, account.name));
  }
  noteListed(call.state, account, at);
  logEvent(call.state, at, "account.failed", accountId(call.state, account), { code: "CustomDomainInUse" });
  return subdomainTaken(account.subdomain ?? "");
}

/** PUT is a full replacement: what is left out is gone, tags too. Only the subdomain stays, which is for ever. */
async function replaceAccount(
  call: ArmCall<AccountPut>,
  account: Account,
  wanted: Pick<Account, "kind" | "options" | "tags" | "subdomain">,
): Promise<SimResponse> {
  if (normalLocation(call.body.location) !== normalLocation(account.location)) {
    const message =
      `The resource '${account.name}' already exists in location '${account.location}' in resource group ` +
      `'${account.group}'. A resource with the same name cannot be created in location '${call.body.location}'.`;
    throw new ArmError(409, { code: "InvalidResourceLocation", message });
  }
  if (account.kind === "AIServices" && wanted.kind === "OpenAI") {
    throw notOffered("An account of kind AIServices cannot become one of kind OpenAI.");
  }
  checkSubdomainChange(call, account, wanted.subdomain);
  return exclusively(call, account, () => {
    account.kind = wanted.kind;
    account.tags = wanted.tags;
    account.subdomain ??= wanted.subdomain;
    setOptions(account, wanted.options, call.now());
    touch(call.state, account, call.now());
    logEvent(call.state, call.now(), "account.replaced", accountId(call.state, account), { tags: wanted.tags ?? {} });
    return { status: 200, body: accountView(call, account) };
  });
}

async function patchAccount(call: ArmCall<AccountPatch>): Promise<SimResponse> {
  const account = accountOf(call);
  if (account === undefined) throw notFound(TYPE, call.params.account ?? "", call.params.group ?? "");
  const { tags, sku, properties = {} } = call.body;
  const { customSubDomainName: subdomain, ...changes } = properties;
  const options = underPolicy(call, { ...account.options, ...changes });
  if (sku !== undefined && sku.name !== "S0") throw notOffered(`The SKU '${sku.name}' is not offered.`);
  checkSubdomainChange(call, account, subdomain);
  return exclusively(call, account, () => {
    if (tags !== undefined) account.tags = tags;
    account.subdomain ??= subdomain;
    setOptions(account, options, call.now());
    touch(call.state, account, call.now());
    logEvent(call.state, call.now(), "account.patched", accountId(call.state, account), {
      fields: Object.keys(changes),
    });
    return { status: 200, body: accountView(call, account) };
  });
}

/** Sets the writable properties, and notes when keys went out of use. */
export function setOptions(account: Account, options: Account["options"], at: number): void {
  account.options = options;
  account.localAuthDisabledAt = options.disableLocalAuth === true ? (account.localAuthDisabledAt ?? at) : null;
}

/** Many tenants forbid keys: some policies refuse, others quietly change what is written. */
function underPolicy({ settings, params }: ArmCall, options: Account["options"]): Account["options"] {
  if (settings.policy_modify_local_auth) return { ...options, disableLocalAuth: true };
  if (!settings.policy_deny_local_auth || options.disableLocalAuth === true) return options;
  throw disallowedByPolicy(params.account ?? "");
}

function checkRoom({ state, settings }: ArmCall, location: string, replaced: Account | undefined): void {
  const region = normalLocation(location);
  if (!state.place.locations.includes(region)) {
    const message =
      `The provided location '${location}' is not available for resource type '${TYPE}'. ` +
      `List of available regions for the resource type is '${state.place.locations.join(",")}'.`;
    throw new ArmError(400, { code: "LocationNotAvailableForResourceType", message });
  }
  const pool = poolsOf(state, settings, region).find(({ usageName }) => usageName === ACCOUNT_COUNT);
  if (replaced || pool === undefined || pool.used < pool.limit) return;
  const message = `Insufficient quota. Cannot create/update/move resource: ${pool.used} of ${pool.limit} ${pool.label}.`;
  throw new ArmError(400, { code: "InsufficientQuota", message });
}

function checkSubdomainChange(call: ArmCall, account: Account, wanted: string | undefined): void {
  if (wanted === undefined || wanted.toLowerCase() === account.subdomain?.toLowerCase()) return;
  if (account.subdomain !== undefined) throw notOffered("customSubDomainName cannot be changed once it is set.");
  if (isTaken(call, wanted)) throw new ArmError(409, subdomainTaken(wanted));
}

/** A subdomain is taken by anybody in the world, and by what was soft-deleted with it. */
export function isTaken({ state, settings }: ArmCall, subdomain: string): boolean {
  const wanted = subdomain.toLowerCase();
  if (settings.taken_subdomains.some((taken) => taken.toLowerCase() === wanted)) return true;
  return [...state.accounts.values(), ...state.deleted.values()].some(
    (account) => account.ownsSubdomain && account.subdomain?.toLowerCase() === wanted,
  );
}
