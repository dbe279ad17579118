/** Reading requests and writing answers, whole or cut in half. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { SimRequest, SimResponse } from "./vendor.ts";

const BODY_BYTES_MAX = 10 * 1024 * 1024;

/** Reads a request to its end. Rejects when the client goes before, or sends more than 10 MiB. */
export async function readRequest(incoming: IncomingMessage): Promise<SimRequest> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw new Error("the body is too large");
    chunks.push(chunk);
  }
  const rawBody = Buffer.concat(chunks).toString("utf8");
  const url = new URL(incoming.url ?? "/", "http://simulator");
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(", ") : value;
  }
  return {
    method: incoming.method ?? "GET",
    path: url.pathname,
    query: url.searchParams,
    headers,
    rawBody,
    ...parseJson(rawBody),
  };
}

function parseJson(text: string): { json: unknown; jsonError: boolean } {
  if (text === "") return { json: undefined, jsonError: false };
  try {
    return { json: JSON.parse(text), jsonError: false };
  } catch {
    return { json: undefined, jsonError: true };
  }
}

/** Parameters through which some vendors accept a credential. */
const SECRET_PARAMETER =
  /^(key|api[-_]?key|subscription-key|access_token|token|client_secret|client_assertion|sig|code)$/i;

/** The query for the log: nothing in it can be used to log in. */
export function redactedQuery(query: URLSearchParams): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const name of new Set(query.keys())) {
    shown[name] = SECRET_PARAMETER.test(name) ? "[secret]" : query.getAll(name).join(",");
  }
  return shown;
}

function writeHead(res: ServerResponse, answer: SimResponse): Buffer {
  const bare = answer.status === 204 || answer.status === 304;
  const text = bare ? "" : (answer.text ?? (answer.body === undefined ? "" : JSON.stringify(answer.body)));
  const bytes = Buffer.from(text);
  const named = Object.fromEntries(Object.entries(answer.headers ?? {}).map(([k, v]) => [k.toLowerCase(), v]));
  res.writeHead(answer.status, {
    ...(answer.text === undefined && bytes.length > 0 && { "content-type": "application/json" }),
    ...(!bare && { "content-length": String(bytes.length) }),
    ...named,
  });
  return bytes;
}

const written = (res: ServerResponse, bytes: Buffer) =>
  new Promise<void>((resolve, reject) => res.write(bytes, (error) => (error ? reject(error) : resolve())));

/** Sends an answer. Resolves when it is handed to the network or the client has gone. */
export async function respond(res: ServerResponse, answer: SimResponse): Promise<void> {
  if (res.destroyed) return;
  const done = new Promise<void>((resolve) => {
    res.once("finish", resolve);
    res.once("close", resolve);
  });
  res.end(writeHead(res, answer));
  await done;
}

/**
 * Sends headers that promise the whole body, and the first half of it. The function it returns sends the rest.
 * An answer without a body has no middle: nothing is sent until the rest is.
 */
export async function respondHalf(res: ServerResponse, answer: SimResponse): Promise<() => Promise<void>> {
  if (res.destroyed) return async () => {};
  if (!hasBody(answer)) return () => respond(res, answer);
  const bytes = writeHead(res, answer);
  const middle = Math.ceil(bytes.length / 2);
  await written(res, bytes.subarray(0, middle));
  return async () => {
    if (res.destroyed) return;
    res.end(bytes.subarray(middle));
  };
}

function hasBody(answer: SimResponse): boolean {
  if (answer.status === 204 || answer.status === 304) return false;
  return answer.text === undefined ? answer.body !== undefined : answer.text !== "";
}
