import { KeyGateError, must } from "@keygate/shared/errors";
import { microsToCents } from "@keygate/shared/money";
import type { AnthropicClient, AnthropicRateLimit, AnthropicSpendLimit, AnthropicWorkspace } from "./client.ts";
import { isGone } from "./errors.ts";
import { awaitKey } from "./hand-over.ts";
import { type AnthropicState, type AnthropicStep, type Ctx, requireSameOrganization } from "./state.ts";
import { archiveAndConfirm, waitWhileYoung } from "./workspace.ts";

/**
 * Names are promised to nobody, not even to be unique, and the list has no filter: the tag is what finds a workspace
 * whose creation was not answered. The default and the Claude Code workspace never carry it.
 */
const jobTag = "keygate-job";
const tagsFor = (key: Ctx["key"]) => ({ keygate: key.id, [jobTag]: key.jobId });

const isOlder = (a: AnthropicWorkspace, b: AnthropicWorkspace) =>
  Date.parse(a.created_at) - Date.parse(b.created_at) || a.id.localeCompare(b.id);

/** Noted before anything is made, so that a workspace is never looked for in another organization. */
const noteOrganization: AnthropicStep = {
  name: "note-organization",
  onFound: "repeat",
  find: null,
  undo: null,
  async run({ client }) {
    return { organizationId: (await client.me()).id };
  },
};

const createWorkspace: AnthropicStep = {
  name: "create-workspace",
  onFound: "adopt",
  async run({ client, key }, state) {
    await requireSameOrganization(client, state);
    const workspace = await client.createWorkspace(key.projectName, tagsFor(key));
    return { workspaceId: workspace.id };
  },
  async find({ client, key }, state) {
    await requireSameOrganization(client, state);
    const ours = (await client.listWorkspaces()).filter((workspace) => workspace.tags?.[jobTag] === key.jobId);
    const [oldest, ...others] = ours.sort(isOlder);
    for (const other of others) await archiveAndConfirm(client, { ...state, workspaceId: other.id });
    return oldest ? { workspaceId: oldest.id } : null;
  },
  async undo({ client }, state) {
    must(state.workspaceId, "workspaceId");
    await archiveAndConfirm(client, state);
  },
};

const requestsPerMinute = "requests_per_minute";
const groupNameOf = (entry: AnthropicRateLimit): string =>
  entry.group.display_name ?? entry.models?.join(", ") ?? entry.id;

const limitRates: AnthropicStep = {
  name: "limit-rates",
  onFound: "repeat",
  find: null,
  // The limits end with the workspace; taking them away before would only leave a moment without limits.
  undo: null,
  async run(ctx, state) {
    const { client, key } = ctx;
    const workspaceId = must(state.workspaceId, "workspaceId");
    const groups = (await client.listRateLimits()).filter((entry) => entry.group.type === "model_group");
    const rateLimits: { entryId: string; group: string; requestsPerMinute: number }[] = [];
    const unlimitedGroups: string[] = [];
    for (const entry of groups) {
      const ofOrganization = entry.limits.find((limit) => limit.type === requestsPerMinute);
      if (!ofOrganization) {
        unlimitedGroups.push(groupNameOf(entry));
        continue;
      }
      try {
        await client.setRequestsPerMinute(workspaceId, entry.id, key.rateLimitRpm);
      } catch (error) {
        if (isGone(error)) await waitWhileYoung(ctx);
        throw error;
      }
      // More than the organization has is stored all the same, but the lower number acts.
      const effective = Math.min(key.rateLimitRpm, ofOrganization.value ?? Number.POSITIVE_INFINITY);
      rateLimits.push({ entryId: entry.id, group: groupNameOf(entry), requestsPerMinute: effective });
    }
    return { rateLimits, unlimitedGroups };
  },
};

/** A string of cents, perhaps with decimals, as micro-dollars. Never through a floating-point number. */
export function centsTextToMicros(text: string): number {
  const [whole = "0", fraction = ""] = text.split(".");
  return Number(BigInt(whole) * 10_000n + BigInt(fraction.slice(0, 4).padEnd(4, "0")));
}

/**
 * Whether the endpoint is closed for this organization: setting spend limits by API is early access. Anything that is
 * not clearly a success leads to the same honest answer, a limit that a person declares.
 */
export const isSpendLimitApiClosed = (error: unknown): boolean =>
  error instanceof KeyGateError &&
  (error.code === "vendor.limits_unsupported" ||
    (error.code === "vendor.refused_us" && error.facts.status === 403) ||
    error.facts.status === 404);

/**
 * What the vendor says is in force, which is what the report tells. A limit without an amount limits nothing, and one in
 * another currency is not the number of dollars that it looks like.
 */
function confirmedLimit({ amount, currency }: AnthropicSpendLimit): Partial<AnthropicState> {
  if (typeof amount !== "string") return {};
  const isInDollars = !currency || currency.toUpperCase() === "USD";
  return { spendLimitMicros: centsTextToMicros(amount), ...(isInDollars ? {} : { spendLimitCurrency: currency }) };
}

async function removeSpendLimits(client: AnthropicClient, workspaceId: string, knownId?: string): Promise<void> {
  if (knownId) {
    await client.deleteSpendLimit(knownId);
    return;
  }
  for (const limit of await client.listSpendLimits(workspaceId)) {
    if (limit.scope.type === "workspace" && limit.scope.workspace_id === workspaceId) {
      await client.deleteSpendLimit(limit.id);
    }
  }
}

/** One limit per workspace, and setting it again overwrites it. */
const setSpendLimit: AnthropicStep = {
  name: "set-spend-limit",
  onFound: "repeat",
  find: null,
  async run({ client, key }, state) {
    const cents = String(Math.max(1, microsToCents(key.budgetMicros)));
    try {
      const limit = await client.setSpendLimit(must(state.workspaceId, "workspaceId"), cents);
      return { spendLimitId: limit.id, ...confirmedLimit(limit) };
    } catch (error) {
      if (isSpendLimitApiClosed(error)) return {};
      throw error;
    }
  },
  async undo({ client }, state) {
    if (!state.workspaceId) return;
    try {
      await removeSpendLimits(client, state.workspaceId, state.spendLimitId);
    } catch (error) {
      // Reading is early access of its own and answers 400 where it is closed. The limit then ends with the workspace.
      const isRefused = error instanceof KeyGateError && error.code === "vendor.refused";
      if (!isRefused && !isSpendLimitApiClosed(error)) throw error;
    }
  },
};

/** Limits first, then the key: a person is asked for one only when everything around it stands. */
export const provision = [
  noteOrganization,
  createWorkspace,
  limitRates,
  setSpendLimit,
  awaitKey,
] as const satisfies readonly AnthropicStep[];
