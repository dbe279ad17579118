/** A small client for the simulated Azure, and the calls that most tests make. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import { type RunningAzure, startAzure } from "../src/azure.ts";
import type { AzureBooks } from "../src/azure-books.ts";

export interface Answer {
  status: number;
  headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads deep into bodies and fails where they differ
  body: any;
}

export const VERSION = "2026-03-01";

export const S0_ACCOUNT = {
  kind: "OpenAI",
  sku: { name: "S0" },
  location: "swedencentral",
  properties: { disableLocalAuth: false },
};

export const gpt4o = (capacity: number) => ({
  sku: { name: "GlobalStandard", capacity },
  properties: {
    model: { format: "OpenAI", name: "gpt-4o", version: "2024-11-20" },
    versionUpgradeOption: "NoAutoUpgrade",
  },
});

export interface AzureClient {
  azure: RunningAzure;
  /** The path of an account, or of something below it. */
  account(name: string, below?: string): string;
  provider(below: string): string;
  deleted(name: string): string;
  arm(
    method: string,
    path: string,
    body?: unknown,
    more?: { token?: string; version?: string | null },
  ): Promise<Answer>;
  /** An account that is ready, its endpoint and its keys. */
  ready(name: string, more?: object): Promise<{ endpoint: string; key1: string; key2: string }>;
  settled(name: string): Promise<Answer>;
  data(url: string, key: string, body?: unknown): Promise<Answer>;
  set(settings: Record<string, unknown>): void;
  books(): AzureBooks;
  violations(): string[];
}

/** Starts a simulated Azure for a test file; each test begins with an empty one. */
export function useAzure(): AzureClient {
  let azure: RunningAzure;
  let token = "";

  const client: AzureClient = {
    get azure() {
      return azure;
    },
    account: (name, below = "") =>
      `/subscriptions/${azure.place.subscriptionId}/resourceGroups/keygate/providers/Microsoft.CognitiveServices/accounts/${name}${below}`,
    provider: (below) => `/subscriptions/${azure.place.subscriptionId}/providers/Microsoft.CognitiveServices${below}`,
    deleted: (name) => client.provider(`/locations/swedencentral/resourceGroups/keygate/deletedAccounts/${name}`),
    async arm(method, path, body, more = {}) {
      const url = new URL(path, azure.arm.url);
      const version = more.version === undefined ? VERSION : more.version;
      if (version !== null && !url.searchParams.has("api-version")) url.searchParams.set("api-version", version);
      return read(
        await fetch(url, {
          method,
          headers: {
            authorization: `Bearer ${more.token ?? token}`,
            ...(body !== undefined && { "content-type": "application/json" }),
          },
          ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
        }),
      );
    },
    async ready(name, more = {}) {
      const put = await client.arm("PUT", client.account(name), { ...S0_ACCOUNT, ...more });
      expect(put.status).toBe(201);
      const account = await client.settled(name);
      const keys = await client.arm("POST", client.account(name, "/listKeys"));
      return { endpoint: account.body.properties.endpoint, ...keys.body };
    },
    async settled(name) {
      azure.arm.advanceClock(60_000);
      const account = await client.arm("GET", client.account(name));
      expect(account.body.properties?.provisioningState).toBe("Succeeded");
      return account;
    },
    async data(url, key, body) {
      return read(
        await fetch(url, {
          headers: { "api-key": key, ...(body !== undefined && { "content-type": "application/json" }) },
          ...(body !== undefined && { method: "POST", body: JSON.stringify(body) }),
        }),
      );
    },
    set: (settings) => void azure.arm.mergeSettings(settings),
    books: () => azure.arm.books() as AzureBooks,
    violations: () => azure.arm.violations().map(({ reason }) => reason),
  };

  beforeAll(async () => {
    azure = await startAzure();
    token = azure.tokens.issue(azure.credential, azure.arm.url, Date.now() + 30 * 24 * 3_600_000, 3_600);
  });
  afterEach(() => azure.arm.reset());
  afterAll(() => azure.close());
  return client;
}

async function read(response: Response): Promise<Answer> {
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? undefined : JSON.parse(text) };
}

export const sha256 = (secret: string) => createHash("sha256").update(secret).digest("hex");
