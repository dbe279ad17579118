/** Speaks to a simulated OpenAI the way a caller does: over HTTP, with a bearer. */
import { type RunningVendor, startVendorServer } from "../src/core.ts";
import { createOpenAi } from "../src/openai.ts";
import type { OpenAiBooks } from "../src/openai-books.ts";

export const ADMIN_KEY = "sk-admin-SIMULATED-for-this-test";

// biome-ignore lint/suspicious/noExplicitAny: answers are picked apart by hand in tests, one field at a time.
type Json = any;
export interface Answer {
  status: number;
  body: Json;
  headers: Headers;
}

export interface TestOpenAi {
  server: RunningVendor;
  books(): OpenAiBooks;
  /** With the admin key; a string body is sent as it is. */
  admin(method: string, path: string, body?: unknown): Promise<Answer>;
  as(secret: string | null, method: string, path: string, body?: unknown): Promise<Answer>;
  project(name?: string): Promise<string>;
  /** A service account with its first key. */
  key(projectId: string, fields?: object): Promise<{ accountId: string; keyId: string; secret: string }>;
  chat(secret: string, model?: string): Promise<Answer>;
}

export async function startOpenAi(): Promise<TestOpenAi> {
  const server = await startVendorServer(createOpenAi({ adminKey: ADMIN_KEY }));
  const as: TestOpenAi["as"] = async (secret, method, path, body) => {
    const answer = await fetch(`${server.url}/v1${path}`, {
      method,
      headers: {
        ...(secret !== null && { authorization: `Bearer ${secret}` }),
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    return { status: answer.status, headers: answer.headers, body: await answer.json() };
  };
  const admin: TestOpenAi["admin"] = (method, path, body) => as(ADMIN_KEY, method, `/organization${path}`, body);
  return {
    server,
    books: () => server.books() as OpenAiBooks,
    admin,
    as,
    project: async (name = "kg-test") => (await admin("POST", "/projects", { name })).body.id,
    key: async (projectId, fields = {}) => {
      const { body } = await admin("POST", `/projects/${projectId}/service_accounts`, { name: "kg-a", ...fields });
      return { accountId: body.id, keyId: body.api_key?.id, secret: body.api_key?.value };
    },
    chat: (secret, model = "gpt-5-mini") =>
      as(secret, "POST", "/chat/completions", { model, messages: [{ role: "user", content: "hello" }] }),
  };
}
