/** The part of OpenAI that a developer's key opens: the model list, chat completions, responses. */
import { z } from "zod";
import type { SimResponse } from "./core.ts";
import { missingScopes, type OpenAiCall, ok, readBody, refusal } from "./openai-call.ts";
import { kindOf, mayUse, rateLimitOf } from "./openai-models.ts";
import { type ApiKey, isLive, opaque, type Project, redacted, seconds, spentThisMonthCents } from "./openai-state.ts";

const ANSWER = "This is a simulated answer: no model was asked.";
const MINUTE = 60_000;
const DAY = 86_400_000;

// Inference bodies have many fields that change nothing here; what is read is checked, the rest may pass.
const ChatBody = z.looseObject({
  model: z.string().min(1),
  messages: z.array(z.looseObject({ role: z.string() })).min(1),
  stream: z.boolean().nullish(),
});
const ResponsesBody = z.looseObject({
  model: z.string().min(1),
  input: z.union([z.string(), z.array(z.unknown())]).optional(),
  stream: z.literal(false).nullish(),
});

interface Caller {
  key: ApiKey;
  project: Project;
}

/** The bearer of the request as a live project key; refused as the vendor refuses dead ones. */
function callerOf(call: OpenAiCall, secret: string): Caller {
  const key = call.state.keys.find((one) => one.secret === secret);
  const project = call.state.projects.find(({ id }) => id === key?.projectId);
  if (key === undefined || project === undefined || !isLive(key, call.nowMs, call.settings)) {
    throw refusal(401, `Incorrect API key provided: ${redacted(secret)}.`, { code: "invalid_api_key" });
  }
  return { key, project };
}

function requireScope(call: OpenAiCall, { key }: Caller, needed: string, alternatives: string[]): void {
  const account = call.state.accounts.find(({ id }) => id === key.serviceAccountId);
  const has =
    key.scopes.length === 0 || [needed, "api.all", ...alternatives].some((scope) => key.scopes.includes(scope));
  // A key can only narrow what its owner may do, and an account without a role may do nothing.
  if (account?.role === "none" || !has) throw missingScopes(403, needed);
}

const unknownModel = (status: 403 | 404, model: string, message: string) =>
  refusal(status, message.replace("%", `\`${model}\``), { code: "model_not_found" });

function requireModel(call: OpenAiCall, { project }: Caller, model: string): void {
  if (!call.settings.models.includes(model)) {
    throw unknownModel(404, model, "The model % does not exist or you do not have access to it.");
  }
  if (mayUse(project, model)) return;
  const message = `Project \`${project.id}\` does not have access to model %.`;
  throw unknownModel(call.settings.blocked_model_status, model, message);
}

function requireBudget({ state, nowMs }: OpenAiCall, { project }: Caller): void {
  const over = (cents: number | undefined, projectId: string | null) =>
    cents !== undefined && spentThisMonthCents(state, nowMs, projectId) >= cents;
  const stop = (whose: "project" | "organization") =>
    refusal(429, `The ${whose} has reached its spend limit.`, {
      type: "insufficient_quota",
      code: `${whose}_spend_limit_exceeded`,
    });
  if (over(project.spendLimit?.threshold_amount, project.id)) throw stop("project");
  if (over(state.organizationSpendLimit?.threshold_amount, null)) throw stop("organization");
}

/** Counts the call against the project's limits for the model; returns the headers that tell what is left. */
function requireRate(call: OpenAiCall, { project }: Caller, model: string, tokens: number): Record<string, string> {
  const { state, nowMs } = call;
  const { limits } = rateLimitOf(state, project, model);
  const name = `${project.id} ${model}`;
  const today = (state.inferenceCalls.get(name) ?? []).filter(({ atMs }) => nowMs - atMs < DAY);
  const thisMinute = today.filter(({ atMs }) => nowMs - atMs < MINUTE);
  const used = {
    max_requests_per_1_minute: thisMinute.length,
    max_tokens_per_1_minute: thisMinute.reduce((sum, one) => sum + one.tokens, 0),
    max_requests_per_1_day: today.length,
  };
  for (const [field, adding] of [
    ["max_requests_per_1_minute", 1],
    ["max_tokens_per_1_minute", tokens],
    ["max_requests_per_1_day", 1],
  ] as const) {
    const max = limits[field];
    if (max === undefined || used[field] + adding <= max) continue;
    throw refusal(429, `Rate limit reached for ${model} in project ${project.id} on ${field}: limit ${max}.`, {
      type: field.includes("tokens") ? "tokens" : "requests",
      code: "rate_limit_exceeded",
    });
  }
  state.inferenceCalls.set(name, [...today, { atMs: nowMs, tokens }]);
  const rpm = limits.max_requests_per_1_minute ?? 0;
  return {
    "x-ratelimit-limit-requests": String(rpm),
    "x-ratelimit-remaining-requests": String(rpm - used.max_requests_per_1_minute - 1),
  };
}

