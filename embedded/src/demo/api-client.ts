import { setTimeout as sleep } from "node:timers/promises";
import { z } from "zod";

const Login = z.object({ access_token: z.string() });

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** Speaks KeyGate's public API, as any script would. */
export interface ApiClient {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Polls a job until its status is one of those named. @throws after a minute. */
  waitForJob(jobId: string, statuses: readonly string[]): Promise<Record<string, unknown>>;
}

const jobTimeoutMs = 120_000;

/** Signs in. @throws with the problem's words when that fails. */
export async function signIn(url: string, email: string, password: string): Promise<ApiClient> {
  let token: string | null = null;
  const call: ApiClient["call"] = async (method, path, body, headers = {}) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...headers,
        ...(token ? { authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? {} : JSON.parse(text) };
  };
  const login = await call("POST", "/api/v1/auth/login", { email, password });
  if (login.status !== 200) throw new Error(`Signing in failed: ${JSON.stringify(login.body)}`);
  token = Login.parse(login.body).access_token;
  return {
    call,
    async waitForJob(jobId, statuses) {
      const deadline = Date.now() + jobTimeoutMs;
      for (;;) {
        const { body } = await call("GET", `/api/v1/jobs/${jobId}`);
        if (statuses.includes(String(body.status))) return body;
        if (Date.now() > deadline)
          throw new Error(`Job ${jobId} is still ${body.status}: ${JSON.stringify(body.error)}`);
        await sleep(100);
      }
    },
  };
}
