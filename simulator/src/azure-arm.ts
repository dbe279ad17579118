/** The way of every call to the simulated Azure Resource Manager, before and after what it is about. */
import { z } from "zod";
import type { TokenBook } from "./azure-entra.ts";
import { ArmError, malformed } from "./azure-errors.ts";
import { settle } from "./azure-operations.ts";
import { ACTIONS, type AzureSettings, type Right, settingsOf } from "./azure-settings.ts";
import { type AzureState, newId } from "./azure-state.ts";
import { takeToken } from "./azure-throttle.ts";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";

export interface ArmCall<B = unknown> {
  state: AzureState;
  settings: AzureSettings;
  req: SimRequest;
  /** What stood in the path, decoded. */
  params: Record<string, string>;
  body: B;
  /** How the caller reaches the simulator. */
  baseUrl: string;
  now(): number;
}

interface RouteSpec<B> {
  /** Empty: the operation's address carries its own signature and version. */
  versions: readonly string[];
  /** The first version that has it. */
  since?: string;
  right: Right | null;
  body?: z.ZodType<B>;
  /** Query parameters besides `api-version`. */
  query?: readonly string[];
  /** Reads that a POST performs are not stopped by a lock or by a missing group. */
  ignores?: readonly ("lock" | "group" | "registration")[];
  handle(call: ArmCall<B>): SimResponse | Promise<SimResponse>;
}

export interface ArmRoute extends RouteSpec<unknown> {
  method: string;
  path: RegExp;
}

/** A route of ARM. `path` has its parameters in braces, and is matched without regard to case. */
export function route<B = undefined>(method: string, path: string, spec: RouteSpec<B>): ArmRoute {
  const pattern = path
    .split("/")
    .map((part) => part.replace(/^\{(\w+)\}$/, "(?<$1>[^/]+)").replace(/^\$/, "\\$"))
    .join("/");
  // The handler's body type is what its own schema gives, and it is called with nothing else.
  return { ...(spec as RouteSpec<unknown>), method, path: new RegExp(`^${pattern}$`, "i") };
}

/** The caller that ARM's refusals name. */
export interface Principal {
  clientId: string;
  objectId: string;
}

/** Answers one call, with ARM's own headers. */
export async function handleArm(
  routes: readonly ArmRoute[],
  state: AzureState,
  tokens: TokenBook,
  principal: Principal,
  req: SimRequest,
  sim: SimContext,
): Promise<SimResponse> {
  const headers: Record<string, string> = {
    "x-ms-request-id": newId(),
    "x-ms-correlation-request-id": newId(),
    "strict-transport-security": "max-age=31536000; includeSubDomains",
    "cache-control": "no-cache",
  };
  try {
    settle(state, sim.now());
    authenticate(tokens, req, sim.now());
    const { found, params } = findRoute(routes, req);
    checkSubscription(state, params);
    checkVersion(found, req.query);
    Object.assign(headers, takeToken(state, settingsOf(sim).throttling, req.method, sim.now()));
    authorize(found, principal, req, settingsOf(sim));
    checkScope(found, state, params, req, settingsOf(sim));
    const call: ArmCall = {
      state,
      settings: settingsOf(sim),
      req,
      params,
      body: readBody(found, req),
      baseUrl: `http://${req.headers.host}`,
      now: () => sim.now(),
    };
    const answer = await found.handle(call);
    return { ...answer, headers: { ...headers, ...answer.headers } };
  } catch (error) {
    if (!(error instanceof ArmError)) throw error;
    if (error.isViolation) sim.violation(error.message);
    const answer = error.response();
    return { ...answer, headers: { ...headers, ...answer.headers } };
  }
}

function authenticate(tokens: TokenBook, req: SimRequest, now: number): void {
  const token = /^Bearer (\S+)$/i.exec(req.headers.authorization ?? "")?.[1];
  const refuse = (code: string, message: string) =>
    new ArmError(
      401,
      { code, message },
      {
        headers: { "www-authenticate": 'Bearer error="invalid_token"' },
        isViolation: code === "AuthenticationFailed",
      },
    );
  if (token === undefined) {
    throw refuse("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.");
  }
  const verdict = tokens.check(token, now);
  if (verdict === "expired") throw refuse("ExpiredAuthenticationToken", "The access token expiry has passed.");
  if (verdict === "unknown") throw refuse("InvalidAuthenticationToken", "The access token is invalid.");
}

