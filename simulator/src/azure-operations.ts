/** Long-running operations: who waits for what, and the signed address under which the answer is found. */
import { randomBytes } from "node:crypto";
import {
  type Account,
  type AzureState,
  newId,
  normalLocation,
  type Operation,
  purge,
  SOFT_DELETE_MS,
} from "./azure-state.ts";

/** The API version that operation addresses carry, whatever the caller's own was. */
const OPERATION_API_VERSION = "2017-04-18";

/** Starts an operation, and blocks its account until it ends. */
export function startOperation(
  state: AzureState,
  account: Account,
  plan: Pick<Operation, "style" | "verb" | "startedAt" | "endsAt" | "finish">,
): Operation {
  const operation: Operation = {
    ...plan,
    id: newId(),
    location: normalLocation(account.location).toUpperCase(),
    outcome: "running",
    error: null,
    signature: [
      ["api-version", OPERATION_API_VERSION],
      ["t", String(638_000_000_000_000_000 + plan.startedAt)],
      ["c", randomBytes(2_250).toString("base64")],
      ["s", randomBytes(256).toString("base64")],
      ["h", randomBytes(32).toString("base64")],
    ],
  };
  state.operations.set(operation.id, operation);
  state.running.add(operation);
  account.operation = operation;
  const { finish } = plan;
  operation.finish = (at) => {
    if (account.operation === operation) account.operation = null;
    return finish(at);
  };
  return operation;
}

/** Where to ask for it: about 4 KB, of which every byte counts. */
export function operationUrl(state: AzureState, operation: Operation, baseUrl: string): string {
  const query = operation.signature.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&");
  return `${baseUrl}${operationPath(state, operation)}?${query}`;
}

export const operationPath = (state: AzureState, { location, id }: Operation) =>
  `/subscriptions/${state.place.subscriptionId}/providers/Microsoft.CognitiveServices/locations/${location}/operationResults/${id}`;

/** Whether an address was kept byte for byte: each parameter as issued, in order, and none besides. */
export function isSigned(operation: Operation, query: URLSearchParams): boolean {
  const given = [...query];
  return (
    given.length === operation.signature.length &&
    operation.signature.every(([name, value], i) => given[i]?.[0] === name && given[i]?.[1] === value)
  );
}

/** Lets everything happen whose time has come: operations end, and soft-deleted accounts go for good. */
export function settle(state: AzureState, now: number): void {
  const due = [...state.running].filter((operation) => operation.endsAt <= now);
  for (const operation of due.sort((a, b) => a.endsAt - b.endsAt)) {
    state.running.delete(operation);
    operation.error = operation.finish(operation.endsAt);
    operation.outcome = operation.error === null ? "Succeeded" : "Failed";
  }
  for (const account of [...state.deleted.values()]) {
    const purgedAt = (account.deletedAt ?? now) + SOFT_DELETE_MS;
    if (purgedAt <= now) purge(state, account, purgedAt, "time");
  }
}
