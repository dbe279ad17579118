import { KeyGateError } from "@keygate/shared/errors";
import type { Secret } from "@keygate/shared/secret";
import { WaitForVendor } from "../../saga/wait.ts";
import type { AnthropicApiKey } from "./client.ts";
import { keyNameFor } from "./instructions.ts";
import { type AnthropicState, type Ctx, clockSkewMs, type KeyKind } from "./state.ts";

/** Refuses what a person gave, in words for that person. The job goes on waiting. */
export const refuse = (detail: string) => new KeyGateError("job.input_refused", { detail });

const lookAgainMs = 1_000;

// The published sample is sk-ant-api03- and 95 characters; a later generation may differ in both.
const keyFormat = /^sk-ant-api\d{2}-[A-Za-z0-9_-]{40,300}$/;

function requireFormat(text: string): void {
  if (text.startsWith("sk-ant-admin")) {
    throw refuse(
      "This is an Admin key: it has full power over the organization and must not be handed to anybody. Make an API key inside the workspace.",
    );
  }
  if (!keyFormat.test(text)) {
    throw refuse(
      "This does not look like an Anthropic API key (sk-ant-api03-…). Copy the whole text that the Console shows when the key is made, and nothing around it.",
    );
  }
}

/** The two headers of a call with the key itself decide whose it is; nothing else could prove that. */
async function requireIdentity(ctx: Ctx, secret: Secret, state: AnthropicState, workspaceId: string): Promise<void> {
  const whose = await ctx.client.identify(secret);
  const organizationId = state.organizationId ?? (await ctx.client.me()).id;
  if (!whose.workspaceId || !whose.organizationId) {
    throw refuse(
      "Anthropic accepts the key but does not say which workspace and organization it belongs to, so KeyGate cannot prove that it is the right one.",
    );
  }
  if (whose.organizationId !== organizationId) {
    throw refuse("The key belongs to another organization than KeyGate's Admin key. Make one in this workspace.");
  }
  if (whose.workspaceId !== workspaceId) {
    throw refuse(
      `The key belongs to the workspace ${whose.workspaceId}, but this job needs one of ${workspaceId}. Delete it if it was made for this job, and make one in the right workspace.`,
    );
  }
}

/**
 * Whether the listed key can be the given one. A hint is a filter, no proof: about 30 bits vary. Where it is missing, or
 * written in an unknown way, the name that we asked for has to do.
 */
function canBe(listed: AnthropicApiKey, text: string, askedName: string): boolean {
  const [head, tail] = listed.partial_key_hint?.split(/\.{2,}|…/) ?? [];
  if (head === undefined || tail === undefined) return listed.name === askedName && listed.status !== "archived";
  return text.startsWith(head) && text.endsWith(tail);
}

/**
 * The key's own entry on the workspace's list. Which one it is has to be certain: revoking goes by its id.
 */
async function findListed(
  ctx: Ctx,
  text: string,
  state: AnthropicState,
  workspaceId: string,
): Promise<AnthropicApiKey> {
  const askedName = keyNameFor(ctx.key);
  const fitting = ((await ctx.client.listKeys(workspaceId)) ?? []).filter(
    (key) => key.scope.type === "workspace" && key.scope.workspace_id === workspaceId && canBe(key, text, askedName),
  );
  if (fitting.length === 0) {
    // Anthropic has just said that the key is this workspace's, so it will be there: a list may lag behind the Console.
    const leftMs = ctx.client.connection.settleMs - (await ctx.unsureMs());
    if (leftMs > 0) {
      throw new WaitForVendor(
        Math.min(lookAgainMs, leftMs + 20),
        "Anthropic does not show the given key on its list yet",
      );
    }
    throw refuse(
      `Anthropic does not show the key on the workspace's list. Give it again in a minute; if that does not help, see to it that the key is named ${askedName}.`,
    );
  }
  const candidates: AnthropicApiKey[] = [];
  for (const key of fitting) {
    const isKnown = key.id === state.oldKeyId || (await ctx.isTracked({ vendorKeyId: key.id }));
    if (!isKnown) candidates.push(key);
  }
  const [first, ...others] = candidates;
  if (!first) throw refuse("KeyGate knows this key already: it was handed over before. Make a new one.");
  if (others.length === 0) return first;
  const names = candidates.map((key) => `${key.name ?? "(no name)"} (${key.id})`).join(", ");
  throw refuse(
    `Several keys of the workspace could be this one: ${names}. Delete those that are not needed and give the key again.`,
  );
}

function requireInForce(listed: AnthropicApiKey, { key, now }: Ctx): void {
  const end = listed.expires_at ? Date.parse(listed.expires_at) : null;
  if (listed.status !== "active" || (end !== null && end <= now().getTime())) {
    throw refuse(`The key is ${listed.status === "active" ? "expired" : listed.status}. Make a new one.`);
  }
  if (Date.parse(listed.created_at) < key.jobCreatedAt.getTime() - clockSkewMs) {
    throw refuse("The key is older than this job, so somebody may have it already. Make a new one.");
  }
  if (key.expiresAt && (end === null || end > key.expiresAt.getTime() + clockSkewMs)) {
    const when = listed.expires_at ? `expires at ${listed.expires_at}` : "never expires";
    throw refuse(
      `The key ${when}, but it must end by ${key.expiresAt.toISOString()}. An expiry cannot be changed afterwards: delete the key and make a new one.`,
    );
  }
}

// Roles without power over the organization. Console organizations have one with it (`admin`), Enterprise ones several.
const plainRoles = new Set(["user", "developer", "claude_code_user", "billing", "managed"]);

/** Whose key it is. A personal one acts with its owner's rights, and only the developer's own is acceptable. */
async function kindOf(listed: AnthropicApiKey, { client, key }: Ctx): Promise<KeyKind> {
  const { principal } = listed;
  if (!principal) return "workspace";
  if (principal.type === "service_account_actor") return "service_account";
  if (principal.type !== "user_actor") {
    throw refuse("Anthropic names an owner of the key that KeyGate does not know. Make a service account's key.");
  }
  const email = key.developerEmail?.toLowerCase();
  const users = email ? await client.findUsers(email) : [];
  const owner = users.find((user) => user.id === principal.user_id && user.email.toLowerCase() === email);
  if (owner?.role && plainRoles.has(owner.role)) return "personal";
  throw refuse(
    "This is somebody's personal key: it acts in the name of whoever made it. Delete it and make a service account's key, or a workspace key.",
  );
}

/**
 * Makes sure that what a person gave is the key that the job asked for.
 *
 * @throws `job.input_refused` with the reason in words; anything else is the vendor's trouble, and the same input can be
 * tried again.
 */
export async function verifyGivenKey(
  ctx: Ctx,
  secret: Secret,
  state: AnthropicState,
  workspaceId: string,
): Promise<{ listed: AnthropicApiKey; kind: KeyKind }> {
  const text = secret.reveal();
  requireFormat(text);
  if (await ctx.isTracked({ secret })) {
    throw refuse("KeyGate knows this key already: it was handed over before. Make a new one for this job.");
  }
  await requireIdentity(ctx, secret, state, workspaceId);
  const listed = await findListed(ctx, text, state, workspaceId);
  requireInForce(listed, ctx);
  return { listed, kind: await kindOf(listed, ctx) };
}
