/** Deletion, which is soft: for 48 hours an account can come back, and until a purge nothing that it held is free. */
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { ArmError, conflict, notFound } from "./azure-errors.ts";
import { operationUrl } from "./azure-operations.ts";
import { COGNITIVE_VERSIONS, LOCATION_PATH, PROVIDER_PATH } from "./azure-paths.ts";
import type { AccountPut } from "./azure-schemas.ts";
import {
  type Account,
  accountId,
  accountKey,
  logEvent,
  normalLocation,
  noteListed,
  purge,
  softDelete,
  touch,
} from "./azure-state.ts";
import { accountView, deletedAccountView, page } from "./azure-views.ts";
import { accepted, accountOf, begin, exclusively } from "./azure-writes.ts";
import type { SimResponse } from "./core.ts";

const versions = COGNITIVE_VERSIONS;
const DELETED_PATH = `${LOCATION_PATH}/resourceGroups/{group}/deletedAccounts/{account}`;
const RETRY_AFTER_S = 1;

export const deletedRoutes: ArmRoute[] = [
  route("GET", `${PROVIDER_PATH}/deletedAccounts`, {
    versions,
    right: "deleted_read",
    query: ["$skiptoken"],
    handle: listDeleted,
  }),
  // The group may have been deleted with the account, and the lock was on the live resource.
  route("GET", DELETED_PATH, { versions, right: "deleted_read", ignores: ["group", "lock"], handle: getDeleted }),
  route("DELETE", DELETED_PATH, { versions, right: "purge", ignores: ["group", "lock"], handle: purgeDeleted }),
];

/** Deletes softly: 204 when there was nothing, 202 with `Location` when `delete_ms` says that it takes time. */
export async function deleteAccount(call: ArmCall): Promise<SimResponse> {
  const account = accountOf(call);
  if (account === undefined) return { status: 204 };
  const { delete_ms: ms } = call.settings;
  return exclusively(call, account, () => {
    if (ms === 0) {
      softDelete(call.state, account, call.now());
      return { status: 200 };
    }
    account.provisioningState = "Deleting";
    touch(call.state, account, call.now());
    const finish = (at: number) => {
      softDelete(call.state, account, at);
      return null;
    };
    return accepted(
      begin(call, account, { style: "location", verb: "Deleting", ms, retryAfterS: RETRY_AFTER_S, finish }),
    );
  });
}

/** Brings a soft-deleted account back as it was, keys and deployments included. */
export function restoreAccount(call: ArmCall<AccountPut>): SimResponse {
  const { state, settings, params, body } = call;
  const key = accountKey(params.group ?? "", params.account ?? "");
  if (state.accounts.has(key)) {
    throw new ArmError(400, { code: "CanNotRestoreAnActiveResource", message: "The resource is active." });
  }
  const account = state.deleted.get(key);
  if (account === undefined || normalLocation(account.location) !== normalLocation(body.location)) {
    const message = "The resource to restore does not exist.";
    throw new ArmError(400, { code: "CanNotRestoreANonExistingResource", message });
  }
  // A purge that has begun is not taken back.
  if (account.operation) throw conflict(accountId(state, account), "not-terminal");
  state.deleted.delete(key);
  state.accounts.set(key, account);
  account.deletedAt = null;
  account.provisioningState = "Creating";
  account.readyAt = null;
  noteListed(state, account, call.now());
  logEvent(state, call.now(), "account.restored", accountId(state, account));
  const finish = (at: number) => {
    account.provisioningState = "Succeeded";
    account.readyAt = at;
    touch(state, account, at);
    return null;
  };
  const headers = begin(call, account, { style: "async", verb: "Creating", ms: settings.create_ms, finish });
  return { status: 201, headers, body: accountView(call, account) };
}

function listDeleted(call: ArmCall): SimResponse {
  const items = call.state.deletedListed.asOf(call.now() - call.settings.list_lag_ms);
  return page(
    call,
    items,
    (account) => accountKey(account.group, account.name),
    (account) => deletedAccountView(call, account),
  );
}

function deletedOf({ state, params }: ArmCall): Account | undefined {
  const account = state.deleted.get(accountKey(params.group ?? "", params.account ?? ""));
  const isHere = account && normalLocation(account.location) === normalLocation(params.location ?? "");
  return isHere ? account : undefined;
}

function getDeleted(call: ArmCall): SimResponse {
  const account = deletedOf(call);
  if (account) return { status: 200, body: deletedAccountView(call, account) };
  throw notFound("Microsoft.CognitiveServices/deletedAccounts", call.params.account ?? "", call.params.group ?? "");
}

function purgeDeleted(call: ArmCall): SimResponse {
  const { state, settings } = call;
  const account = deletedOf(call);
  if (account === undefined) return { status: 204 };
  if (account.operation) return accepted({ location: operationUrl(state, account.operation, call.baseUrl) });
  if (settings.purge_ms === 0) {
    purge(state, account, call.now(), "caller");
    return { status: 200 };
  }
  const finish = (at: number) => {
    purge(state, account, at, "caller");
    return null;
  };
  const ms = settings.purge_ms;
  return accepted(
    begin(call, account, { style: "location", verb: "Deleting", ms, retryAfterS: RETRY_AFTER_S, finish }),
  );
}
