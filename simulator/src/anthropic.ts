/**
 * The simulated Anthropic: Admin API, Console (by control) and the data plane that its keys open.
 *
 * Control actions: `create_key` (what a person does in the Console, the only way to a key), `add_user`, `add_spend`,
 * `set_admin {refused}`.
 */
import { z } from "zod";
import { acceptedKey, addSpend, createMessage, listModels, showModel } from "./anthropic-data.ts";
import {
  type AnthropicCall,
  credentialOf,
  makeId,
  makeRequestId,
  mistake,
  Refusal,
  refusalResponse,
} from "./anthropic-http.ts";
import { createKeyInConsole, listKeys, showKey, updateKey } from "./anthropic-keys.ts";
import * as limits from "./anthropic-limits.ts";
import * as workspaces from "./anthropic-workspaces.ts";
import {
  AnthropicSettings,
  type AnthropicWorld,
  anthropicBooks,
  newAdminKey,
  newWorld,
  note,
  settingsOf,
} from "./anthropic-world.ts";
import {
  type SimContext,
  type SimRequest,
  type SimResponse,
  type SimVendor,
  startVendorServer,
  type VendorEntry,
} from "./core.ts";

type Call = AnthropicCall<AnthropicWorld>;
type Handler = (call: Call) => unknown;

const ADMIN_ROUTES: Record<string, Handler> = {
  "GET /v1/organizations/me": workspaces.showOrganization,
  "POST /v1/organizations/workspaces": workspaces.createWorkspace,
  "GET /v1/organizations/workspaces": workspaces.listWorkspaces,
  "GET /v1/organizations/workspaces/:id": workspaces.showWorkspace,
  "POST /v1/organizations/workspaces/:id": workspaces.updateWorkspace,
  "POST /v1/organizations/workspaces/:id/archive": workspaces.archiveWorkspace,
  "POST /v1/organizations/workspaces/:id/members": workspaces.addMember,
  "GET /v1/organizations/workspaces/:id/members": workspaces.listMembers,
  "GET /v1/organizations/workspaces/:id/members/:id": workspaces.showMember,
  "POST /v1/organizations/workspaces/:id/members/:id": workspaces.updateMember,
  "DELETE /v1/organizations/workspaces/:id/members/:id": workspaces.removeMember,
  "GET /v1/organizations/workspaces/:id/rate_limits": limits.listWorkspaceRateLimits,
  "POST /v1/organizations/workspaces/:id/rate_limits/:id": limits.setWorkspaceRateLimits,
  "GET /v1/organizations/rate_limits": limits.listOrganizationRateLimits,
  "GET /v1/organizations/spend_limits": limits.listSpendLimits,
  "POST /v1/organizations/spend_limits": limits.setSpendLimit,
  "DELETE /v1/organizations/spend_limits/:id": limits.deleteSpendLimit,
  "GET /v1/organizations/users": workspaces.listUsers,
  "GET /v1/organizations/users/:id": workspaces.showUser,
  "DELETE /v1/organizations/users/:id": workspaces.removeUser,
  "GET /v1/organizations/api_keys": listKeys,
  "GET /v1/organizations/api_keys/:id": showKey,
  "POST /v1/organizations/api_keys/:id": updateKey,
};

/** These answer with headers of their own. */
const DATA_ROUTES: Record<string, (call: Call) => SimResponse> = {
  "GET /v1/models": listModels,
  "GET /v1/models/:id": showModel,
  "POST /v1/messages": createMessage,
};

const compile = <T>(routes: Record<string, T>) =>
  Object.entries(routes).map(([route, handler]) => {
    const [method = "", path = ""] = route.split(" ");
    return { method, pattern: new RegExp(`^${path.replaceAll(":id", "([^/]+)")}$`), handler };
  });

const adminRoutes = compile(ADMIN_ROUTES);
const dataRoutes = compile(DATA_ROUTES);

/** Service accounts and federation refuse Admin API keys: they want an `org:admin` OAuth token, which is not simulated. */
const OAUTH_ONLY = /^\/v1\/organizations\/(service_accounts|federation_issuers|federation_rules)(\/|$)/;

export interface AnthropicOptions {
  /** Made up when absent. */
  adminKey?: string | undefined;
}

export interface AnthropicVendor extends SimVendor {
  adminKey: string;
}

/** A simulated Anthropic with one organization. Its admin key outlives a reset. */
export function createAnthropic(options: AnthropicOptions = {}): AnthropicVendor {
  const adminKey = options.adminKey ?? newAdminKey();
  let world = newWorld(adminKey);
  return {
    name: "anthropic",
    adminKey,
    settings: AnthropicSettings,
    handle: (req, sim) => handle(world, req, sim),
    books: (sim, wanted) => anthropicBooks(world, sim, wanted),
    reset: () => {
      world = newWorld(adminKey);
    },
    control: (action, body, sim) => control(world, action, body, sim),
  };
}

