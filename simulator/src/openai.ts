/** A simulated OpenAI: the organization's Admin API with its state, and enough inference to see whether a key works. */
import { randomUUID } from "node:crypto";
import {
  type SimContext,
  type SimRequest,
  type SimResponse,
  type SimVendor,
  startVendorServer,
  type VendorEntry,
} from "./core.ts";
import { accountRoutes } from "./openai-accounts.ts";
import { openAiBooks, openAiControl } from "./openai-books.ts";
import { missingScopes, NoQuery, type OpenAiCall, Refusal, type Route, readQuery, refusal } from "./openai-call.ts";
import { inferenceRoutes } from "./openai-inference.ts";
import { keyRoutes } from "./openai-keys.ts";
import { organizationRoutes } from "./openai-organization.ts";
import { permissionRoutes } from "./openai-permissions.ts";
import { projectRoutes } from "./openai-projects.ts";
import { OpenAiSettings } from "./openai-settings.ts";
import { spendRoutes } from "./openai-spend.ts";
import { freshState, isLive, type OpenAiState } from "./openai-state.ts";

export interface OpenAiOptions {
  adminKey?: string;
  organizationId?: string;
}

const ADMIN_KEY = "sk-admin-SIMULATED-openai-opens-nothing-real";
const THROTTLE_WINDOW_MS = 60_000;

const ADMIN_ROUTES: Route[] = [
  ...projectRoutes,
  ...accountRoutes,
  ...keyRoutes,
  ...spendRoutes,
  ...permissionRoutes,
  ...organizationRoutes,
];

const parts = new Map([...ADMIN_ROUTES, ...inferenceRoutes].map(([, path]) => [path, path.split("/")]));
const partsOf = (pattern: string): readonly string[] => parts.get(pattern) ?? pattern.split("/");

interface Found<R> {
  route: R;
  params: Record<string, string>;
}

/** The route of a request; refused as unknown, or as known by another method only. */
function routeOf<R extends readonly [string, string, ...unknown[]]>(call: OpenAiCall, routes: readonly R[]): Found<R> {
  const given = call.req.path.slice("/v1".length).split("/");
  const fits = routes.flatMap((route) => {
    const params = match(partsOf(route[1]), given);
    return params === null ? [] : [{ route, params }];
  });
  const found = fits.find(({ route }) => route[0] === call.req.method);
  if (found !== undefined) return found;
  const { method } = call.req;
  call.sim.violation(`there is no ${method} ${call.req.path}, or it is not simulated`);
  throw refusal(fits.length > 0 ? 405 : 404, `Invalid URL (${method} ${call.req.path})`);
}

function match(wanted: readonly string[], given: readonly string[]): Record<string, string> | null {
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const value = given[i] ?? "";
    if (part.startsWith("{") && value !== "") params[part.slice(1, -1)] = decoded(value);
    else if (part !== value) return null;
  }
  return params;
}

