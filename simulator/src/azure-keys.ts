/** The two keys of an account: equal, readable at any time, replaceable one at a time. */
import { type ArmCall, type ArmRoute, route } from "./azure-arm.ts";
import { ArmError, notFound } from "./azure-errors.ts";
import { ACCOUNT_PATH, COGNITIVE_VERSIONS } from "./azure-paths.ts";
import { Empty, RegenerateKey } from "./azure-schemas.ts";
import { type Account, accountId, type KeySlot, logEvent, newKey } from "./azure-state.ts";
import { accountOf, exclusively, mustBeReady } from "./azure-writes.ts";
import type { SimResponse } from "./core.ts";

const versions = COGNITIVE_VERSIONS;

export const keyRoutes: ArmRoute[] = [
  route("POST", `${ACCOUNT_PATH}/listKeys`, { versions, right: "list_keys", body: Empty, handle: listKeys }),
  route("POST", `${ACCOUNT_PATH}/regenerateKey`, {
    versions,
    right: "regenerate_key",
    body: RegenerateKey,
    handle: (call) => regenerateKey(call, call.body.keyName),
  }),
];

const keysView = ({ keys }: Account): SimResponse => ({
  status: 200,
  body: { key1: keys.Key1.secret, key2: keys.Key2.secret },
});

/** The account of a call about its keys, which only exist where keys are allowed. */
function withKeys(call: ArmCall): Account {
  const account = accountOf(call);
  if (account === undefined) {
    throw notFound("Microsoft.CognitiveServices/accounts", call.params.account ?? "", call.params.group ?? "");
  }
  mustBeReady(call, account);
  if (account.localAuthDisabledAt !== null) {
    const message = "Failed to list key. disableLocalAuth is set to be true";
    throw new ArmError(400, { code: "BadRequest", message });
  }
  return account;
}

function listKeys(call: ArmCall): SimResponse {
  return keysView(withKeys(call));
}

/** Every call makes another key and ends the one before: of all calls, the one that cannot be repeated without effect. */
async function regenerateKey(call: ArmCall, slot: KeySlot): Promise<SimResponse> {
  const account = withKeys(call);
  return exclusively(call, account, () => {
    const now = call.now();
    account.keys[slot].retired = { at: now, because: "regenerated" };
    account.keys = { ...account.keys, [slot]: newKey(call.state, account, slot, now) };
    logEvent(call.state, now, "key.regenerated", accountId(call.state, account), { slot });
    return keysView(account);
  });
}
