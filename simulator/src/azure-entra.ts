/** The simulated Entra: tokens for one application, by secret or by a federated assertion. */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { SimContext, SimRequest, SimResponse, SimVendor } from "./core.ts";

export interface AzureCredential {
  tenantId: string;
  clientId: string;
  clientSecret: string;
  /** The service principal's own id, which ARM's refusals name. */
  objectId: string;
}

export const EntraSettings = z.strictObject({
  token_lifetime_s: z.int().min(1).default(3_599),
  /** The secret is right, but its time is over. */
  client_secret_expired: z.boolean().default(false),
});
type EntraSettings = z.output<typeof EntraSettings>;

/** The tokens that Entra gave out, which ARM knows again. */
export interface TokenBook {
  issue(credential: AzureCredential, audience: string, now: number, lifetimeS: number): string;
  check(token: string, now: number): "good" | "expired" | "unknown";
  clear(): void;
}

export function createTokenBook(): TokenBook {
  const expiries = new Map<string, number>();
  return {
    issue(credential, audience, now, lifetimeS) {
      const iat = Math.floor(now / 1_000);
      const token = [
        { typ: "JWT", alg: "RS256", kid: "simulator" },
        {
          aud: audience,
          iss: `https://sts.windows.net/${credential.tenantId}/`,
          iat,
          nbf: iat,
          exp: iat + lifetimeS,
          appid: credential.clientId,
          oid: credential.objectId,
          tid: credential.tenantId,
          ver: "1.0",
        },
      ].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"));
      // Nobody can check the signature without Entra's keys, so random bytes are as good as a real one.
      const jwt = `${token.join(".")}.${randomBytes(256).toString("base64url")}`;
      expiries.set(jwt, now + lifetimeS * 1_000);
      return jwt;
    },
    check(token, now) {
      const expiry = expiries.get(token);
      if (expiry === undefined) return "unknown";
      return now < expiry ? "good" : "expired";
    },
    clear: () => expiries.clear(),
  };
}

/** `clock` is ARM's, so that a token that is new for Entra is new for ARM too, however far that clock was moved. */
export function createEntraVendor(credential: AzureCredential, tokens: TokenBook, clock: () => number): SimVendor {
  const issued: { at: number; how: "secret" | "assertion"; audience: string }[] = [];
  return {
    name: "azure-entra",
    settings: EntraSettings,
    books: () => ({ tokens_issued: issued }),
    reset: () => {
      issued.length = 0;
      tokens.clear();
    },
    handle(req, sim) {
      const [, tenant = "", ...rest] = req.path.split("/").map(decodeURIComponent);
      const route = `${req.method} ${rest.join("/")}`;
      if (route !== "POST oauth2/v2.0/token" && route !== "GET v2.0/.well-known/openid-configuration") {
        sim.violation(`Entra has no ${req.method} ${req.path}`);
        return { status: 404, text: "" };
      }
      if (tenant.toLowerCase() !== credential.tenantId.toLowerCase()) {
        return refusal(400, "invalid_request", 90002, `Tenant '${tenant}' not found.`, clock());
      }
      if (req.method === "GET") return discovery(req, credential.tenantId);

      const answer = grant(req, sim, credential, clock());
      if ("status" in answer) return answer;
      const lifetimeS = (sim.settings as EntraSettings).token_lifetime_s;
      const token = tokens.issue(credential, answer.audience, clock(), lifetimeS);
      issued.push({ at: clock(), ...answer });
      return {
        status: 200,
        headers: { "cache-control": "no-store, no-cache", pragma: "no-cache" },
        body: { token_type: "Bearer", expires_in: lifetimeS, ext_expires_in: lifetimeS, access_token: token },
      };
    },
  };
}

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const CLOUDS = new Set([
  "https://management.azure.com",
  "https://management.core.windows.net/",
  "https://management.usgovcloudapi.net",
  "https://management.chinacloudapi.cn",
]);

