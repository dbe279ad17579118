import { KeyGateError } from "@keygate/shared/errors";
import { traced } from "@keygate/shared/tracing";
import type { AuthClient, AwsClientOptions, IdentityPoolClientOptions } from "google-auth-library";
import { z } from "zod";
import { type GoogleCredential, googleTokenUrl } from "./settings.ts";

/** Access tokens of the admin credential, kept until shortly before they end. */
export interface TokenSource {
  /** @throws KeyGateError, always sure that nothing happened: the call that needed the token was not made. */
  get(): Promise<string>;
  /** Forgets a token that the vendor did not accept, unless another caller has done so already. */
  forget(token: string): void;
}

const scope = "https://www.googleapis.com/auth/cloud-platform";
const timeoutMaxMs = 15_000;
const TokenError = z.object({ error: z.string(), error_description: z.string().nullish() });

const AwsSource = z.object({ credential_source: z.object({ environment_id: z.string() }) });

/** The parts of a failure of Google's HTTP client that say something; the rest holds the signed assertion. */
const Failure = z.object({
  code: z.union([z.string(), z.number()]).nullish(),
  response: z.object({ status: z.number(), data: z.unknown() }).nullish(),
});

function transporterOptions(timeoutMs: number) {
  return {
    timeout: Math.min(timeoutMs, timeoutMaxMs),
    redirect: "error" as const,
    maxContentLength: 1024 * 1024,
    // The job decides when to try again; Google's client would do so by itself, three times.
    retryConfig: { retry: 0, noResponseRetries: 0 },
  };
}

/** Google's client exchanges assertions at one address whatever its file says; this sends them where we are told. */
function redirectTokens(client: AuthClient, tokenUrl: string): void {
  if (tokenUrl === googleTokenUrl) return;
  client.transporter.interceptors.request.add({
    resolved: async (config) => {
      if (String(config.url) === googleTokenUrl) config.url = new URL(tokenUrl);
      return config;
    },
  });
}

async function clientFor(credential: GoogleCredential, timeoutMs: number): Promise<AuthClient> {
  // Loaded when a token is first needed: not every installation has Google.
  const library = await import("google-auth-library");
  const options = { transporterOptions: transporterOptions(timeoutMs) };
  switch (credential.kind) {
    case "service_account": {
      const { email, privateKey } = credential;
      return new library.JWT({ ...options, email, key: privateKey.reveal(), scopes: [scope] });
    }
    case "external_account": {
      // Checked when it was read. The class is named here since the library's own choice would also run programs.
      const given: unknown = JSON.parse(credential.options.reveal());
      const isAws = AwsSource.safeParse(given).success;
      const all = { ...(given as IdentityPoolClientOptions & AwsClientOptions), ...options, scopes: [scope] };
      return isAws ? new library.AwsClient(all) : new library.IdentityPoolClient(all);
    }
    case "attached":
      // Not the library's search for any identity: that would also find the login of whoever started us.
      return new library.Compute({ ...options, scopes: [scope] });
  }
}

/** What went wrong at the token endpoint, in words; never the library's error, which holds what was sent. */
function classify(error: unknown): KeyGateError {
  const failure = Failure.safeParse(error);
  const response = failure.data?.response ?? null;
  const said = TokenError.safeParse(response?.data).data;
  const facts = {
    endpoint: "token",
    status: response?.status ?? null,
    code: said?.error ?? failure.data?.code ?? null,
  };
  const words = said ? `${said.error}${said.error_description ? `: ${said.error_description}` : ""}` : null;
  const sure = { nothingHappened: true, facts };

  if (response?.status === 429) {
    return new KeyGateError("vendor.throttled", { ...sure, detail: "Google's token endpoint asks us to slow down." });
  }
  if (response && response.status >= 400 && response.status < 500 && response.status !== 408) {
    const hint =
      said?.error === "invalid_grant"
        ? " The key was deleted or disabled, its account is disabled or gone, or this machine's clock is wrong."
        : "";
    const detail = `Google does not give us an access token (${words ?? `status ${response.status}`}).${hint}`;
    return new KeyGateError("vendor.refused_us", { ...sure, detail });
  }
  const why = response ? `status ${response.status}` : (facts.code ?? "no answer");
  return new KeyGateError("vendor.unavailable", {
    ...sure,
    detail: `Google's token endpoint could not be reached or did not work (${why}).`,
  });
}

/** Tokens for one credential. Callers that come at the same time share one exchange. */
export function createTokenSource(credential: GoogleCredential, tokenUrl: string, timeoutMs: number): TokenSource {
  let client: Promise<AuthClient> | null = null;
  let pending: Promise<string> | null = null;
  let latest: string | null = null;

  async function fetchToken(): Promise<string> {
    try {
      client ??= clientFor(credential, timeoutMs).then((made) => {
        redirectTokens(made, tokenUrl);
        return made;
      });
      const ready = await client;
      const facts = { "keygate.vendor": "google_vertex", "server.address": new URL(tokenUrl).hostname };
      const { token } = await traced("POST token", { kind: "client", facts }, () => ready.getAccessToken());
      if (!token) throw new Error("an answer without a token");
      latest = token;
      return token;
    } catch (error) {
      client = null;
      throw classify(error);
    }
  }

  return {
    get() {
      pending ??= fetchToken().finally(() => {
        pending = null;
      });
      return pending;
    },
    forget(token) {
      // A new client has no memory of the token.
      if (token === latest) client = null;
    },
  };
}
