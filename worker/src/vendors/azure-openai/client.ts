import { randomUUID } from "node:crypto";
import { KeyGateError } from "@keygate/shared/errors";
import { oneFor } from "@keygate/shared/one-for";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import { retryAfterMsOf, type VendorHttp, type VendorReply } from "../http.ts";
import { classifyArm, isGone, isStatus, readArmError } from "./errors.ts";
import type { AzureTokens } from "./identity.ts";
import {
  Account,
  type AzureDeployment,
  type AzureOffer,
  DeletedAccount,
  Deployment,
  Keys,
  Lock,
  Offer,
  Operation,
  Permission,
  Provider,
  Usage,
} from "./schemas.ts";
import { type AzureSettings, normalLocation } from "./settings.ts";
import { createTurnstile } from "./turnstile.ts";

/** Where an account stands. All that is needed to find it again, whatever the configuration says by then. */
export interface AccountPlace {
  subscriptionId: string;
  resourceGroup: string;
  name: string;
}

export type KeySlot = "Key1" | "Key2";
export type AzureKeys = Record<KeySlot, Secret>;
/** Capacity, or accounts, of which a subscription has so many. */
export type Pools = ReadonlyMap<string, { used: number; limit: number }>;

/** What began and goes on after its answer. */
export interface StartedOperation {
  /** Where it can be asked about; null when Azure did not say. */
  operationUrl: string | null;
  /** How long Azure wants to be left alone between two looks, if it said so. */
  paceMs?: number;
}

export type AzureClient = ReturnType<typeof createAzureClient>;

const pagesMax = 200;
const atOnceMax = 5;
// Signed, and about 4 KB long: followed byte for byte or not at all.
const operationUrlMax = 16_384;
/** How long after a PUT a "not found" may still be wrong. Not published; a minute is what DNS of a new account takes. */
export const azureSettleMs = 60_000;
// A look that is later than this helps nobody.
const paceMaxMs = 60_000;
const managementVersion = "2021-04-01";
const anything = z.unknown();
const seg = encodeURIComponent;
// A schema is compiled when it is first used: each is made once.
const pageOf = oneFor(<T>(item: z.ZodType<T>) =>
  z.object({ value: z.array(item).nullish(), nextLink: z.string().nullish() }),
);

interface Connection {
  http: VendorHttp;
  tokens: AzureTokens;
  settings: AzureSettings;
  settleMs: number;
}

