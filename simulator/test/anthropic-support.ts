/** A running Anthropic and a plain way to call it. */
import { afterEach } from "vitest";
import { type AnthropicVendor, createAnthropic } from "../src/anthropic.ts";
import { type RunningVendor, startVendorServer } from "../src/core.ts";

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
}

interface CallOptions {
  body?: unknown;
  key?: string | null;
  headers?: Record<string, string>;
}

export interface Anthropic {
  server: RunningVendor;
  adminKey: string;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** As the Console does; throws when it would refuse. */
  // biome-ignore lint/suspicious/noExplicitAny: see above
  createKey(body: unknown): Promise<any>;
  // biome-ignore lint/suspicious/noExplicitAny: see above
  books(): any;
  /** Why the vendor thinks that the caller is at fault. */
  violations(): string[];
}

const running: RunningVendor[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
});

export async function startAnthropic(settings: Record<string, unknown> = {}): Promise<Anthropic> {
  const vendor: AnthropicVendor = createAnthropic();
  const server = await startVendorServer(vendor);
  running.push(server);
  server.mergeSettings(settings);
  return {
    server,
    adminKey: vendor.adminKey,
    async call(method, path, { body, key = vendor.adminKey, headers = {} } = {}) {
      const response = await fetch(`${server.url}${path}`, {
        method,
        headers: {
          "anthropic-version": "2026-10-21",
          ...(key !== null && { "x-api-key": key }),
          ...(body !== undefined && { "content-type": "application/json" }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, headers: response.headers, body: text === "" ? null : JSON.parse(text) };
    },
    createKey: async (body) => (await server.control("create_key", body))?.body,
    books: () => server.books(),
    violations: () => server.violations().map(({ reason }) => reason),
  };
}