/** What a token request proves, or how Entra refuses it. */
function grant(
  req: SimRequest,
  sim: SimContext,
  credential: AzureCredential,
  now: number,
): { how: "secret" | "assertion"; audience: string } | SimResponse {
  const wrong = (status: number, error: string, code: number, message: string, isViolation = false) => {
    if (isViolation) sim.violation(`AADSTS${code}: ${message}`);
    return refusal(status, error, code, message, now);
  };
  const isForm = (req.headers["content-type"] ?? "").startsWith("application/x-www-form-urlencoded");
  const form = new URLSearchParams(isForm ? req.rawBody : "");
  for (const name of ["grant_type", "client_id", "scope"]) {
    if (form.get(name)) continue;
    const message = `The request body must contain the following parameter: '${name}'.`;
    return wrong(400, "invalid_request", 900144, message, true);
  }
  if (form.get("grant_type") !== "client_credentials") {
    const message = `The grant type '${form.get("grant_type")}' is not supported over the /token endpoint.`;
    return wrong(400, "unsupported_grant_type", 70003, message, true);
  }
  // Clients add OpenID scopes of their own; the one that counts ends in /.default.
  const scope = form
    .get("scope")
    ?.split(" ")
    .find((one) => one.endsWith("/.default"));
  if (scope === undefined) {
    const message = `The provided value for scope ${form.get("scope")} is not valid. It must end with '/.default'.`;
    return wrong(400, "invalid_scope", 1002012, message, true);
  }
  const audience = scope.slice(0, -"/.default".length);
  if (!CLOUDS.has(audience) && !isLoopback(audience)) {
    return wrong(400, "invalid_resource", 500011, `The resource principal named ${audience} was not found.`, true);
  }
  if (form.get("client_id")?.toLowerCase() !== credential.clientId.toLowerCase()) {
    const message = `Application with identifier '${form.get("client_id")}' was not found in the directory.`;
    return wrong(400, "unauthorized_client", 700016, message);
  }

  const assertion = form.get("client_assertion");
  if (assertion !== null) {
    if (form.get("client_assertion_type") !== ASSERTION_TYPE) {
      return wrong(400, "invalid_request", 900144, "The parameter 'client_assertion_type' is wrong.", true);
    }
    const problem = assertionProblem(assertion, now);
    if (problem !== null) return wrong(401, "invalid_client", ...problem);
    return { how: "assertion", audience };
  }
  const secret = form.get("client_secret");
  if (secret === null) {
    const message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
    return wrong(401, "invalid_client", 7000218, message, true);
  }
  if (!sameSecret(secret, credential.clientSecret)) {
    const message =
      "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, " +
      `not the client secret ID, for a secret added to app '${credential.clientId}'.`;
    return wrong(401, "invalid_client", 7000215, message);
  }
  if ((sim.settings as EntraSettings).client_secret_expired) {
    const message = `The provided client secret keys for app '${credential.clientId}' are expired.`;
    return wrong(401, "invalid_client", 7000222, message);
  }
  return { how: "secret", audience };
}

const Assertion = z.object({
  iss: z.string().min(1),
  sub: z.string().min(1),
  aud: z.string(),
  exp: z.number(),
});

/** Workload identity: whom the assertion speaks for is looked at, its signature is not, since any issuer may be trusted. */
function assertionProblem(jwt: string, now: number): [code: number, message: string] | null {
  try {
    const [, payload = "", signature = ""] = jwt.split(".");
    const claims = Assertion.parse(JSON.parse(Buffer.from(payload, "base64url").toString("utf8")));
    if (signature === "") return [50027, "JWT token is invalid or malformed."];
    if (claims.aud !== "api://AzureADTokenExchange") {
      return [700212, `No matching federated identity record found for presented assertion audience '${claims.aud}'.`];
    }
    if (claims.exp * 1_000 <= now) return [700024, "Client assertion is not within its valid time range."];
    return null;
  } catch {
    return [50027, "JWT token is invalid or malformed."];
  }
}

function isLoopback(audience: string): boolean {
  return URL.canParse(audience) && ["127.0.0.1", "localhost", "[::1]"].includes(new URL(audience).hostname);
}

function sameSecret(given: string, own: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(own)];
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Clients read the token endpoint from here and check that the issuer is the authority that they were told. */
function discovery(req: SimRequest, tenantId: string): SimResponse {
  const authority = `https://${req.headers.host}/${tenantId}`;
  return {
    status: 200,
    body: {
      token_endpoint: `${authority}/oauth2/v2.0/token`,
      token_endpoint_auth_methods_supported: ["client_secret_post", "private_key_jwt"],
      jwks_uri: `${authority}/discovery/v2.0/keys`,
      response_types_supported: ["code", "id_token", "token"],
      scopes_supported: ["openid", "profile", "email", "offline_access"],
      subject_types_supported: ["pairwise"],
      id_token_signing_alg_values_supported: ["RS256"],
      issuer: `${authority}/v2.0`,
      authorization_endpoint: `${authority}/oauth2/v2.0/authorize`,
      end_session_endpoint: `${authority}/oauth2/v2.0/logout`,
      tenant_region_scope: "EU",
      cloud_instance_name: "microsoftonline.com",
    },
  };
}

function refusal(status: number, error: string, code: number, message: string, now: number): SimResponse {
  const traceId = crypto.randomUUID();
  const correlationId = crypto.randomUUID();
  const timestamp = `${new Date(now).toISOString().slice(0, 19).replace("T", " ")}Z`;
  return {
    status,
    body: {
      error,
      error_description: `AADSTS${code}: ${message} Trace ID: ${traceId} Correlation ID: ${correlationId} Timestamp: ${timestamp}`,
      error_codes: [code],
      timestamp,
      trace_id: traceId,
      correlation_id: correlationId,
    },
  };
}