/** Speaks HTTP with Azure's Resource Manager. Every call is made once; lists are read to their end. */
export function createAzureClient({ http, tokens, settings, settleMs }: Connection) {
  const { resourceManagerUrl: baseUrl, apiVersion } = settings;
  const origin = new URL(baseUrl).origin;
  const turnstile = createTurnstile(atOnceMax);
  const subscription = (id = settings.subscriptionId) => `/subscriptions/${seg(id)}`;
  const group = (place: Omit<AccountPlace, "name">) =>
    `${subscription(place.subscriptionId)}/resourceGroups/${seg(place.resourceGroup)}`;
  const provider = (id?: string) => `${subscription(id)}/providers/Microsoft.CognitiveServices`;
  const pathOf = (place: AccountPlace) =>
    `${group(place)}/providers/Microsoft.CognitiveServices/accounts/${seg(place.name)}`;
  const deploymentPath = (place: AccountPlace, name: string) => `${pathOf(place)}/deployments/${seg(name)}`;
  const deletedPath = (place: AccountPlace, location: string) =>
    `${provider(place.subscriptionId)}/locations/${seg(location)}/resourceGroups/${seg(place.resourceGroup)}` +
    `/deletedAccounts/${seg(place.name)}`;
  const locationPath = (location: string) => `${provider()}/locations/${seg(location)}`;
  const versioned = (path: string, version = apiVersion) => `${baseUrl}${path}?api-version=${version}`;

  type Method = "GET" | "PUT" | "POST" | "DELETE";
  // Azure counts reads, writes and deletes, whatever they are about; a POST that only reads is a write to it.
  const kinds = { GET: "reads", PUT: "writes", POST: "writes", DELETE: "deletes" } as const;

  async function send<T>(
    method: Method,
    url: string,
    what: string,
    expect: z.ZodType<T>,
    body?: unknown,
  ): Promise<VendorReply<T>> {
    const once = (token: string) =>
      http.call(
        {
          method,
          url,
          endpoint: kinds[method],
          expect,
          headers: { authorization: `Bearer ${token}`, "x-ms-client-request-id": randomUUID() },
          ...(body === undefined ? {} : { body }),
        },
        classifyArm(what),
      );
    return turnstile(async () => {
      const token = await tokens.get();
      try {
        return await once(token);
      } catch (error) {
        // Refused at the door, so nothing was done: one new token, then the credential is what is wrong.
        if (!isStatus(error, 401)) throw error;
        tokens.drop(token);
        return once(await tokens.get());
      }
    });
  }

  const get = async <T>(path: string, what: string, expect: z.ZodType<T>, version?: string) =>
    (await send("GET", versioned(path, version), what, expect)).body;

  async function list<T>(path: string, what: string, item: z.ZodType<T>, version?: string): Promise<T[]> {
    const items: T[] = [];
    let url: string | null = versioned(path, version);
    for (let page = 0; url && page < pagesMax; page++) {
      const { body: answer }: VendorReply<{ value?: T[] | null | undefined; nextLink?: string | null | undefined }> =
        await send("GET", url, what, pageOf(item));
      items.push(...(answer.value ?? []));
      url = answer.nextLink || null;
      // It would be sent our token.
      if (url && (!URL.canParse(url) || new URL(url).origin !== origin)) {
        throw endless(what, "goes on at another address");
      }
    }
    if (url) throw endless(what, `did not end within ${pagesMax} pages`);
    return items;
  }
  /** An address that the answer gave, if our token may be sent there. */
  const ownAddress = (url: string | undefined): string | null =>
    url && url.length <= operationUrlMax && URL.canParse(url) && new URL(url).origin === origin ? url : null;
  const endless = (what: string, why: string) =>
    new KeyGateError("vendor.unexpected", { detail: `Azure's list of ${what} ${why}.`, facts: { what } });

  /** The value, or null when Azure says that it does not exist. */
  async function orGone<T>(promise: Promise<T>): Promise<T | null> {
    try {
      return await promise;
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
  }

  const keysOf = ({ key1, key2 }: z.infer<typeof Keys>): AzureKeys => ({
    Key1: new Secret(key1),
    Key2: new Secret(key2),
  });
  /** @returns whether there was something; 204 says that there was not. */
  const remove = async (path: string, what: string): Promise<boolean> => {
    const reply = await orGone(send("DELETE", versioned(path), what, anything));
    return reply !== null && reply.status !== 204;
  };

  return {
    settings,
    settleMs,
    /**
     * Milliseconds to leave Azure alone, where Azure would be left alone for `ms`: where it is configured to settle
     * faster than Azure does, everything there is faster in proportion.
     */
    paced: (ms: number) => Math.max(20, Math.ceil(ms * Math.min(1, settleMs / azureSettleMs))),
    getAccount: (place: AccountPlace) => orGone(get(pathOf(place), "account", Account)),
    /**
     * Replaces whatever stands there. What it answers is not needed, since the account itself is asked for its state: a
     * 202 may come with the resource, or with nothing.
     */
    async putAccount(place: AccountPlace, body: Record<string, unknown>): Promise<StartedOperation> {
      const { headers } = await send("PUT", versioned(pathOf(place)), "account", anything, body);
      const after = retryAfterMsOf(headers);
      return {
        operationUrl: ownAddress(headers["azure-asyncoperation"]) ?? ownAddress(headers.location),
        ...(after === undefined ? {} : { paceMs: Math.min(after, paceMaxMs) }),
      };
    },
    /**
     * Why an operation failed; null while it runs, after it worked, and when it cannot be told. `Azure-AsyncOperation`
     * leads to a body with a status, `Location` to 202 as long as it runs and then to the answer of the call itself.
     */
    async failureOf(operationUrl: string): Promise<{ code: string | null; words: string | null } | null> {
      try {
        const { body } = await send("GET", operationUrl, "operation", anything);
        const operation = Operation.safeParse(body).data;
        const hasFailed = operation && ["failed", "canceled"].includes(operation.status.toLowerCase());
        return hasFailed ? readArmError(operation.error ?? null) : null;
      } catch (error) {
        if (!(error instanceof KeyGateError) || error.kind !== "permanent") throw error;
        const { armCode, status } = error.facts;
        const isAnswer = typeof armCode === "string" && status !== 404;
        return isAnswer ? { code: armCode, words: error.detail ?? null } : null;
      }
    },
    deleteAccount: (place: AccountPlace) => remove(pathOf(place), "account"),
    getDeletedAccount: (place: AccountPlace, location: string) =>
      orGone(get(deletedPath(place, location), "deletedAccount", DeletedAccount)),
    purgeAccount: (place: AccountPlace, location: string) => remove(deletedPath(place, location), "deletedAccount"),

    listDeployments: (place: AccountPlace) => orGone(list(`${pathOf(place)}/deployments`, "deployments", Deployment)),
    getDeployment: (place: AccountPlace, name: string) =>
      orGone(get(deploymentPath(place, name), "deployment", Deployment)),
    /** @returns the deployment as Azure shows it then; null where it answers with nothing and has to be looked at. */
    async putDeployment(
      place: AccountPlace,
      name: string,
      body: Record<string, unknown>,
    ): Promise<AzureDeployment | null> {
      const reply = await send("PUT", versioned(deploymentPath(place, name)), "deployment", anything, body);
      return Deployment.safeParse(reply.body).data ?? null;
    },
    /** @returns whether it goes on after the answer. */
    async deleteDeployment(place: AccountPlace, name: string): Promise<boolean> {
      const reply = await orGone(send("DELETE", versioned(deploymentPath(place, name)), "deployment", anything));
      return reply?.status === 202;
    },

    async listKeys(place: AccountPlace): Promise<AzureKeys | null> {
      const reply = await orGone(send("POST", versioned(`${pathOf(place)}/listKeys`), "listKeys", Keys));
      return reply && keysOf(reply.body);
    },
    /** Ends the slot's key at once. @returns both keys, or null when there is no such account. */
    async regenerateKey(place: AccountPlace, slot: KeySlot): Promise<AzureKeys | null> {
      const path = versioned(`${pathOf(place)}/regenerateKey`);
      const reply = await orGone(send("POST", path, "regenerateKey", Keys, { keyName: slot }));
      return reply && keysOf(reply.body);
    },

    async usages(location: string): Promise<Pools> {
      const items = await list(`${locationPath(location)}/usages`, "usages", Usage);
      return new Map(
        items.flatMap(({ name, currentValue, limit }) =>
          name?.value && typeof limit === "number" ? [[name.value, { used: currentValue ?? 0, limit }] as const] : [],
        ),
      );
    },
    /** The models that an account of kind OpenAI can deploy in a location. */
    async models(location: string): Promise<AzureOffer[]> {
      const items = await list(`${locationPath(location)}/models`, "models", Offer);
      return items.flatMap(({ kind, model }) =>
        model && (kind ?? "OpenAI") === "OpenAI" && (model.format ?? "OpenAI") === "OpenAI" ? [model] : [],
      );
    },

    probeToken: async () => void (await tokens.get()),
    probeGroup: () => get(group(settings), "resource group", anything, managementVersion),
    probeProvider: () => get(provider(), "provider", Provider, managementVersion),
    listAccounts: () => list(`${group(settings)}/providers/Microsoft.CognitiveServices/accounts`, "accounts", Account),
    listDeletedAccounts: () => list(`${provider()}/deletedAccounts`, "deletedAccounts", DeletedAccount),
    permissions: (at: "group" | "subscription") =>
      list(
        `${at === "group" ? group(settings) : subscription()}/providers/Microsoft.Authorization/permissions`,
        "permissions",
        Permission,
        "2022-04-01",
      ),
    locks: () => list(`${group(settings)}/providers/Microsoft.Authorization/locks`, "locks", Lock, "2020-05-01"),
    locationsToSearch: (first: string) => [...new Set([normalLocation(first), ...settings.locations])],
  };
}
