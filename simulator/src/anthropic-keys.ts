/** Anthropic's Admin API for keys (it lists, renames, disables; it cannot create), and the Console, where people make them. */
import { z } from "zod";
import {
  type AnthropicCall,
  bodyOf,
  choiceOf,
  ID_PAGE_QUERY,
  knownQuery,
  makeId,
  notFound,
  pageById,
  Refusal,
  randomUrlSafe,
  timeOf,
} from "./anthropic-http.ts";
import {
  type AnthropicWorld,
  hintOf,
  isListed,
  type Key,
  KeyStatus,
  note,
  Principal,
  setStatus,
  settingsOf,
  shownStatus,
} from "./anthropic-world.ts";
import type { SimContext } from "./core.ts";

type Call = AnthropicCall<AnthropicWorld>;

function view({ world, sim, version }: Pick<Call, "world" | "sim" | "version">, key: Key): Record<string, unknown> {
  const isDefault = world.workspaces.some(({ id, isDefault }) => isDefault && id === key.workspaceId);
  return {
    id: key.id,
    type: "api_key",
    name: key.name,
    status: shownStatus(key, sim.now()),
    partial_key_hint: hintOf(key.secret),
    created_at: timeOf(key.createdAt),
    expires_at: key.expiresAt === null ? null : timeOf(key.expiresAt),
    created_by: { id: key.createdByUserId, type: "user" },
    principal: key.principal,
    scope: key.workspaceId === null ? { type: "organization" } : { type: "workspace", workspace_id: key.workspaceId },
    // The older version's field says null for two different things, which is why the newer one dropped it.
    ...(version === "2023-06-01" && { workspace_id: isDefault ? null : key.workspaceId }),
  };
}

/** A filter by workspace never returns the keys that belong to the organization. */
export function listKeys(call: Call): unknown {
  const { world, req, sim } = call;
  knownQuery(req, [...ID_PAGE_QUERY, "workspace_id", "status", "created_by_user_id"]);
  const workspaceId = req.query.get("workspace_id");
  const status = choiceOf(req, "status", ["active", "inactive", "archived", "expired"]);
  const createdBy = req.query.get("created_by_user_id");
  const isWanted = (key: Key) =>
    isListed(key, sim) &&
    (workspaceId === null || key.workspaceId === workspaceId) &&
    (status === null || shownStatus(key, sim.now()) === status) &&
    (createdBy === null || key.createdByUserId === createdBy);
  return pageById(req, world.keys.toReversed(), isWanted, (key) => view(call, key));
}

function findKey(world: AnthropicWorld, id: string | undefined): Key {
  const key = world.keys.find((known) => known.id === id);
  if (key === undefined) throw notFound("API key");
  return key;
}

export function showKey(call: Call): unknown {
  knownQuery(call.req, []);
  return view(call, findKey(call.world, call.params[0]));
}

/** Renames or changes the status. `archived` is for good, and what has expired can only be archived. */
export function updateKey(call: Call): unknown {
  const { world, req, sim, params } = call;
  knownQuery(req, []);
  const changes = bodyOf(req, z.strictObject({ name: z.string().min(1).nullish(), status: KeyStatus.nullish() }));
  const key = findKey(world, params[0]);
  const status = changes.status ?? null;
  if (status !== null && status !== key.status) {
    const shown = shownStatus(key, sim.now());
    if (shown === "archived") throw new Refusal(400, "An archived API key cannot be changed back.");
    if (shown === "expired" && status !== "archived") throw new Refusal(400, "The API key has expired.");
    if (status === "active") checkRoom(world, sim, key.workspaceId);
    setStatus(world, sim, key, status, "by the API");
  }
  if (changes.name && changes.name !== key.name) {
    key.name = changes.name;
    note(world, sim, "key.renamed", { id: key.id, name: key.name });
  }
  return view(call, key);
}

function checkRoom(world: AnthropicWorld, sim: SimContext, workspaceId: string | null): void {
  const { workspace_keys_max, organization_keys_max } = settingsOf(sim);
  const active = world.keys.filter((key) => shownStatus(key, sim.now()) === "active");
  if (organization_keys_max !== null && active.length >= organization_keys_max) {
    const details = { error_code: "org_api_key_limit_exceeded" };
    throw new Refusal(400, "The organization has reached its limit of active API keys.", { details });
  }
  const here = active.filter((key) => workspaceId !== null && key.workspaceId === workspaceId);
  if (workspace_keys_max !== null && here.length >= workspace_keys_max) {
    const details = { error_code: "workspace_api_key_limit_exceeded" };
    throw new Refusal(400, "The workspace has reached its limit of active API keys.", { details });
  }
}

/** 108 characters in the vendor's format. The random ends make hints differ; the middle says that it is not real. */
function newSecret(): string {
  const infix = "-SIMULATED-";
  return `sk-ant-api03-${randomUrlSafe(12)}${infix}${randomUrlSafe(93 - 12 - infix.length)}AA`;
}

const ConsoleKey = z.strictObject({
  /** `null`: a key of the whole organization. */
  workspace_id: z.string().nullable(),
  name: z.string().min(1).optional(),
  principal: Principal.nullable().optional(),
  expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
  created_by_user_id: z.string().optional(),
});

/** What a person does in the Console. Throws an Error, or a ZodError, when the Console would not let them. */
export function createKeyInConsole(world: AnthropicWorld, sim: SimContext, body: unknown): Record<string, unknown> {
  const wanted = ConsoleKey.parse(body);
  const now = sim.now();
  const creator = wanted.created_by_user_id ?? world.users[0]?.id ?? "";
  if (!world.users.some(({ id }) => id === creator)) throw new Error("there is no such user");
  if (wanted.workspace_id !== null) {
    const workspace = world.workspaces.find(({ id }) => id === wanted.workspace_id);
    if (workspace === undefined) throw new Error("there is no such workspace");
    if (workspace.archivedAt !== null) throw new Error("the workspace is archived");
  }
  checkRoom(world, sim, wanted.workspace_id);
  const personal: Principal = { type: "user_actor", user_id: creator };
  const principal = wanted.principal ?? (wanted.workspace_id === null ? personal : null);
  if (principal?.type === "user_actor" && !world.users.some(({ id }) => id === principal.user_id)) {
    throw new Error("there is no such user");
  }
  const expiresAt = wanted.expires_at ? Date.parse(wanted.expires_at) : null;
  if (expiresAt !== null && expiresAt <= now) throw new Error("expires_at is in the past");

  const key: Key = {
    id: makeId("apikey"),
    secret: newSecret(),
    name: wanted.name ?? "console key",
    status: "active",
    before: null,
    createdAt: now,
    expiresAt,
    createdByUserId: creator,
    principal,
    workspaceId: wanted.workspace_id,
  };
  world.keys.push(key);
  note(world, sim, "key.created", { id: key.id, name: key.name, workspace_id: key.workspaceId });
  return { ...view({ world, sim, version: "2026-10-21" }, key), secret: key.secret };
}