/** Everything between a request to a model and its answer. */
function admit(call: OpenAiCall, caller: Caller, model: string) {
  requireModel(call, caller, model);
  if (kindOf(model) !== "text") throw refusal(404, `${model} is not a model for this endpoint.`, { param: "model" });
  requireBudget(call, caller);
  const input = Math.ceil(call.req.rawBody.length / 4);
  const output = Math.ceil(ANSWER.length / 4);
  const headers = requireRate(call, caller, model, input + output);
  caller.key.lastUsedAtMs = call.nowMs;
  return { headers, input, output };
}

function chat(call: OpenAiCall, caller: Caller): SimResponse {
  requireScope(call, caller, "api.model.request", ["api.chat.completions.write"]);
  const body = readBody(call, ChatBody);
  const { headers, input, output } = admit(call, caller, body.model);
  const head = { id: `chatcmpl-${opaque(24)}`, created: seconds(call.nowMs), model: body.model };
  if (body.stream !== true) {
    const message = { role: "assistant", content: ANSWER, refusal: null, annotations: [] };
    const usage = { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
    const choices = [{ index: 0, message, logprobs: null, finish_reason: "stop" }];
    return { status: 200, headers, body: { ...head, object: "chat.completion", choices, usage } };
  }
  const chunk = (delta: object, finish_reason: string | null) =>
    `data: ${JSON.stringify({ ...head, object: "chat.completion.chunk", choices: [{ index: 0, delta, logprobs: null, finish_reason }] })}\n\n`;
  const text = `${chunk({ role: "assistant", content: ANSWER }, null)}${chunk({}, "stop")}data: [DONE]\n\n`;
  return { status: 200, headers: { ...headers, "content-type": "text/event-stream" }, text };
}

function responses(call: OpenAiCall, caller: Caller): SimResponse {
  requireScope(call, caller, "api.responses.write", ["api.model.request"]);
  const body = readBody(call, ResponsesBody);
  const { headers, input, output } = admit(call, caller, body.model);
  const content = [{ type: "output_text", text: ANSWER, annotations: [], logprobs: [] }];
  return {
    status: 200,
    headers,
    body: {
      id: `resp_${opaque(24)}`,
      object: "response",
      created_at: seconds(call.nowMs),
      status: "completed",
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      model: body.model,
      output: [{ type: "message", id: `msg_${opaque(24)}`, status: "completed", role: "assistant", content }],
      parallel_tool_calls: true,
      previous_response_id: null,
      store: false,
      temperature: 1,
      text: { format: { type: "text" } },
      tool_choice: "auto",
      tools: [],
      top_p: 1,
      truncation: "disabled",
      usage: {
        input_tokens: input,
        input_tokens_details: { cached_tokens: 0 },
        output_tokens: output,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: input + output,
      },
      metadata: {},
    },
  };
}

const viewModel = (id: string) => ({ id, object: "model", created: 1_750_000_000, owned_by: "openai" });

function listModels(call: OpenAiCall, caller: Caller): SimResponse {
  requireScope(call, caller, "api.model.read", ["api.all.read"]);
  caller.key.lastUsedAtMs = call.nowMs;
  const models = call.settings.models.filter((model) => mayUse(caller.project, model));
  return ok({ object: "list", data: models.map(viewModel) });
}

function getModel(call: OpenAiCall, caller: Caller): SimResponse {
  requireScope(call, caller, "api.model.read", ["api.all.read"]);
  const model = call.params.model ?? "";
  requireModel(call, caller, model);
  caller.key.lastUsedAtMs = call.nowMs;
  return ok(viewModel(model));
}

type Handler = (call: OpenAiCall, caller: Caller) => SimResponse;
const withCaller = (handler: Handler) => (call: OpenAiCall, secret: string) => handler(call, callerOf(call, secret));

/** Like the admin routes, with the bearer's secret as a second argument: these calls are made with a developer's key. */
export const inferenceRoutes = [
  ["GET", "/models", withCaller(listModels)],
  ["GET", "/models/{model}", withCaller(getModel)],
  ["POST", "/chat/completions", withCaller(chat)],
  ["POST", "/responses", withCaller(responses)],
] as const;
