import { KeyGateError, must } from "@keygate/shared/errors";
import { microsToCents } from "@keygate/shared/money";
import type { SagaContext, SagaState } from "../../saga/step.ts";
import { WaitForVendor } from "../../saga/wait.ts";
import type { VendorStep } from "../vendor.ts";
import { isArchived, type OpenAiClient, type OpenAiProject, type OpenAiRateLimit } from "./client.ts";
import { isGone } from "./errors.ts";

export interface OpenAiState extends SagaState {
  projectId?: string;
  serviceAccountId?: string;
  keyId?: string;
  /** What the vendor confirmed, for the limits report. */
  spendLimitCents?: number;
  modelsAllowed?: string[];
  rateLimits?: { model: string; requestsPerMinute: number }[];
  unlimitedModels?: string[];
}

type Ctx = SagaContext<OpenAiClient>;
export type OpenAiStep = VendorStep<OpenAiClient, OpenAiState>;

/** OpenAI accepts 1 to 31,536,000 seconds; a key that lives 365 days is asked for at its limit. */
const expirySecondsMax = 31_536_000;
const clockSkewSeconds = 300;
const rateLimitCallsAtOnce = 4;

/** Seconds until the key's end as of now: OpenAI counts from the request. Null when the key has no end. */
export function expiresInSeconds({ key, now }: Pick<Ctx, "key" | "now">): number | null {
  if (!key.expiresAt) return null;
  const seconds = Math.floor((key.expiresAt.getTime() - now().getTime()) / 1000);
  if (seconds < 1) {
    throw new KeyGateError("vendor.refused", {
      detail: "The key's expiry passed before it could be made.",
      nothingHappened: true,
    });
  }
  return Math.min(seconds, expirySecondsMax);
}

/** The project that bears our reserved name. Names are not unique at OpenAI: of several the oldest counts. */
async function ownProjects({ client, key }: Ctx): Promise<OpenAiProject[]> {
  const notBefore = key.createdAt.getTime() / 1000 - clockSkewSeconds;
  return (await client.listProjects(false))
    .filter((p) => p.name === key.projectName && !isArchived(p) && p.created_at >= notBefore)
    .sort((a, b) => a.created_at - b.created_at || a.id.localeCompare(b.id));
}

const createProject: OpenAiStep = {
  name: "create-project",
  onFound: "adopt",
  async run({ client, key }) {
    const project = await client.createProject(key.projectName);
    return { projectId: project.id };
  },
  async find(ctx) {
    const [oldest, ...others] = await ownProjects(ctx);
    for (const other of others) await ctx.client.archiveProject(other.id);
    return oldest ? { projectId: oldest.id } : null;
  },
  async undo({ client }, state) {
    await archiveAndConfirm(client, must(state.projectId, "projectId"));
  },
};

/**
 * The project as it stands. Projects are never deleted at OpenAI, only archived: one that is not there at all means that
 * the admin key belongs to another organization, whose "not found" says nothing about our keys.
 */
export async function requireProject(client: OpenAiClient, projectId: string): Promise<OpenAiProject> {
  const project = await client.getProject(projectId);
  if (project) return project;
  throw new KeyGateError("vendor.refused_us", {
    detail: `The admin key does not see project ${projectId}: it seems to belong to another organization.`,
  });
}

/** Archives and looks. Archiving twice may be refused; what counts is that the project is archived in the end. */
export async function archiveAndConfirm(client: OpenAiClient, projectId: string): Promise<void> {
  const before = await requireProject(client, projectId);
  if (isArchived(before)) return;
  // Another key's end may archive it in between.
  await unlessArchived(client, projectId, () => client.archiveProject(projectId));
  const after = await requireProject(client, projectId);
  if (!isArchived(after)) throw new WaitForVendor(1_000, "OpenAI is archiving the project");
}

/** However long lists lag, what was made is known by its id within this time; "not found" is believed afterwards. */
const visibleWithinMs = 10_000;

/** A step that does not believe at once that the project which was just made does not exist. */
const patient = (step: OpenAiStep): OpenAiStep => ({
  ...step,
  async run(ctx, state) {
    try {
      return await step.run(ctx, state);
    } catch (error) {
      if (!isGone(error) || (await ctx.stepAgeMs()) > visibleWithinMs) throw error;
      throw new WaitForVendor(1_000, "OpenAI does not show the new project everywhere yet", { nothingHappened: true });
    }
  },
});

const setSpendLimit: OpenAiStep = {
  name: "set-spend-limit",
  onFound: "repeat",
  find: null,
  // The limit goes with the project.
  undo: null,
  async run({ client, key }, state) {
    const cents = Math.max(1, microsToCents(key.budgetMicros));
    const confirmed = await client.setSpendLimit(must(state.projectId, "projectId"), cents);
    return { spendLimitCents: confirmed.threshold_amount };
  },
};

const allowModels: OpenAiStep = {
  name: "allow-models",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client, key }, state) {
    if (!key.modelsAllowed) return {};
    const confirmed = await client.allowModels(must(state.projectId, "projectId"), key.modelsAllowed);
    return { modelsAllowed: confirmed.model_ids };
  },
};

