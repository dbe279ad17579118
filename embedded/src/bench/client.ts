import { Agent, request } from "undici";
import { z } from "zod";

export interface BenchAnswer {
  status: number;
  body: unknown;
}

/** Calls the API over kept connections, with as little work of its own as it can. */
export interface BenchClient {
  signIn(admin: { email: string; password: string }): Promise<void>;
  call(method: "GET" | "POST", path: string, body?: unknown, prefer?: string): Promise<BenchAnswer>;
  /** The same, where anything but these statuses is a failure of the bench. */
  must(statuses: readonly number[], ...call: Parameters<BenchClient["call"]>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

const Login = z.object({ access_token: z.string() });

/** @param port asked for each call: the API may have been started anew. */
export function openClient(port: () => number): BenchClient {
  const agent = new Agent({ connections: 256, keepAliveTimeout: 2_000, headersTimeout: 120_000, bodyTimeout: 120_000 });
  let token = "";
  const call: BenchClient["call"] = async (method, path, body, prefer) => {
    const answer = await request(`http://127.0.0.1:${port()}/api/v1${path}`, {
      method,
      dispatcher: agent,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
        ...(prefer ? { prefer } : {}),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.statusCode, body: await answer.body.json() };
  };
  const must: BenchClient["must"] = async (statuses, ...args) => {
    const { status, body } = await call(...args);
    if (!statuses.includes(status))
      throw new Error(`${args[0]} ${args[1]} answered ${status}: ${JSON.stringify(body)}`);
    return body as Record<string, unknown>;
  };
  return {
    call,
    must,
    async signIn(admin) {
      token = Login.parse(await must([200], "POST", "/auth/login", admin)).access_token;
    },
    close: () => agent.close(),
  };
}

/** Registers so many developers and gives their ids. */
export async function addDevelopers(client: BenchClient, count: number, tag: string): Promise<string[]> {
  const ids: string[] = [];
  for (let index = 0; index < count; index++) {
    const name = `Bench ${tag} ${index}`;
    const { id } = await client.must([201, 200], "POST", "/developers", {
      name,
      email: `${tag}-${index}-${Date.now()}@bench.test`,
      team: `team ${index % 10}`,
    });
    ids.push(String(id));
  }
  return ids;
}
