import { setTimeout as sleep } from "node:timers/promises";
import { KeyGateError } from "@keygate/shared/errors";
import { traced } from "@keygate/shared/tracing";
import { Agent, errors, request } from "undici";
import type { z } from "zod";
import { requireLease } from "../lease-watch.ts";
import type { Breaker } from "./breaker.ts";
import type { Limiter } from "./limiter.ts";

export interface VendorCall<T> {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  url: string;
  headers?: Record<string, string>;
  /** Sent as JSON. */
  body?: unknown;
  /** The kind of call that the vendor counts together when it throttles, like `POST projects`. */
  endpoint: string;
  /** What a successful answer must look like; anything else is `vendor.unexpected`. */
  expect: z.ZodType<T>;
}

export interface VendorReply<T> {
  status: number;
  headers: Record<string, string>;
  body: T;
}

/** An answer that was no success, as the vendor gave it: for the adapter's `errors.ts` to classify. */
export interface VendorRefusal {
  status: number;
  headers: Record<string, string>;
  /** Parsed JSON, or undefined for HTML and the like. */
  json: unknown;
  call: { method: string; endpoint: string };
}

export interface VendorHttp {
  /**
   * Makes one call, never a second one by itself.
   *
   * @throws KeyGateError: `vendor.throttled`, `vendor.unavailable` and `vendor.no_answer` by itself, anything else as
   * `classify` says.
   */
  call<T>(call: VendorCall<T>, classify: (refusal: VendorRefusal) => KeyGateError): Promise<VendorReply<T>>;
  /** Whether nobody waits for a turn there and the vendor has not slowed us down: for calls that can wait. */
  isIdle?(endpoint: string): boolean;
  close(): Promise<void>;
}

const replyBytesMax = 8 * 1024 * 1024;
/** A short wait for one's turn costs less than giving the job back. */
const inlineWaitMaxMs = 1_500;

// Nothing was sent: the vendor cannot have acted.
const unsentCodes = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
  "CERT_HAS_EXPIRED",
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
]);

const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : "";

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110), and OpenAI's `retry-after-ms`. */
export function retryAfterMsOf(headers: Record<string, string>, now = Date.now()): number | undefined {
  const precise = Number(headers["retry-after-ms"]);
  if (headers["retry-after-ms"] && Number.isFinite(precise)) return Math.min(Math.max(0, precise), 3_600_000);
  const text = headers["retry-after"]?.trim();
  if (!text) return undefined;
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now;
  return Number.isFinite(ms) ? Math.min(Math.max(0, ms), 3_600_000) : undefined;
}

export interface VendorHttpOptions {
  /** For traces. */
  vendor?: string;
  timeoutMs: number;
  limiter: Limiter;
  breaker: Breaker;
  /** Told of every call: ids and durations, never bodies. */
  onCall?(call: {
    method: string;
    endpoint: string;
    status: number | null;
    durationMs: number;
    requestId: string | null;
  }): void;
  onHealth?(isAnswering: boolean): void;
}

