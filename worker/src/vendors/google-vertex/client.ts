import { KeyGateError } from "@keygate/shared/errors";
import { Secret } from "@keygate/shared/secret";
import { z } from "zod";
import type { VendorHttp } from "../http.ts";
import { classifyGoogle, isBadRequest, isGone, isUnauthenticated, isUnserved } from "./errors.ts";
import { Policy } from "./policy.ts";
import { changePolicy, type PolicyChange } from "./policy-queue.ts";
import type { GoogleSettings } from "./settings.ts";
import type { TokenSource } from "./tokens.ts";

// Shapes as far as KeyGate reads them; unknown members are left alone.
const Account = z.object({
  email: z.string().min(3),
  uniqueId: z.string().min(1),
  description: z.string().nullish(),
  disabled: z.boolean().nullish(),
});
const Key = z.object({
  name: z.string().regex(/\/keys\/[^/]+$/),
  validBeforeTime: z.iso.datetime({ offset: true }).nullish(),
  keyType: z.string().nullish(),
  disabled: z.boolean().nullish(),
  disableReason: z.string().nullish(),
});
// Either alphabet of base64, padded or not: what is in it is checked when it is read.
const CreatedKey = Key.extend({ privateKeyData: z.string().min(1) });
const Keys = z.object({ keys: z.array(Key).nullish() });
const Held = z.object({ permissions: z.array(z.string()).nullish() });
const Role = z.object({
  name: z.string(),
  includedPermissions: z.array(z.string()).nullish(),
  deleted: z.boolean().nullish(),
});
const Services = z.object({
  services: z.array(z.object({ name: z.string(), state: z.string().nullish() })).nullish(),
});
const EffectivePolicy = z.object({
  spec: z.object({ rules: z.array(z.looseObject({ enforce: z.boolean().nullish() })).nullish() }).nullish(),
});
const Page = z.object({ accounts: z.array(Account).nullish(), nextPageToken: z.string().nullish() });
// What is done by the call itself answers with an empty object; a page of a captive portal is no such answer.
const Done = z.looseObject({});

export type GoogleAccount = z.infer<typeof Account>;
export type GoogleRole = z.infer<typeof Role>;

/** A key as the vendor lists it. */
export interface GoogleKey {
  /** The last part of its name, `private_key_id` in the file. */
  id: string;
  /** Null when the key has no end. */
  validUntil: string | null;
  disabled: boolean;
  disableReason: string | null;
}

/** An account of ours, in the project that it was made in. */
export interface AccountRef {
  projectId: string;
  email: string;
}

export interface GoogleConnection {
  http: VendorHttp;
  settings: GoogleSettings;
  tokens: TokenSource;
  settleMs: number;
}

export type GoogleClient = ReturnType<typeof createGoogleClient>;

type Method = "GET" | "POST" | "DELETE";
/** What Google counts together when it throttles. */
type Quota = "iam read" | "iam write" | "policy read" | "policy write" | "services read" | "orgpolicy read";

// 100 accounts are the usual cap of a project; a raised one is thousands.
const pagesMax = 200;
const farAway = Date.UTC(9000, 0, 1);

function keyOf({ name, validBeforeTime, disabled, disableReason }: z.infer<typeof Key>): GoogleKey {
  // A key without an end says the year 9999.
  const endsEver = validBeforeTime && Date.parse(validBeforeTime) < farAway;
  return {
    id: name.slice(name.lastIndexOf("/") + 1),
    validUntil: endsEver ? validBeforeTime : null,
    disabled: disabled === true,
    disableReason: disableReason ?? null,
  };
}