function handle(world: AnthropicWorld, req: SimRequest, sim: SimContext): SimResponse {
  const requestId = makeRequestId();
  try {
    if (settingsOf(sim).overloaded) throw new Refusal(529, "Overloaded");
    const answer = req.path.startsWith("/v1/organizations") ? admin(world, req, sim) : data(world, req, sim);
    return { ...answer, headers: { ...answer.headers, "request-id": requestId } };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.options.violation) sim.violation(error.message);
    return refusalResponse(error, requestId);
  }
}

function admin(world: AnthropicWorld, req: SimRequest, sim: SimContext): SimResponse {
  authorizeAdmin(world, req, sim);
  throttleAdmin(world, sim);
  const version = versionOf(req);
  if (OAUTH_ONLY.test(req.path)) throw new Refusal(403, "This endpoint does not accept Admin API keys.");
  if (req.path === "/v1/organizations/api_keys" && req.method === "POST") {
    throw mistake("API keys can only be created in the Console.", 405);
  }
  const body = route(adminRoutes, { world, req, sim, version });
  return { status: 200, headers: { "anthropic-organization-id": world.organization.id }, body };
}

function data(world: AnthropicWorld, req: SimRequest, sim: SimContext): SimResponse {
  credentialOf(req);
  return route(dataRoutes, { world, req, sim, version: versionOf(req) });
}

function route<T>(
  routes: { method: string; pattern: RegExp; handler: (call: Call) => T }[],
  call: Omit<Call, "params">,
): T {
  for (const { method, pattern, handler } of routes) {
    const match = method === call.req.method ? pattern.exec(call.req.path) : null;
    if (match !== null) return handler({ ...call, params: match.slice(1).map(decodeURIComponent) });
  }
  throw mistake(`There is no ${call.req.method} ${call.req.path}.`, 404);
}

function versionOf(req: SimRequest): string {
  const version = req.headers["anthropic-version"];
  if (version === undefined) throw mistake("anthropic-version: header is required");
  if (version !== "2026-10-21" && version !== "2023-06-01") {
    throw mistake(`anthropic-version: "${version}" is not a valid version`);
  }
  return version;
}

/** The admin key, or a key without a workspace, which has its owner's rights. */
function authorizeAdmin(world: AnthropicWorld, req: SimRequest, sim: SimContext): void {
  if (credentialOf(req) === world.adminKey) {
    if (world.adminRefused) throw new Refusal(401, "invalid x-api-key");
    return;
  }
  const { id, workspaceId, principal } = acceptedKey({ world, req, sim });
  if (workspaceId !== null) throw new Refusal(403, "A key of a workspace cannot be used with the Admin API.");
  const owner =
    principal?.type === "user_actor" ? world.users.find((user) => user.id === principal.user_id) : undefined;
  if (owner?.role !== "admin") throw new Refusal(403, "The key's owner may not use the Admin API.");
  note(world, sim, "admin.entered_with_key", { id, method: req.method, path: req.path });
}

function throttleAdmin(world: AnthropicWorld, sim: SimContext): void {
  const max = settingsOf(sim).admin_requests_per_minute;
  const now = sim.now();
  world.adminCalls = world.adminCalls.filter((at) => at > now - 60_000);
  if (max !== null && world.adminCalls.length >= max) {
    const waitMs = (world.adminCalls[0] ?? now) + 60_000 - now;
    throw new Refusal(429, "Too many requests.", { headers: { "retry-after": String(Math.ceil(waitMs / 1000)) } });
  }
  world.adminCalls.push(now);
}

const NewUser = z.strictObject({
  email: z.email(),
  name: z.string().default(""),
  role: z.string().default("developer"),
});
const Admin = z.strictObject({ refused: z.boolean() });

function control(world: AnthropicWorld, action: string, body: unknown, sim: SimContext): SimResponse | undefined {
  switch (action) {
    case "create_key":
      return { status: 200, body: createKeyInConsole(world, sim, body) };
    case "add_user": {
      const user = { id: makeId("user"), addedAt: sim.now(), ...NewUser.parse(body) };
      world.users.push(user);
      return { status: 200, body: { id: user.id } };
    }
    case "add_spend":
      addSpend({ world, sim }, body);
      return { status: 200, body: {} };
    case "set_admin":
      world.adminRefused = Admin.parse(body).refused;
      return { status: 200, body: {} };
    default:
      return undefined;
  }
}

export const anthropicEntry = {
  servers: ["anthropic"],
  async start(portOf) {
    const vendor = createAnthropic();
    const anthropic = await startVendorServer(vendor, { port: portOf("anthropic") });
    const env = { ANTHROPIC_BASE_URL: `${anthropic.url}/v1`, ANTHROPIC_ADMIN_KEY: vendor.adminKey };
    return { servers: { anthropic }, env };
  },
} as const satisfies VendorEntry;
