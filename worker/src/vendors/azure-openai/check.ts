import type { CheckReport } from "@keygate/shared/contracts/vendors";
import { KeyGateError } from "@keygate/shared/errors";
import type { AzureClient } from "./client.ts";
import { isGone, isStatus } from "./errors.ts";

type Findings = Pick<CheckReport, "ok" | "findings" | "missing">;

const accounts = "Microsoft.CognitiveServices/accounts";
const needed = [
  `${accounts}/read`,
  `${accounts}/write`,
  `${accounts}/delete`,
  `${accounts}/listKeys/action`,
  `${accounts}/regenerateKey/action`,
  `${accounts}/deployments/read`,
  `${accounts}/deployments/write`,
  `${accounts}/deployments/delete`,
];
const purgeAction = "Microsoft.CognitiveServices/locations/resourceGroups/deletedAccounts/delete";
const atSubscription = "granted for the whole subscription";

interface Rights {
  actions?: string[] | null | undefined;
  notActions?: string[] | null | undefined;
}

const matches = (pattern: string, action: string): boolean =>
  new RegExp(`^${pattern.split("*").map(RegExp.escape).join(".*")}$`, "i").test(action);

/** Whether one of the assignments grants the action and does not take it back itself. */
export const isGranted = (rights: readonly Rights[], action: string): boolean =>
  rights.some(
    ({ actions, notActions }) =>
      actions?.some((pattern) => matches(pattern, action)) && !notActions?.some((pattern) => matches(pattern, action)),
  );

class Problem extends Error {
  readonly missing: readonly string[];
  constructor(words: string, missing: readonly string[] = []) {
    super(words);
    this.missing = missing;
  }
}

/** Collects what the looks find; one that is not `vital` does not make the credential unusable. */
function createLooks() {
  const findings: CheckReport["findings"] = [];
  const missing = new Set<string>();
  let ok = true;
  return {
    report: (): Findings => ({ ok, findings, missing: [...missing] }),
    fail() {
      ok = false;
    },
    async look(name: string, right: string | null, run: () => Promise<string>, vital = true): Promise<boolean> {
      try {
        findings.push({ name, ok: true, detail: await run() });
        return true;
      } catch (error) {
        const words = error instanceof KeyGateError ? (error.detail ?? error.title) : null;
        const own = error instanceof Problem ? error.message : null;
        findings.push({ name, ok: false, detail: words ?? own ?? "The check itself failed." });
        if (error instanceof Problem) for (const each of error.missing) missing.add(each);
        if (right && isStatus(error, 403)) missing.add(right);
        if (vital) ok = false;
        return false;
      }
    },
  };
}

/** Only reads, so nothing is made or changed; the rights to write are computed from what Azure says they are. */
export async function check(client: AzureClient): Promise<Findings> {
  const { look, report, fail } = createLooks();
  const { resourceGroup, locations, identity } = client.settings;
  const hasToken = await look("sign-in", null, async () => {
    await client.probeToken();
    return identity.kind === "secret"
      ? "Entra accepts tenant, client and secret."
      : "The machine's own identity gives tokens.";
  });
  if (!hasToken) return report();

  await look("resource group", "Microsoft.Resources/subscriptions/resourceGroups/read", async () => {
    try {
      await client.probeGroup();
    } catch (error) {
      if (!isGone(error)) throw error;
      throw new Problem(`The subscription has no resource group ${resourceGroup}.`, ["resource_group"]);
    }
    return `The resource group ${resourceGroup} exists.`;
  });
  await look("provider", "Microsoft.Resources/subscriptions/providers/read", async () => {
    const { registrationState } = await client.probeProvider();
    if (registrationState === "Registered") return "Microsoft.CognitiveServices is registered.";
    throw new Problem(
      `Microsoft.CognitiveServices is ${registrationState} in the subscription; register it: az provider register -n Microsoft.CognitiveServices`,
    );
  });
  await look("accounts", `${accounts}/read`, async () => {
    const found = (await client.listAccounts()) ?? [];
    return `The resource group holds ${found.length} accounts.`;
  });
  // One full location is no harm as long as another has room.
  let hasRoom = false;
  for (const location of locations) {
    const isFree = await look(
      `quota in ${location}`,
      `Cognitive Services Usages Reader, ${atSubscription}`,
      () =>
        quotaWords(client, location).catch((error: unknown) => {
          // Without the right to see what is left, whether there is room shows at the first key.
          hasRoom ||= isStatus(error, 403);
          throw error;
        }),
      false,
    );
    hasRoom ||= isFree;
  }
  if (!hasRoom) fail();
  await checkRights(client, look);
  return report();
}

async function quotaWords(client: AzureClient, location: string): Promise<string> {
  const pool = (await client.usages(location)).get("OpenAI.S0.AccountCount");
  if (!pool) return "Azure does not tell how many accounts are left.";
  const words = `${pool.used} of ${pool.limit} accounts are used.`;
  if (pool.used >= pool.limit) throw new Problem(`${words} No key can be made here.`);
  return words;
}

type Look = ReturnType<typeof createLooks>["look"];

async function checkRights(client: AzureClient, look: Look): Promise<void> {
  await look("rights", null, async () => {
    const rights = await rightsAt(client, "group");
    if (!rights) return "Azure does not tell which rights the credential has; the first provisioning shows it.";
    const lacking = needed.filter((action) => !isGranted(rights, action));
    if (lacking.length === 0) return "The credential may make, change and delete accounts and their deployments.";
    throw new Problem(
      "The role lacks what provisioning or revoking needs; Cognitive Services Contributor has it.",
      lacking,
    );
  });
  await look(
    "purging",
    `Microsoft.CognitiveServices/deletedAccounts/read, ${atSubscription}`,
    async () => {
      await client.listDeletedAccounts();
      const rights = await rightsAt(client, "subscription");
      if (!rights) return "Deleted accounts can be listed; whether they can be purged shows at the first revocation.";
      if (isGranted(rights, purgeAction)) return "Deleted accounts can be purged.";
      throw new Problem(
        "Deleted accounts cannot be purged. Keys end all the same, but each revoked one keeps its name and its place in the quota for 48 hours.",
        [`${purgeAction}, ${atSubscription}`],
      );
    },
    false,
  );
  await look("locks", null, async () => {
    const locks = (await ifTold(client.locks())) ?? [];
    const levels = [...new Set(locks.map(({ properties }) => properties.level))];
    if (levels.length === 0) return "No lock is in the way.";
    throw new Problem(
      `A lock (${levels.join(", ")}) is on the resource group or in it: revoked keys end, but their accounts cannot be deleted.${
        levels.includes("ReadOnly") ? " Keys cannot even be read or replaced." : ""
      }`,
    );
  });
}

/** What the credential may do there; null when Azure does not let it ask. */
const rightsAt = (client: AzureClient, at: "group" | "subscription"): Promise<Rights[] | null> =>
  ifTold(client.permissions(at));

/** Null where Azure refuses to tell, for whatever reason: that alone stands in no key's way. */
async function ifTold<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    const status = error instanceof KeyGateError ? Number(error.facts.status) : 0;
    if (status < 400 || status >= 500 || status === 401 || status === 429) throw error;
    return null;
  }
}
