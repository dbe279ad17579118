/** The rule that Azure keeps for every account: one operation at a time, and none before it is ready. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ArmCall } from "./azure-arm.ts";
import { ArmError, conflict } from "./azure-errors.ts";
import { operationUrl, startOperation } from "./azure-operations.ts";
import type { Operation } from "./azure-state.ts";
import { type Account, accountId, accountKey } from "./azure-state.ts";
import type { SimResponse } from "./core.ts";

export function accountOf({ state, params }: ArmCall): Account | undefined {
  return state.accounts.get(accountKey(params.group ?? "", params.account ?? ""));
}

/** Performs a write that takes its time, during which nobody else can write to the account. */
export async function exclusively<T>(call: ArmCall, account: Account, change: () => T): Promise<T> {
  const id = accountId(call.state, account);
  if (account.operation !== null) throw conflict(id, "not-terminal");
  if (account.writing) throw conflict(id, "busy-parent");
  account.writing = true;
  try {
    await sleep(call.settings.write_ms);
    return change();
  } finally {
    account.writing = false;
  }
}

/** Refuses work below an account that is not ready, or says that it is and is not: the real one does so for a while. */
export function mustBeReady(call: ArmCall, account: Account): void {
  const { provisioningState: state, readyAt } = account;
  const early = state === "Succeeded" && call.now() < (readyAt ?? 0) + call.settings.early_succeeded_ms;
  if (state === "Succeeded" && !early) return;
  const shown = early || state === "Creating" ? "Accepted" : state;
  const message = `Account ${accountId(call.state, account)} in state ${shown}`;
  throw new ArmError(400, { code: "AccountProvisioningStateInvalid", message });
}

/** Starts what goes on after the answer, and the headers that lead to its end. */
export function begin(
  call: ArmCall,
  account: Account,
  plan: Pick<Operation, "style" | "verb" | "finish"> & { ms: number; retryAfterS?: number },
): Record<string, string> {
  const now = call.now();
  const { ms, retryAfterS, ...rest } = plan;
  const operation = startOperation(call.state, account, { ...rest, startedAt: now, endsAt: now + ms });
  const url = operationUrl(call.state, operation, call.baseUrl);
  return {
    [plan.style === "async" ? "azure-asyncoperation" : "location"]: url,
    ...(retryAfterS !== undefined && { "retry-after": String(retryAfterS) }),
  };
}

export const accepted = (headers: Record<string, string>): SimResponse => ({ status: 202, headers });
