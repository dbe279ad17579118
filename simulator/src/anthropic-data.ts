/** What an issued Anthropic key is good for: listing models and sending messages. */
import { z } from "zod";
import {
  type AnthropicCall,
  bodyOf,
  credentialOf,
  ID_PAGE_QUERY,
  knownQuery,
  makeId,
  mistake,
  notFound,
  pageById,
  Refusal,
} from "./anthropic-http.ts";
import { type AnthropicWorld, isAccepted, type Key, note, settingsOf, type Workspace } from "./anthropic-world.ts";
import type { SimResponse } from "./core.ts";

type Call = AnthropicCall<AnthropicWorld>;

/** The key that the request carries, if its secret is accepted right now. */
export function acceptedKey({ world, req, sim }: Pick<Call, "world" | "req" | "sim">): Key {
  const credential = credentialOf(req);
  const key = world.keys.find(({ secret }) => secret === credential);
  if (key === undefined || !isAccepted(key, sim)) throw new Refusal(401, "invalid x-api-key");
  return key;
}

/** The workspace that the request runs in. A key without one needs a header that says which. */
function workspaceOf({ world, req }: Call, key: Key): Workspace {
  const asked = req.headers["anthropic-workspace-id"];
  if (key.workspaceId === null && asked === undefined) {
    throw new Refusal(400, "anthropic-workspace-id: header is required for an API key without a workspace.");
  }
  if (key.workspaceId !== null && asked !== undefined && asked !== key.workspaceId) {
    throw new Refusal(403, "The API key belongs to another workspace.");
  }
  const id = key.workspaceId ?? asked;
  const workspace = world.workspaces.find((known) => known.id === id && known.archivedAt === null);
  if (workspace === undefined) throw notFound("Workspace");
  return workspace;
}

const answer = ({ world }: Call, workspace: Workspace, body: unknown): SimResponse => ({
  status: 200,
  headers: { "anthropic-organization-id": world.organization.id, "anthropic-workspace-id": workspace.id },
  body,
});

const yes = { supported: true };

const modelView = (id: string) => ({
  id,
  type: "model",
  display_name: id,
  created_at: "2026-02-01T00:00:00Z",
  deprecated_at: null,
  lifecycle: "active",
  line: id.split("-")[1] ?? null,
  max_input_tokens: 200_000,
  max_tokens: 64_000,
  capabilities: { batch: yes, citations: yes, code_execution: yes, image_input: yes, pdf_input: yes },
});

const modelsOf = (world: AnthropicWorld) =>
  world.rateLimits.flatMap(({ models }) => models ?? []).map((id) => ({ id }));

/** Free of charge, and its headers say whose key it is. */
export function listModels(call: Call): SimResponse {
  const { world, req } = call;
  knownQuery(req, ID_PAGE_QUERY);
  const workspace = workspaceOf(call, acceptedKey(call));
  return answer(
    call,
    workspace,
    pageById(
      req,
      modelsOf(world),
      () => true,
      ({ id }) => modelView(id),
    ),
  );
}

export function showModel(call: Call): SimResponse {
  const workspace = workspaceOf(call, acceptedKey(call));
  const model = modelsOf(call.world).find(({ id }) => id === call.params[0]);
  if (model === undefined) throw notFound("Model");
  return answer(call, workspace, modelView(model.id));
}

/** The parts of a message request that are looked at; the rest is accepted as it is. */
const Message = z.looseObject({
  model: z.string(),
  max_tokens: z.int().min(1),
  messages: z.array(z.looseObject({ role: z.enum(["user", "assistant"]), content: z.unknown() })).min(1),
  stream: z.literal(false).optional(),
});

const REFUSED_SINCE_2026_10_21 = ["temperature", "top_p", "top_k"];

export function createMessage(call: Call): SimResponse {
  const { world, req, sim, version } = call;
  const key = acceptedKey(call);
  const workspace = workspaceOf(call, key);
  const message = bodyOf(req, Message);
  const refused = version === "2023-06-01" ? [] : REFUSED_SINCE_2026_10_21.filter((name) => name in message);
  if (refused.length > 0) throw mistake(`${refused[0]}: Extra inputs are not permitted`);
  const group = world.rateLimits.find(({ models }) => models?.includes(message.model));
  if (group === undefined) throw notFound(`model: ${message.model}`);
  checkSpend(call, workspace);
  checkRate(call, workspace, group.id);

  const input_tokens = Math.ceil(JSON.stringify(message.messages).length / 4);
  note(world, sim, "message.created", { key_id: key.id, workspace_id: workspace.id, model: message.model });
  return answer(call, workspace, {
    id: makeId("msg"),
    type: "message",
    role: "assistant",
    model: message.model,
    content: [{ type: "text", text: "This is a simulated answer.", citations: null }],
    stop_reason: "end_turn",
    stop_sequence: null,
    usage: { input_tokens, output_tokens: 6, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 },
  });
}

const monthOf = (ms: number) => new Date(ms).toISOString().slice(0, 7);

/** A limit that the customer set answers 400, not 429. */
function checkSpend({ world, sim }: Call, workspace: Workspace): void {
  const month = monthOf(sim.now());
  const inWorkspace = workspace.spentCents.get(month) ?? 0;
  const inAll = world.workspaces.reduce((sum, { spentCents }) => sum + (spentCents.get(month) ?? 0), 0);
  for (const { scope, amount } of world.spendLimits) {
    const isOurs = scope.type === "workspace" && scope.workspace_id === workspace.id;
    if (isOurs && inWorkspace >= Number(amount)) {
      throw new Refusal(400, "You have reached your specified workspace API usage limits.");
    }
    if (scope.type === "organization" && inAll >= Number(amount)) {
      throw new Refusal(400, "You have reached your specified API usage limits.");
    }
  }
}

/** Requests per minute only, by the lower of the two limits; a workspace's limit acts after its delay. */
function checkRate({ world, sim }: Call, workspace: Workspace, entryId: string): void {
  const now = sim.now();
  const organization = world.rateLimits.find(({ id }) => id === entryId)?.limits ?? [];
  const limits = organization.filter(({ type }) => type === "requests_per_minute").map(({ value }) => value);
  const own = workspace.rateLimits.get(entryId)?.get("requests_per_minute");
  if (own !== undefined && now >= own.setAt + settingsOf(sim).rate_limit_delay_ms) limits.push(own.value);
  const recent = (workspace.requests.get(entryId) ?? []).filter((at) => at > now - 60_000);
  if (recent.length >= Math.min(...limits)) {
    const waitMs = (recent[0] ?? now) + 60_000 - now;
    throw new Refusal(429, "This request would exceed the workspace's rate limit of requests per minute.", {
      headers: { "retry-after": String(Math.max(1, Math.ceil(waitMs / 1000))) },
    });
  }
  workspace.requests.set(entryId, [...recent, now]);
}

const Spend = z.strictObject({ workspace_id: z.string(), cents: z.number().positive() });

/** Control: as if the workspace had spent that much this month. */
export function addSpend({ world, sim }: Pick<Call, "world" | "sim">, body: unknown): void {
  const { workspace_id, cents } = Spend.parse(body);
  const workspace = world.workspaces.find(({ id }) => id === workspace_id);
  if (workspace === undefined) throw new Error("there is no such workspace");
  const month = monthOf(sim.now());
  workspace.spentCents.set(month, (workspace.spentCents.get(month) ?? 0) + cents);
  note(world, sim, "spend.added", { workspace_id, cents });
}