function findRoute(routes: readonly ArmRoute[], req: SimRequest): { found: ArmRoute; params: Record<string, string> } {
  const matching = routes.filter(({ path }) => path.test(req.path));
  const found = matching.find(({ method }) => method === req.method);
  if (found === undefined) {
    if (matching.length > 0) throw malformed("MethodNotAllowed", `There is no ${req.method} ${req.path}.`, 405);
    throw malformed("InvalidResourceType", `The resource type of '${req.path}' could not be found.`, 404);
  }
  const groups = found.path.exec(req.path)?.groups ?? {};
  try {
    const params = Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]);
    return { found, params: Object.fromEntries(params) };
  } catch {
    throw malformed("InvalidRequestUri", "The path is not percent-encoded correctly.");
  }
}

function checkSubscription(state: AzureState, { subscription = "" }: Record<string, string>): void {
  if (subscription.toLowerCase() === state.place.subscriptionId.toLowerCase()) return;
  const message = `The subscription '${subscription}' could not be found.`;
  throw new ArmError(404, { code: "SubscriptionNotFound", message });
}

function checkVersion({ versions, since, query: known = [] }: ArmRoute, query: URLSearchParams): void {
  if (versions.length === 0) return;
  const version = query.get("api-version");
  if (!version) {
    const message = "The api-version query parameter (?api-version=) is required for all requests.";
    throw malformed("MissingApiVersionParameter", message);
  }
  if (!versions.includes(version) || (since !== undefined && version < since)) {
    const supported = versions.filter((one) => since === undefined || one >= since).join(", ");
    const message = `No registered resource provider found for API version '${version}'. Supported: ${supported}.`;
    throw malformed("NoRegisteredProviderFound", message);
  }
  for (const name of query.keys()) {
    if (name === "api-version" || known.includes(name)) continue;
    throw malformed("InvalidRequestParameter", `The query parameter '${name}' is not known here.`);
  }
}

function authorize({ right }: ArmRoute, { clientId, objectId }: Principal, req: SimRequest, s: AzureSettings): void {
  if (right === null || !s.missing_roles.includes(right)) return;
  throw new ArmError(403, {
    code: "AuthorizationFailed",
    message:
      `The client '${clientId}' with object id '${objectId}' does not have authorization to perform action ` +
      `'${ACTIONS[right]}' over scope '${req.path}' or the scope is invalid. ` +
      "If access was recently granted, please refresh your credentials.",
  });
}

function checkScope(
  { ignores = [] }: ArmRoute,
  state: AzureState,
  { group }: Record<string, string>,
  req: SimRequest,
  settings: AzureSettings,
): void {
  const known = state.place.resourceGroups.map((name) => name.toLowerCase());
  if (group !== undefined && !ignores.includes("group") && !known.includes(group.toLowerCase())) {
    const message = `Resource group '${group}' could not be found.`;
    throw new ArmError(404, { code: "ResourceGroupNotFound", message });
  }
  if (!settings.registered && !ignores.includes("registration")) {
    const message = "The subscription is not registered to use namespace 'Microsoft.CognitiveServices'.";
    const code = "MissingSubscriptionRegistration";
    const details = [{ code, target: "Microsoft.CognitiveServices", message }];
    const help = "See https://aka.ms/rps-not-found for how to register subscriptions.";
    throw new ArmError(409, { code, message: `${message} ${help}`, details });
  }
  if (group === undefined || ignores.includes("lock")) return;
  // A ReadOnly lock stops every POST too, so also those that only read, like listKeys.
  const stopped = { none: [], CanNotDelete: ["DELETE"], ReadOnly: ["DELETE", "PUT", "PATCH", "POST"] }[settings.lock];
  if (!(stopped as string[]).includes(req.method)) return;
  const verb = req.method === "DELETE" ? "delete" : "write";
  throw new ArmError(409, {
    code: "ScopeLocked",
    message:
      `The scope '${req.path}' cannot perform ${verb} operation because following scope(s) are locked: ` +
      `'/subscriptions/${state.place.subscriptionId}/resourceGroups/${group}'. Please remove the lock and try again.`,
  });
}

function readBody({ body }: ArmRoute, req: SimRequest): unknown {
  if (body === undefined) {
    if (req.rawBody === "") return undefined;
    throw malformed("InvalidRequestContent", `A ${req.method} of this resource takes no body.`);
  }
  if (req.rawBody !== "" && !(req.headers["content-type"] ?? "").startsWith("application/json")) {
    throw malformed("UnsupportedMediaType", "The content type must be application/json.", 415);
  }
  const parsed = req.jsonError ? null : body.safeParse(req.json);
  if (parsed?.success) return parsed.data;
  const why = parsed === null ? "it is not JSON" : z.prettifyError(parsed.error).replaceAll("\n", " ");
  throw malformed("InvalidRequestContent", `The request content was invalid and could not be deserialized: ${why}`);
}
