import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";
import type { Lane } from "./lane.ts";

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export interface CallOptions {
  /** Makes a repeated POST one request, as a careful client does. */
  idempotencyKey?: string;
  /** Seconds to wait for the job; 0 does not wait at all. */
  waitSeconds?: number;
  /** Leaves the bearer token out: the claim token must do. */
  anonymous?: boolean;
}

/** A script that calls the API and does not give up because the service is away for a moment. */
export interface Client {
  /** Null when the service was away all the time. */
  call(method: string, path: string, body?: unknown, options?: CallOptions): Promise<Answer | null>;
}

const Login = z.object({ access_token: z.string() });
const requestTimeoutMs = 20_000;
const patienceMs = 60_000;

/** What passes by itself: nobody there, a part of the service is away, or an earlier try is still being answered. */
function isPassing({ status, body }: Answer): boolean {
  const code = String(body.code ?? "");
  return (status >= 500 && code.startsWith("service.")) || code === "idempotency.in_flight" || status === 429;
}

/** Signs in and returns the client. */
export async function signIn(lane: Lane): Promise<Client> {
  let token: string | null = null;
  const send = async (method: string, path: string, body: unknown, options: CallOptions): Promise<Answer> => {
    const { idempotencyKey, waitSeconds, anonymous } = options;
    const answer = await fetch(`${lane.url}/api/v1${path}`, {
      method,
      headers: {
        ...(token && !anonymous ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(idempotencyKey ? { "idempotency-key": idempotencyKey } : {}),
        ...(waitSeconds === undefined ? {} : { prefer: waitSeconds === 0 ? "respond-async" : `wait=${waitSeconds}` }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(requestTimeoutMs),
    });
    const text = await answer.text();
    const parsed: unknown = text === "" ? {} : JSON.parse(text);
    return { status: answer.status, body: Array.isArray(parsed) ? { items: parsed } : z.looseObject({}).parse(parsed) };
  };
  const client: Client = {
    async call(method, path, body, options = {}) {
      for (const deadline = Date.now() + patienceMs; Date.now() < deadline; await sleep(150)) {
        const answer = await send(method, path, body, options).catch(() => null);
        if (answer && !isPassing(answer)) return answer;
        // The lock of a request that died, or whose end the database never heard of, runs out in a minute and a half.
        if (answer?.body.code === "idempotency.in_flight") await lane.unlockRequests();
      }
      return null;
    },
  };
  const login = await client.call("POST", "/auth/login", lane.admin);
  if (login?.status !== 200) throw new Error(`Signing in failed: ${JSON.stringify(login)}`);
  token = Login.parse(login.body).access_token;
  return client;
}
