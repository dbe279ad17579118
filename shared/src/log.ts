import pino, { type DestinationStream, type Logger } from "pino";
import { traceIds } from "./tracing.ts";

export type Log = Logger;

// Belt and braces: secrets are wrapped in `Secret`, which prints as [secret] by itself; these are the names under which
// a secret would appear if somebody logged a request or a vendor's answer as a whole.
const redacted = [
  "authorization",
  "api_key",
  "apiKey",
  "api_key_jwe",
  "admin_api_key",
  "claim_token",
  "password",
  "access_token",
  "token",
  "one_time_link",
  "client_secret",
  "private_key",
  "privateKeyData",
  "value",
  "key1",
  "key2",
  "secret",
];

/** JSON lines with a stable dotted event as message and ids as fields; secrets are cut out at any of three depths. */
export function createLog(
  options: { level: string; name: string },
  destination: DestinationStream = pino.destination(1),
): Log {
  return pino(
    {
      level: options.level,
      base: { app: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      mixin: traceIds,
      redact: { paths: redacted.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[secret]" },
      serializers: { error: errorFacts, err: errorFacts },
    },
    destination,
  );
}

/** What of an error may be logged: names, codes, facts and the stack, never the properties that libraries attach. */
function errorFacts(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { code, detail, facts } = error as { code?: unknown; detail?: unknown; facts?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(typeof detail === "string" ? { detail } : {}),
    ...(facts && typeof facts === "object" ? { facts } : {}),
    stack: error.stack,
    ...(error.cause ? { cause: errorFacts(error.cause) } : {}),
  };
}
