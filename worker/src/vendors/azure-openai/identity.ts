import type { TokenCredential } from "@azure/identity";
import { KeyGateError } from "@keygate/shared/errors";
import { traced } from "@keygate/shared/tracing";
import { z } from "zod";
import type { VendorHttp } from "../http.ts";
import { createLoopbackCredential } from "./loopback-authority.ts";
import type { AzureSettings } from "./settings.ts";

/** Gives the tokens that every call needs. */
export interface AzureTokens {
  /** @throws KeyGateError, always with `nothingHappened`: without a token nothing is sent. */
  get(): Promise<string>;
  /** Forgets a token that Azure did not take, unless another one has taken its place already. */
  drop(token: string): void;
}

/** Loaded with the first token: it takes several megabytes, and not every installation has Azure. */
const loadLibrary = () => import("@azure/identity");

interface TokenDeps {
  http: VendorHttp;
  timeoutMs: number;
}

/**
 * Tokens by Microsoft's own library, which keeps them until shortly before their end. Its retries are off, since jobs
 * have their own; and it knows no time-out, so one is put around it.
 */
export function createAzureTokens(settings: AzureSettings, { http, timeoutMs }: TokenDeps): AzureTokens {
  let credential: TokenCredential | null = null;
  let pending: Promise<string> | null = null;
  let newest: string | null = null;
  let scope = settings.tokenScope;

  async function askOnce(): Promise<string> {
    credential ??= await makeCredential(settings, timeoutMs);
    const asked = credential;
    const facts = { "keygate.vendor": "azure_openai" };
    const answer = await traced("POST token", { kind: "client", facts }, () =>
      within(timeoutMs, asked.getToken(scope)),
    );
    if (!answer) throw new Error("no token");
    newest = answer.token;
    return answer.token;
  }

  async function ask(): Promise<string> {
    try {
      return await askOnce().catch((error: unknown) => {
        const { otherTokenScope } = settings;
        if (!otherTokenScope || otherTokenScope === scope || !isUnknownScope(error)) throw error;
        scope = otherTokenScope;
        return askOnce();
      });
    } catch (error) {
      throw await explain(error, credential, settings, http);
    }
  }

  return {
    get() {
      pending ??= ask().finally(() => {
        pending = null;
      });
      return pending;
    },
    drop(token) {
      // The library has no way to empty its cache; a new credential starts with an empty one.
      if (token === newest) credential = null;
    },
  };
}

async function makeCredential(
  { identity, authorityHost, isKnownAuthority }: AzureSettings,
  timeoutMs: number,
): Promise<TokenCredential> {
  const library = await loadLibrary();
  // The address is always given, or the library would take AZURE_AUTHORITY_HOST from the environment by itself. An
  // authority that is not Microsoft's must not be asked about at Microsoft's.
  const options = { authorityHost, disableInstanceDiscovery: !isKnownAuthority, retryOptions: { maxRetries: 0 } };
  const workload = (tenantId: string | null, clientId: string | null) =>
    new library.WorkloadIdentityCredential({
      ...options,
      ...(tenantId ? { tenantId } : {}),
      ...(clientId ? { clientId } : {}),
    });
  const managed = (clientId: string | null) =>
    new library.ManagedIdentityCredential({ retryOptions: options.retryOptions, ...(clientId ? { clientId } : {}) });

  switch (identity.kind) {
    case "secret":
      if (authorityHost.startsWith("http:")) {
        const { tenantId, clientId, secret } = identity;
        return createLoopbackCredential({
          authorityHost,
          tenantId,
          clientId,
          clientSecret: secret.reveal(),
          timeoutMs,
        });
      }
      return new library.ClientSecretCredential(
        identity.tenantId,
        identity.clientId,
        identity.secret.reveal(),
        options,
      );
    case "workload":
      return workload(identity.tenantId, identity.clientId);
    case "managed":
      return managed(identity.clientId);
    case "machine":
      // The library says at once, by its environment, whether there is a federated token to use.
      try {
        return workload(identity.tenantId, identity.clientId);
      } catch (error) {
        if (!(error instanceof library.CredentialUnavailableError)) throw error;
        return managed(identity.clientId);
      }
  }
}

class TimedOut extends Error {}