/** A part that is not well encoded stays as it is, and names nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function bearerOf(call: OpenAiCall): string {
  const secret = /^Bearer (\S+)$/.exec(call.req.headers.authorization ?? "")?.[1];
  if (secret === undefined) throw refusal(401, "You didn't provide an API key.");
  const organization = call.req.headers["openai-organization"];
  if (organization !== undefined && organization !== call.state.organizationId) {
    throw refusal(401, "OpenAI-Organization header should match organization for API key.", {
      code: "mismatched_organization",
    });
  }
  return secret;
}

function requireAdmin(call: OpenAiCall, secret: string): void {
  const { state, settings, nowMs } = call;
  const expiresAt = settings.admin_key_expires_at;
  const expired = expiresAt !== null && nowMs >= expiresAt * 1000;
  if (secret === state.adminKey.secret && !expired) return;
  // A live project key is known, and has no business here.
  const known = state.keys.some((key) => key.secret === secret && isLive(key, nowMs, settings));
  if (known) throw missingScopes(403, "api.management.read");
  throw refusal(401, "Incorrect API key provided.", { code: "invalid_api_key" });
}

function requireAdminScope({ req, settings }: OpenAiCall): void {
  const management = req.method === "GET" ? "api.management.read" : "api.management.write";
  const needed = req.path === "/v1/organization/costs" ? "api.usage.read" : management;
  if (settings.missing_scopes.includes(needed)) throw missingScopes(settings.missing_scope_status, needed);
}

function throttle({ state, settings, nowMs }: OpenAiCall, endpoint: string): void {
  const max = settings.rate_limit_per_minute_per_endpoint;
  // In the order of their times: only those that have become too old are looked at, however many there are.
  const recent = state.adminCalls.get(endpoint) ?? [];
  const firstRecent = recent.findIndex((at) => nowMs - at < THROTTLE_WINDOW_MS);
  recent.splice(0, firstRecent === -1 ? recent.length : firstRecent);
  if (max !== null && recent.length >= max) {
    const retry = settings.retry_after_seconds;
    throw refusal(429, "Rate limit reached. Please try again later.", {
      type: "requests",
      code: "rate_limit_exceeded",
      ...(retry !== null && { headers: { "retry-after": String(retry) } }),
    });
  }
  recent.push(nowMs);
  state.adminCalls.set(endpoint, recent);
}

function serve(call: OpenAiCall): SimResponse {
  const secret = bearerOf(call);
  if (!call.req.path.startsWith("/v1/organization/")) {
    const { route, params } = routeOf(call, inferenceRoutes);
    if (secret === call.state.adminKey.secret) throw missingScopes(403, "api.model.request");
    return route[2]({ ...call, params }, secret);
  }
  requireAdmin(call, secret);
  const { route, params } = routeOf(call, ADMIN_ROUTES);
  const [method, path, handler, takesQuery] = route;
  requireAdminScope(call);
  throttle(call, `${method} ${path}`);
  call.state.adminKey.lastUsedAtMs = call.nowMs;
  if (takesQuery === undefined) readQuery(call, NoQuery);
  return handler({ ...call, params });
}

// They are replaced when they change, never changed.
const knownSettings = new WeakMap<object, OpenAiSettings>();
function settingsOf({ settings }: SimContext): OpenAiSettings {
  const known = knownSettings.get(settings) ?? OpenAiSettings.parse(settings);
  knownSettings.set(settings, known);
  return known;
}

/** A simulated OpenAI organization, in memory. */
export function createOpenAi(options: OpenAiOptions = {}): SimVendor {
  const fresh = () => freshState(options.adminKey ?? ADMIN_KEY, options.organizationId ?? "org-simulated", Date.now());
  let state: OpenAiState = fresh();
  const answer = (req: SimRequest, sim: SimContext): SimResponse => {
    const settings = settingsOf(sim);
    try {
      return serve({ req, sim, state, settings, nowMs: sim.now(), params: {} });
    } catch (error) {
      if (error instanceof Refusal) return error.answer;
      throw error;
    }
  };
  return {
    name: "openai",
    settings: OpenAiSettings,
    handle(req, sim) {
      const response = answer(req, sim);
      return {
        ...response,
        headers: { "x-request-id": `req_${randomUUID().replaceAll("-", "")}`, ...response.headers },
      };
    },
    books: (sim, { secrets }) => openAiBooks(state, sim.now(), settingsOf(sim), secrets),
    control: (action, body, sim) => openAiControl(state, action, body, sim),
    reset() {
      state = fresh();
    },
  };
}

export const openAiEntry = {
  servers: ["openai"],
  async start(portOf) {
    const openai = await startVendorServer(createOpenAi({ adminKey: ADMIN_KEY }), { port: portOf("openai") });
    return { servers: { openai }, env: { OPENAI_BASE_URL: `${openai.url}/v1`, OPENAI_ADMIN_KEY: ADMIN_KEY } };
  },
} as const satisfies VendorEntry;