/** The value, or null when Google says that it does not exist. */
async function orGone<T>(promise: Promise<T>): Promise<T | null> {
  try {
    return await promise;
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

/** Speaks HTTP with Google's IAM and its neighbours. Every call is made once; lists are read to their end. */
export function createGoogleClient({ http, settings, tokens, settleMs }: GoogleConnection) {
  const { iamUrl, resourceManagerUrl } = settings;

  async function call<T>(method: Method, url: string, quota: Quota, expect: z.ZodType<T>, body?: unknown): Promise<T> {
    const attempt = async (token: string) => {
      const headers = { authorization: `Bearer ${token}` };
      const sent = body === undefined ? {} : { body };
      return (await http.call({ method, url, headers, endpoint: quota, expect, ...sent }, classifyGoogle)).body;
    };
    const token = await tokens.get();
    try {
      return await attempt(token);
    } catch (error) {
      if (!isUnauthenticated(error)) throw error;
      // The token may have ended early. Google did nothing with the call, so it may be made again, once.
      tokens.forget(token);
      return attempt(await tokens.get());
    }
  }

  /** Of a neighbour of IAM, which a gateway in front of IAM need not serve: null when it refuses the call as unknown. */
  async function orUnserved<T>(url: string, promise: Promise<T>): Promise<T | null> {
    try {
      return await promise;
    } catch (error) {
      if (url === iamUrl && isUnserved(error)) return null;
      throw error;
    }
  }

  const project = (projectId: string) => `${iamUrl}/v1/projects/${encodeURIComponent(projectId)}`;
  // The project's own name, not its wildcard: under that an account that is gone answers as if it were forbidden.
  const account = ({ projectId, email }: AccountRef) =>
    `${project(projectId)}/serviceAccounts/${encodeURIComponent(email).replace("%40", "@")}`;
  const keys = (ref: AccountRef) => `${account(ref)}/keys`;
  const key = (ref: AccountRef, id: string) => `${keys(ref)}/${encodeURIComponent(id)}`;
  const policy = (projectId: string) => `${resourceManagerUrl}/v3/projects/${encodeURIComponent(projectId)}`;

  const policyOf = (projectId: string) =>
    // Any older version leaves the conditions out; written back, every expiry in the project would be gone.
    call("POST", `${policy(projectId)}:getIamPolicy`, "policy read", Policy, {
      options: { requestedPolicyVersion: 3 },
    });

  const accesses = new Map<string, { read(): Promise<Policy>; write(next: Policy): Promise<void> }>();
  function accessTo(projectId: string) {
    const known = accesses.get(projectId);
    if (known) return known;
    const access = {
      read: () => policyOf(projectId),
      async write(next: Policy) {
        const body = { policy: { ...next, version: 3 } };
        await call("POST", `${policy(projectId)}:setIamPolicy`, "policy write", Done, body);
      },
    };
    accesses.set(projectId, access);
    return access;
  }

  return {
    settings,
    settleMs,
    /** A token fetched now, whatever is known from before. */
    async renewToken(): Promise<void> {
      tokens.forget(await tokens.get());
      await tokens.get();
    },

    createAccount: (projectId: string, accountId: string, displayName: string, description: string) =>
      call("POST", `${project(projectId)}/serviceAccounts`, "iam write", Account, {
        accountId,
        serviceAccount: { displayName, description },
      }),
    getAccount: (ref: AccountRef) => orGone(call("GET", account(ref), "iam read", Account)),
    disableAccount: (ref: AccountRef) => orGone(call("POST", `${account(ref)}:disable`, "iam write", Done, {})),
    deleteAccount: (ref: AccountRef) => orGone(call("DELETE", account(ref), "iam write", Done)),
    async listAccounts(projectId: string): Promise<GoogleAccount[]> {
      const found: GoogleAccount[] = [];
      let pageToken: string | null = null;
      for (let page = 0; page < pagesMax; page++) {
        const query: string = new URLSearchParams({ pageSize: "100", ...(pageToken ? { pageToken } : {}) }).toString();
        const url = `${project(projectId)}/serviceAccounts?${query}`;
        const answer: z.infer<typeof Page> = await call("GET", url, "iam read", Page);
        found.push(...(answer.accounts ?? []));
        // A page may be short or empty and still have a next one.
        if (!answer.nextPageToken) return found;
        pageToken = answer.nextPageToken;
      }
      throw new KeyGateError("vendor.unexpected", { detail: "Google's list of accounts did not end." });
    },

    /** The keys that people can make and delete; Google's own are left out. Null when there is no account. */
    async listKeys(ref: AccountRef): Promise<GoogleKey[] | null> {
      const answer = await orGone(call("GET", `${keys(ref)}?keyTypes=USER_MANAGED`, "iam read", Keys));
      return answer && (answer.keys ?? []).filter(({ keyType }) => keyType !== "SYSTEM_MANAGED").map(keyOf);
    },
    async getKey(ref: AccountRef, id: string): Promise<GoogleKey | null> {
      const found = await orGone(call("GET", key(ref, id), "iam read", Key));
      return found && keyOf(found);
    },
    async uploadKey(ref: AccountRef, certificate: string): Promise<GoogleKey> {
      const publicKeyData = Buffer.from(certificate).toString("base64");
      return keyOf(await call("POST", `${keys(ref)}:upload`, "iam write", Key, { publicKeyData }));
    },
    async createKey(ref: AccountRef): Promise<{ key: GoogleKey; file: Secret }> {
      const made = await call("POST", keys(ref), "iam write", CreatedKey, {
        privateKeyType: "TYPE_GOOGLE_CREDENTIALS_FILE",
        keyAlgorithm: "KEY_ALG_RSA_2048",
      });
      return { key: keyOf(made), file: new Secret(Buffer.from(made.privateKeyData, "base64").toString("utf8")) };
    },
    disableKey: (ref: AccountRef, id: string) => orGone(call("POST", `${key(ref, id)}:disable`, "iam write", Done, {})),
    deleteKey: (ref: AccountRef, id: string) => orGone(call("DELETE", key(ref, id), "iam write", Done)),

    getPolicy: policyOf,
    changePolicy: (projectId: string, change: PolicyChange) =>
      changePolicy(policy(projectId), accessTo(projectId), change),

    getRole: (name: string) =>
      orGone(call("GET", `${iamUrl}/v1/${name.split("/").map(encodeURIComponent).join("/")}`, "iam read", Role)),
    createRole: (
      projectId: string,
      roleId: string,
      role: { title: string; description: string; permissions: string[] },
    ) =>
      call("POST", `${project(projectId)}/roles`, "iam write", Role, {
        roleId,
        role: {
          title: role.title,
          description: role.description,
          includedPermissions: role.permissions,
          stage: "GA",
        },
      }),

    async testPermissions(projectId: string, permissions: readonly string[]): Promise<string[]> {
      const body = { permissions };
      const url = `${policy(projectId)}:testIamPermissions`;
      return (await call("POST", url, "policy read", Held, body)).permissions ?? [];
    },
    /** Those of the services that are not enabled; null when what stands in for Google does not know of services. */
    async disabledServices(projectId: string, services: readonly string[]): Promise<string[] | null> {
      const names = services.map((name): [string, string] => ["names", `projects/${projectId}/services/${name}`]);
      const query = new URLSearchParams(names);
      const url = `${settings.serviceUsageUrl}/v1/projects/${projectId}/services:batchGet?${query}`;
      const answer = await orUnserved(settings.serviceUsageUrl, call("GET", url, "services read", Services));
      if (answer === null) return null;
      const enabled = (answer.services ?? []).filter(({ state }) => state === "ENABLED");
      return services.filter((name) => !enabled.some((service) => service.name.endsWith(`/services/${name}`)));
    },
    /** Whether an organization policy that is a switch is on. A constraint that Google does not know is off. */
    async isEnforced(projectId: string, constraint: string): Promise<boolean> {
      const url = `${settings.orgPolicyUrl}/v2/projects/${projectId}/policies/${constraint}:getEffectivePolicy`;
      const asked = orGone(call("GET", url, "orgpolicy read", EffectivePolicy)).catch((error: unknown) => {
        if (isBadRequest(error)) return null;
        throw error;
      });
      const found = await orUnserved(settings.orgPolicyUrl, asked);
      return (found?.spec?.rules ?? []).some((rule) => rule.enforce === true);
    },
  };
}
