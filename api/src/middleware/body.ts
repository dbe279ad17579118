import { KeyGateError } from "@keygate/shared/errors";
import type { Context, MiddlewareHandler } from "hono";
import type { Env } from "../env.ts";

export const bodyLimitBytes = 1024 * 1024;
// What is read of a body that is too large, and thrown away: a client that is still sending does not hear the answer.
const drainLimitBytes = 8 * bodyLimitBytes;
const deepest = 32;
const jsonType = /^application\/(?:[\w.-]+\+)?json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?$/i;

/** The body's bytes; bounded whatever `Content-Length` says or does not say. */
async function readBytes(c: Context<Env>, body: ReadableStream<Uint8Array>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  const declared = Number(c.req.header("content-length") ?? 0);
  if (declared > drainLimitBytes) throw new KeyGateError("request.too_large");
  try {
    for await (const chunk of body) {
      size += chunk.byteLength;
      if (size <= bodyLimitBytes) chunks.push(chunk);
      else if (size > drainLimitBytes) break;
    }
  } catch (cause) {
    throw new KeyGateError("request.malformed", { detail: "The body ended before it was complete.", cause });
  }
  if (size > bodyLimitBytes) throw new KeyGateError("request.too_large");
  return Buffer.concat(chunks);
}

function parseJson(bytes: Uint8Array): { text: string; value: unknown } {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return { text, value: JSON.parse(text) };
  } catch (error) {
    // The parser's own message quotes the body, which may hold a secret: only the place is told.
    const place = /(?:at position \d+|line \d+ column \d+)/.exec(error instanceof Error ? error.message : "")?.[0];
    throw new KeyGateError("request.malformed", {
      detail: `The body is not JSON in UTF-8${place ? ` (${place})` : ""}.`,
    });
  }
}

/** Why a text cannot be kept; Postgres refuses NUL in text, and both NUL and halves of characters in jsonb. */
export function textFault(text: string): string | null {
  if (text.includes("\0")) return "Must not contain NUL";
  return text.isWellFormed() ? null : "Must be valid Unicode";
}

/** What would fail only later, and worse: texts that the database cannot keep, depth that overflows the stack. */
function faultsOf(value: unknown): { field: string; message: string }[] {
  const faults: { field: string; message: string }[] = [];
  const open: { value: unknown; path: string[] }[] = [{ value, path: [] }];
  for (let next = open.pop(); next; next = open.pop()) {
    const field = next.path.join(".");
    if (typeof next.value === "string") {
      const message = textFault(next.value);
      if (message) faults.push({ field, message });
    } else if (typeof next.value === "object" && next.value !== null) {
      if (next.path.length >= deepest) return [{ field, message: `Nested deeper than ${deepest} levels` }];
      for (const [key, member] of Object.entries(next.value)) {
        if (key === "__proto__" || textFault(key)) faults.push({ field, message: "Unknown field" });
        open.push({ value: member, path: [...next.path, key] });
      }
    }
  }
  return faults;
}

/** Gives the text to everybody who asks Hono for the body; it keeps promises there, whatever its types say. */
function keepBody(c: Context<Env>, text: string): void {
  c.req.bodyCache.text = Promise.resolve(text) as unknown as string;
}

/**
 * Reads and checks the body before anybody else does: 413 over 1 MiB, 415 for anything but JSON, 400 for broken JSON,
 * 422 for content that the database could not keep. An empty body counts as `{}`.
 */
export function readBody(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { body } = c.req.raw;
    const isRead = c.req.bodyCache.text !== undefined;
    if (!body || isRead || c.req.method === "GET" || c.req.method === "HEAD") return next();
    const bytes = await readBytes(c, body);
    const type = c.req.header("content-type");
    if (bytes.byteLength === 0) {
      keepBody(c, type && jsonType.test(type) ? "{}" : "");
      return next();
    }
    if (!type || !jsonType.test(type)) throw new KeyGateError("request.unsupported_media_type");
    const { text, value } = parseJson(bytes);
    const errors = faultsOf(value);
    if (errors.length > 0) throw new KeyGateError("request.invalid", { errors: errors.slice(0, 20) });
    keepBody(c, text);
    return next();
  };
}

/** Query texts that the database cannot compare with: 422 instead of its error. */
export function checkQuery(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const errors = Object.entries(c.req.queries()).flatMap(([field, values]) =>
      values.flatMap((value) => {
        const message = textFault(value);
        return message ? [{ field: textFault(field) ? "" : field, message }] : [];
      }),
    );
    if (errors.length > 0) throw new KeyGateError("request.invalid", { errors });
    await next();
  };
}