/** Lowers one model's limit; above the organization's own the vendor refuses, and the lower one it has stays. */
async function limitModel(ctx: Ctx, projectId: string, row: OpenAiRateLimit): Promise<number> {
  const wanted = ctx.key.rateLimitRpm;
  const current = row.max_requests_per_1_minute ?? Number.POSITIVE_INFINITY;
  if (current === wanted) return wanted;
  try {
    await ctx.client.setRateLimit(projectId, row.id, wanted);
    return wanted;
  } catch (error) {
    const isAboveOrganization =
      current < wanted &&
      error instanceof KeyGateError &&
      error.code === "vendor.refused" &&
      error.facts.status === 400;
    if (isAboveOrganization) return current;
    throw error;
  }
}

const limitRates: OpenAiStep = {
  name: "limit-rates",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const projectId = must(state.projectId, "projectId");
    const allowed = ctx.key.modelsAllowed;
    const rows = (await ctx.client.listRateLimits(projectId)).filter((row) => !allowed || allowed.includes(row.model));
    const waiting = [...rows];
    const rateLimits: { model: string; requestsPerMinute: number }[] = [];
    const work = async () => {
      for (let row = waiting.shift(); row; row = waiting.shift()) {
        rateLimits.push({ model: row.model, requestsPerMinute: await limitModel(ctx, projectId, row) });
      }
    };
    const results = await Promise.allSettled(Array.from({ length: rateLimitCallsAtOnce }, work));
    const failed = results.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    const limited = new Set(rateLimits.map((limit) => limit.model));
    return {
      rateLimits: rateLimits.sort((a, b) => a.model.localeCompare(b.model)),
      unlimitedModels: (allowed ?? []).filter((model) => !limited.has(model)),
    };
  },
};

/** Account and key come in one call, so that the key never exists without its expiry. */
const createServiceAccount: OpenAiStep = {
  name: "create-service-account",
  onFound: "replace",
  delivers: true,
  async run(ctx, state) {
    const projectId = must(state.projectId, "projectId");
    const account = await ctx.client.createServiceAccount(projectId, ctx.key.projectName, expiresInSeconds(ctx));
    const issued = await ctx.deliver(account.secret);
    return { serviceAccountId: account.id, keyId: account.keyId, issued };
  },
  async find({ client, key }, state) {
    const projectId = must(state.projectId, "projectId");
    const accounts = await unlessArchived(client, projectId, () => client.listServiceAccounts(projectId));
    const ours = accounts?.find((account) => account.name === key.projectName);
    return ours ? { serviceAccountId: ours.id } : null;
  },
  async undo({ client }, state) {
    await removeServiceAccount(client, must(state.projectId, "projectId"), must(state.serviceAccountId, "account id"));
  },
};

/**
 * An archived project has no accounts and no keys, and refuses to be asked for them or to have them deleted: whatever was
 * to be ended there has ended. Any other refusal is one.
 */
export async function unlessArchived<T>(
  client: OpenAiClient,
  projectId: string,
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work();
  } catch (error) {
    const isRefused = error instanceof KeyGateError && error.code === "vendor.refused";
    if (isRefused && isArchived(await requireProject(client, projectId))) return null;
    throw error;
  }
}

/** Deletes the account with all its keys. */
export async function removeServiceAccount(client: OpenAiClient, projectId: string, accountId: string): Promise<void> {
  await unlessArchived(client, projectId, () => client.deleteServiceAccount(projectId, accountId));
}

/** Reads the key back: owner and expiry must be what was asked for. */
export const verifyKey: OpenAiStep = {
  name: "verify-key",
  onFound: "repeat",
  find: null,
  undo: null,
  async run(ctx, state) {
    const keyId = must(state.keyId, "keyId");
    const key = await ctx.client.getApiKey(must(state.projectId, "projectId"), keyId);
    if (!key) {
      if ((await ctx.stepAgeMs()) < 60_000) throw new WaitForVendor(500, "OpenAI does not show the new key yet");
      throw new KeyGateError("vendor.refused", { detail: "OpenAI does not show the key that it has just made." });
    }
    const owner = key.owner?.service_account?.id;
    if (owner !== undefined && owner !== state.serviceAccountId) {
      throw new KeyGateError("vendor.refused", { detail: "OpenAI says that the new key belongs to another account." });
    }
    const wanted = ctx.key.expiresAt;
    const end = key.expires_at ?? null;
    // One second late by rounding is fine; a key that outlives its row is not.
    if (wanted && (end === null || end * 1000 > wanted.getTime() + clockSkewSeconds * 1000)) {
      throw new KeyGateError("vendor.refused", {
        detail:
          "OpenAI did not take over the key's expiry, or the clock of the worker's machine is more than five minutes late.",
      });
    }
    return {};
  },
};

/** Limits first, then the key: at no moment is there a key without its limits. */
export const provision: readonly OpenAiStep[] = [
  createProject,
  ...[setSpendLimit, allowModels, limitRates, createServiceAccount].map(patient),
  verifyKey,
];
