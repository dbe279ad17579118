/** What a key opens: the models of its account, and nothing but those that are deployed. */
import { z } from "zod";
import { rateLimitsFor } from "./azure-catalog.ts";
import { settle } from "./azure-operations.ts";
import { settingsOf } from "./azure-settings.ts";
import { type Account, type AzureState, type Deployment, hostLabel, keyIsLive } from "./azure-state.ts";
import { offerOf } from "./azure-views.ts";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";

const refuse = (status: number, code: string, message: string, headers: Record<string, string> = {}): SimResponse => ({
  status,
  headers,
  body: { error: { code, message } },
});

const Chat = z.object({
  model: z.string().optional(),
  messages: z.array(z.object({ role: z.string() })).min(1),
  max_tokens: z.int().positive().optional(),
  max_completion_tokens: z.int().positive().optional(),
});

/** Answers a call to `/_data/{host label}/…`, which stands for the account's own address. */
export function handleData(state: AzureState, req: SimRequest, sim: SimContext): SimResponse {
  const now = sim.now();
  settle(state, now);
  const [, , label = "", ...rest] = req.path.split("/");
  const path = rest.join("/");
  const account = authenticate(state, req, sim, label);
  if (!("keys" in account)) return account;

  if (account.options.publicNetworkAccess === "Disabled") {
    return refuse(403, "403", "Public access is disabled. Please configure private endpoint.");
  }
  if (!isAllowedHere(account)) return refuse(403, "403", "Access denied due to Virtual Network/Firewall rules.");
  const wait = takeRequest(state, `account/${account.internalId}`, [{ renewalPeriod: 1, count: 30, weight: 1 }], now);
  if (wait > 0) return tooMany(wait);

  const isV1 = path.startsWith("openai/v1/");
  if (!isV1 && !req.query.get("api-version")) {
    sim.violation("a call outside /openai/v1/ needs api-version");
    return refuse(404, "404", "Resource not found");
  }
  const route = `${req.method} ${path}`;
  if (route === "GET openai/models" || route === "GET openai/v1/models") return listModels(account);
  if (route === "POST openai/v1/chat/completions") return chat(state, account, req, sim, null);
  const deployment = /^POST openai\/deployments\/([^/]+)\/chat\/completions$/.exec(route)?.[1];
  if (deployment !== undefined) return chat(state, account, req, sim, decodeURIComponent(deployment));
  sim.violation(`the simulator has no ${req.method} /${path}`);
  return refuse(404, "404", "Resource not found");
}

function authenticate(state: AzureState, req: SimRequest, sim: SimContext, label: string): Account | SimResponse {
  const denied = refuse(
    401,
    "401",
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key for an " +
      "active subscription and use a correct regional API endpoint for your resource.",
  );
  const key = state.keyBySecret.get(req.headers["api-key"] ?? "");
  if (key === undefined || hostLabel(key.account) !== label.toLowerCase()) return denied;
  const settings = settingsOf(sim);
  if (keyIsLive(state, key, sim.now(), settings)) return key.account;
  const barred = keyIsLive(state, key, sim.now(), { ...settings, local_auth_lag_ms: Number.POSITIVE_INFINITY });
  return barred
    ? refuse(403, "AuthenticationTypeDisabled", "Key based authentication is disabled for this resource.")
    : denied;
}

const Acls = z.object({ defaultAction: z.string(), ipRules: z.array(z.object({ value: z.string() })).optional() });

/** Every caller of the simulator comes from this machine. */
function isAllowedHere(account: Account): boolean {
  const acls = Acls.safeParse(account.options.networkAcls);
  if (!acls.success || acls.data.defaultAction !== "Deny") return true;
  return (acls.data.ipRules ?? []).some(({ value }) => value === "127.0.0.1" || value.startsWith("127.0.0.0/"));
}

function listModels(account: Account): SimResponse {
  const data = [...account.deployments.values()].map(({ model, createdAt }) => ({
    id: `${model.name}-${model.version}`,
    object: "model",
    status: "succeeded",
    created_at: Math.floor(createdAt / 1_000),
  }));
  return { status: 200, body: { object: "list", data } };
}

function chat(state: AzureState, account: Account, req: SimRequest, sim: SimContext, name: string | null): SimResponse {
  const parsed = Chat.safeParse(req.json);
  if (!parsed.success) return refuse(400, "BadRequest", z.prettifyError(parsed.error));
  const { model, max_tokens: wanted = 16, max_completion_tokens: output = wanted } = parsed.data;
  const deployment = account.deployments.get((name ?? model ?? "").toLowerCase());
  if (deployment === undefined || deployment.provisioningState !== "Succeeded") {
    const hint = "If you created the deployment within the last 5 minutes, please wait a moment and try again.";
    return refuse(404, "DeploymentNotFound", `The API deployment for this resource does not exist. ${hint}`);
  }
  if (deployment.paused) return refuse(423, "423", "The deployment is paused.");

  const inputTokens = Math.ceil(req.rawBody.length / 4);
  const left = spend(state, account, deployment, inputTokens + output, sim.now());
  if (left > 0) return tooMany(left);
  return { status: 200, body: completion(deployment, inputTokens, sim.now()) };
}

/** Requests and tokens are counted when they arrive, tokens by an estimate, each in windows of the deployment's own. */
function spend(state: AzureState, account: Account, deployment: Deployment, tokens: number, now: number): number {
  const { sku } = offerOf(deployment);
  const limits = sku ? rateLimitsFor(sku, deployment.sku.capacity) : [];
  const weighed = limits.map((limit) => ({ ...limit, weight: limit.key === "request" ? 1 : tokens }));
  return takeRequest(state, `deployment/${account.internalId}/${deployment.name.toLowerCase()}`, weighed, now);
}

interface Weighed {
  renewalPeriod: number;
  count: number;
  weight: number;
}

/** Counts a request against all of its windows, or against none; then it returns the seconds to wait. */
function takeRequest(state: AzureState, owner: string, limits: Weighed[], now: number): number {
  const windows = limits.map(({ renewalPeriod, count, weight }, i) => {
    const name = `${owner}/${i}`;
    const recent = (state.windows.get(name) ?? []).filter(({ at }) => at > now - renewalPeriod * 1_000);
    state.windows.set(name, recent);
    const used = recent.reduce((sum, entry) => sum + entry.weight, 0);
    const waitMs = (recent[0]?.at ?? now) + renewalPeriod * 1_000 - now;
    return { recent, weight, waitS: used + weight > count ? Math.max(1, Math.ceil(waitMs / 1_000)) : 0 };
  });
  const waitS = Math.max(0, ...windows.map((window) => window.waitS));
  if (waitS === 0) for (const { recent, weight } of windows) recent.push({ at: now, weight });
  return waitS;
}

const tooMany = (seconds: number) =>
  refuse(
    429,
    "429",
    "Requests to this resource have exceeded the call rate limit of your current OpenAI S0 pricing tier. " +
      `Please retry after ${seconds} seconds.`,
    { "retry-after": String(seconds) },
  );

function completion({ model }: Deployment, promptTokens: number, now: number) {
  return {
    id: `chatcmpl-${now.toString(36)}`,
    object: "chat.completion",
    created: Math.floor(now / 1_000),
    model: `${model.name}-${model.version}`,
    choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Simulated." } }],
    usage: { prompt_tokens: promptTokens, completion_tokens: 2, total_tokens: promptTokens + 2 },
  };
}