async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new TimedOut()), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the library keeps of Entra's refusal, somewhere down its chain of causes. */
const EntraRefusal = z.object({
  name: z.literal("ServerError"),
  status: z.number().nullish(),
  errorCode: z.string().nullish(),
  errorNo: z.coerce.string().nullish(),
});

function refusalIn(error: unknown): z.infer<typeof EntraRefusal> | null {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const parsed = EntraRefusal.safeParse(at);
    if (parsed.success) return parsed.data;
  }
  return null;
}

/** Whether the authority does not know what the token is to be for. */
const isUnknownScope = (error: unknown): boolean => {
  const refusal = refusalIn(error);
  return ["invalid_scope", "invalid_resource"].includes(refusal?.errorCode ?? "") || refusal?.errorNo === "500011";
};

// By the number that Entra's errors carry.
const wordsFor = new Map([
  ["7000215", "client_secret is wrong. It must be the secret's value, not its id."],
  ["7000222", "client_secret has expired. Make a new one for the app registration."],
  ["700016", "client_id is not known in this tenant."],
  ["90002", "tenant_id is not known to this authority."],
  ["700024", "the federated token has expired."],
  ["700212", "the federated credential of the app registration expects another audience."],
  ["700213", "the app registration has no federated credential for this workload."],
]);

/** The error that a job is to see. Never carries the library's own, which may quote the request. */
async function explain(
  error: unknown,
  credential: TokenCredential | null,
  settings: AzureSettings,
  http: VendorHttp,
): Promise<KeyGateError> {
  const refusal = refusalIn(error);
  const facts = { what: "token", entraStatus: refusal?.status, entra: refusal?.errorNo ?? refusal?.errorCode };
  const status = refusal?.status ?? 0;
  if (error instanceof TimedOut) return unavailable("Entra did not answer in time.", facts);
  if (status === 429) {
    const detail = "Entra asks us to slow down.";
    return new KeyGateError("vendor.throttled", { detail, nothingHappened: true, retryAfterMs: 30_000, facts });
  }
  if (status >= 400 && status < 500) {
    const named = refusal?.errorNo ? wordsFor.get(refusal.errorNo) : undefined;
    return refuse(named ?? `it answered ${refusal?.errorCode ?? status} (AADSTS${refusal?.errorNo ?? "?"}).`, facts);
  }
  if (error instanceof Error && error.name === "TimeoutError")
    return unavailable("Entra did not answer in time.", facts);
  const { CredentialUnavailableError, ManagedIdentityCredential } = await loadLibrary();
  if (!(error instanceof CredentialUnavailableError)) return unavailable(lost, facts);
  if (credential === null || credential instanceof ManagedIdentityCredential) return refuse(noIdentity, facts);
  return whyUnresolved(settings, http, facts);
}

const lost = "Entra could not be reached, or its answer made no sense.";
const noIdentity =
  "no client secret is configured, and this machine has neither a managed identity nor a federated token that works.";

type Facts = Record<string, unknown>;
const refuse = (words: string, facts: Facts) =>
  new KeyGateError("vendor.refused_us", { detail: `Entra gives no token: ${words}`, nothingHappened: true, facts });
const unavailable = (detail: string, facts: Facts) =>
  new KeyGateError("vendor.unavailable", { detail, nothingHappened: true, facts });

/** The library gives one error for a tenant that does not exist and for a network that is down; a look tells them apart. */
async function whyUnresolved(settings: AzureSettings, http: VendorHttp, facts: Facts): Promise<KeyGateError> {
  const { identity, authorityHost } = settings;
  const tenant = identity.kind === "managed" ? null : identity.tenantId;
  if (!tenant) return unavailable(lost, facts);
  const url = `${authorityHost}/${encodeURIComponent(tenant)}/v2.0/.well-known/openid-configuration`;
  try {
    await http.call({ method: "GET", url, endpoint: "entra", expect: z.unknown() }, ({ status }) =>
      status === 400 || status === 404
        ? refuse(wordsFor.get("90002") ?? lost, facts)
        : unavailable(`Entra answered with status ${status}.`, facts),
    );
  } catch (error) {
    if (error instanceof KeyGateError && error.kind === "credentials") return error;
    return unavailable(`Entra: ${error instanceof KeyGateError ? error.detail : lost}`, facts);
  }
  return identity.kind === "secret" ? unavailable(lost, facts) : refuse(noIdentity, facts);
}
