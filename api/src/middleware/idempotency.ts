import { createHash } from "node:crypto";
import type { Actor } from "@keygate/shared/db/audit";
import type { Tx } from "@keygate/shared/db/client";
import { idempotencyRows, type StoredResponse } from "@keygate/shared/db/idempotency";
import { KeyGateError } from "@keygate/shared/errors";
import type { Context, MiddlewareHandler } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { ApiDeps } from "../deps.ts";
import type { Env } from "../env.ts";

// Longer than any request waits (60 s), so that only one that died lets a second in.
const lockSeconds = 90;
const printable = /^[\x20-\x7e]{1,255}$/;
// What the contract allows to be null stays as null, so that a repeated answer still fits its schema.
const secretFields = new Map([
  ["api_key", null],
  ["claim_token", null],
  ["token", null],
  ["one_time_link", null],
  ["api_key_jwe", undefined],
  ["access_token", undefined],
]);

/** The answer as it may be kept: a key is handed out once, also to somebody who asks the same question twice. */
export function withoutSecrets(body: string): string {
  try {
    const hide = (name: string, value: unknown) => (secretFields.has(name) ? secretFields.get(name) : value);
    return JSON.stringify(JSON.parse(body, hide));
  } catch {
    return "";
  }
}

async function storable(response: Response): Promise<StoredResponse> {
  const kept = ["content-type", "location", "retry-after"];
  const headers = kept.flatMap((name) => {
    const value = response.headers.get(name);
    return value === null ? [] : [[name, value] as const];
  });
  const body = withoutSecrets(await response.clone().text());
  return { status: response.status, headers: Object.fromEntries(headers), body };
}

/** Keeps the answer in the transaction that has the effect. */
export type KeepAnswer<T> = (tx: Tx, result: T) => Promise<void>;

/**
 * For a verb whose effect happens once: a repeat gets the first answer, also when this process ends between its commit
 * and its answer, or does not hear that it committed.
 */
export function keepAnswer<T>(c: Context<Env>, viewOf: (result: T, tx: Tx) => unknown): KeepAnswer<T> {
  return async (tx, result) => {
    const { idempotency } = c.var;
    if (!idempotency) return;
    const body = withoutSecrets(JSON.stringify(await viewOf(result, tx)));
    const headers = { "content-type": "application/json" };
    await idempotencyRows(tx).finish(idempotency.actor, idempotency.key, { status: 200, headers, body });
  };
}

/** What may be otherwise a moment later: a repeat with the same key must be able to see that. */
const isPassing = (status: number) => status >= 500 || [401, 409, 429].includes(status);

function replay(c: Context<Env>, stored: StoredResponse): Response {
  return c.body(stored.body, stored.status as ContentfulStatusCode, stored.headers);
}

async function hashOf(c: Context<Env>): Promise<string> {
  const { pathname, search } = new URL(c.req.url);
  const text = `${c.req.method} ${pathname}${search}\n${await c.req.text()}`;
  return createHash("sha256").update(text).digest("hex");
}

/**
 * `Idempotency-Key` on POST: the same key and body within 24 h has one effect. A request that made a job answers for
 * that job as it is now (`existingJobId`); any other gets its first answer again, which those that make something keep
 * with what they make (`keepAnswer`). Runs behind `readBody`.
 */
export function idempotency(deps: ApiDeps): MiddlewareHandler<Env> {
  const rows = idempotencyRows(deps.db);

  const keep = async (c: Context<Env>, actor: string, key: string) => {
    try {
      if (isPassing(c.res.status)) await rows.release(actor, key);
      else await rows.finish(actor, key, await storable(c.res));
    } catch (error) {
      // The work is done and its answer is on the way; the lock runs out by itself.
      c.var.log.error({ error }, "idempotency.keep_failed");
    }
  };

  return async (c, next) => {
    c.set("idempotency", null);
    const key = c.req.header("idempotency-key");
    // A key is one user's or token's own; a claim without either happens once anyway.
    const by: Actor | undefined = c.var.actor;
    if (key === undefined || c.req.method !== "POST" || !by) return next();
    if (!printable.test(key)) {
      throw new KeyGateError("request.invalid", {
        errors: [{ field: "Idempotency-Key", message: "Must be 1 to 255 printable ASCII characters" }],
      });
    }
    const actor = by.id;
    const hash = await hashOf(c);
    const earlier = await rows.take(actor, key, hash, lockSeconds);
    if (earlier && earlier.request_hash !== hash) throw new KeyGateError("idempotency.mismatch");
    if (earlier?.isLocked && !earlier.response)
      throw new KeyGateError("idempotency.in_flight", { retryAfterMs: 1_000 });
    if (earlier?.job_id || earlier?.response) c.header("Idempotency-Replayed", "true");
    if (earlier?.response && !earlier.job_id) return replay(c, earlier.response);
    c.set("idempotency", { actor, key, existingJobId: earlier?.job_id ?? null });
    await next();
    await keep(c, actor, key);
  };
}