/** One vendor's way out: bounded in time and size, no redirects, no retries, paced and behind a circuit breaker. */
export function createVendorHttp(options: VendorHttpOptions): VendorHttp {
  const agent = new Agent({
    connect: { timeout: Math.min(10_000, options.timeoutMs) },
    headersTimeout: options.timeoutMs,
    bodyTimeout: options.timeoutMs,
    // More than a worker's places at a vendor, so that a call waits for the vendor and never for a connection.
    connections: 128,
    // Below the idle time-outs that servers use, so that a call is rarely sent on a connection that is being closed.
    keepAliveTimeout: 3_000,
    maxResponseSize: replyBytesMax,
  });

  const waiting = new Map<string, number>();
  const countWaiting = (endpoint: string, change: number) =>
    waiting.set(endpoint, (waiting.get(endpoint) ?? 0) + change);

  async function takeTurn(endpoint: string): Promise<void> {
    const deadline = performance.now() + inlineWaitMaxMs;
    for (;;) {
      const waitMs = options.limiter.reserve(endpoint);
      if (waitMs === 0) return;
      if (performance.now() + waitMs > deadline) {
        throw new KeyGateError("vendor.throttled", {
          detail: "Waiting for our turn: the vendor limits how many calls we may make.",
          retryAfterMs: waitMs + Math.random() * Math.min(5_000, waitMs),
          nothingHappened: true,
          facts: { endpoint },
        });
      }
      countWaiting(endpoint, 1);
      await sleep(waitMs + Math.random() * 20);
      countWaiting(endpoint, -1);
    }
  }

  /** Asked right before the call: the breaker lets one call through to see, and has to hear what came of that very call. */
  function refuseWhileOpen(endpoint: string): void {
    const blockedMs = options.breaker.blockedForMs();
    if (blockedMs === 0) return;
    throw new KeyGateError("vendor.unavailable", {
      detail: "The vendor has not been answering; waiting before the next try.",
      retryAfterMs: blockedMs + Math.random() * 1_000,
      nothingHappened: true,
      facts: { endpoint, breaker: "open" },
    });
  }

  async function send<T>(
    call: VendorCall<T>,
  ): Promise<{ status: number; headers: Record<string, string>; text: string }> {
    const reply = await request(call.url, {
      method: call.method,
      dispatcher: agent,
      headers: {
        accept: "application/json",
        ...(call.body === undefined ? {} : { "content-type": "application/json" }),
        ...call.headers,
      },
      ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      signal: AbortSignal.timeout(options.timeoutMs),
    });
    const headers = Object.fromEntries(
      Object.entries(reply.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(", ") : (value ?? ""),
      ]),
    );
    return { status: reply.statusCode, headers, text: await reply.body.text() };
  }

  // The vendor is not told of the trace: it is none of theirs. The address is left out for the ids in it.
  function sendTraced<T>(call: VendorCall<T>): ReturnType<typeof send> {
    const { method, endpoint, url } = call;
    const facts = { "keygate.vendor": options.vendor, "http.request.method": method, "keygate.endpoint": endpoint };
    const name = endpoint.startsWith(`${method} `) ? endpoint : `${method} ${endpoint}`;
    return traced(
      name,
      { kind: "client", facts: { ...facts, "server.address": new URL(url).hostname } },
      async (span) => {
        const reply = await send(call);
        span.set({ "http.response.status_code": reply.status });
        if (reply.status >= 400) span.fail(String(reply.status));
        return reply;
      },
    );
  }

  const parse = (text: string): unknown => {
    try {
      return text === "" ? undefined : JSON.parse(text);
    } catch {
      return undefined;
    }
  };

  return {
    async call(call, classify) {
      await takeTurn(call.endpoint);
      requireLease();
      refuseWhileOpen(call.endpoint);
      const begun = performance.now();
      let reply: Awaited<ReturnType<typeof send>>;
      try {
        reply = await sendTraced(call);
      } catch (cause) {
        options.breaker.onFailure();
        options.onHealth?.(false);
        const { method, endpoint } = call;
        options.onCall?.({ method, endpoint, status: null, durationMs: performance.now() - begun, requestId: null });
        throw failureOf(call, cause);
      }
      const { status, headers, text } = reply;
      options.onCall?.({
        method: call.method,
        endpoint: call.endpoint,
        status,
        durationMs: performance.now() - begun,
        requestId: headers["x-request-id"] ?? headers["request-id"] ?? headers["x-ms-request-id"] ?? null,
      });
      if (status >= 500) options.breaker.onFailure();
      else options.breaker.onSuccess();
      options.onHealth?.(status < 500);
      const refusal: VendorRefusal = {
        status,
        headers,
        json: parse(text),
        call: { method: call.method, endpoint: call.endpoint },
      };
      if (status >= 200 && status < 300) {
        options.limiter.onSuccess(call.endpoint);
        const checked = call.expect.safeParse(refusal.json);
        if (checked.success) return { status, headers, body: checked.data };
        // The call worked, but what it did cannot be told: look before trying again. The answer itself may hold a secret.
        throw new KeyGateError("vendor.unexpected", {
          detail: "The vendor answered in a shape that its documentation does not have.",
          facts: {
            ...refusal.call,
            status,
            paths: checked.error.issues.slice(0, 5).map((issue) => issue.path.join(".")),
          },
        });
      }
      const error = classify(refusal);
      if (error.kind === "rate_limited") {
        const waitMs = options.limiter.onThrottled(call.endpoint, error.retryAfterMs);
        throw new KeyGateError(error.code, {
          ...(error.detail ? { detail: error.detail } : {}),
          retryAfterMs: waitMs,
          nothingHappened: true,
          facts: error.facts,
        });
      }
      throw error;
    },
    isIdle: (endpoint) => (waiting.get(endpoint) ?? 0) === 0 && options.limiter.isAtFullSpeed(endpoint),
    close: () => agent.destroy(),
  };
}

function failureOf(call: { method: string; endpoint: string }, cause: unknown): KeyGateError {
  const code = codeOf(cause) || codeOf((cause as { cause?: unknown } | null)?.cause);
  const facts = { method: call.method, endpoint: call.endpoint, code };
  if (unsentCodes.has(code)) {
    return new KeyGateError("vendor.unavailable", {
      detail: `The vendor could not be reached (${code}).`,
      nothingHappened: true,
      facts,
    });
  }
  const isTimeout =
    cause instanceof errors.HeadersTimeoutError ||
    cause instanceof errors.BodyTimeoutError ||
    (cause instanceof Error && cause.name === "TimeoutError");
  return new KeyGateError("vendor.no_answer", {
    detail: isTimeout ? "The vendor did not answer in time." : "The connection to the vendor broke before it answered.",
    facts,
  });
}
