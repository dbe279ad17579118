/** Google's token endpoint: an assertion signed by a service account's live key becomes an access token for an hour. */
import { randomBytes, verify } from "node:crypto";
import { z } from "zod";
import type { SimContext, SimRequest, SimResponse } from "./core.ts";
import { isKeyLive, isVisible } from "./google-access.ts";
import { sha256 } from "./google-http.ts";
import { type GoogleWorld, note, TOKEN_URL } from "./google-world.ts";

const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const LIFETIME_SECONDS = 3600;
/** Clocks of clients may be off by this much. */
const SKEW_SECONDS = 300;

const Header = z.looseObject({ alg: z.literal("RS256"), kid: z.string().optional() });
const Claims = z.looseObject({
  iss: z.string(),
  sub: z.string().optional(),
  scope: z.string().optional(),
  aud: z.string(),
  iat: z.number(),
  exp: z.number(),
});

/** This endpoint's errors have a shape of their own. */
class TokenRefusal extends Error {
  readonly error: string;
  readonly isViolation: boolean;

  constructor(error: string, description: string, isViolation = false) {
    super(description);
    this.error = error;
    this.isViolation = isViolation;
  }
}

export function exchangeToken(world: GoogleWorld, sim: SimContext, req: SimRequest): SimResponse {
  try {
    return { status: 200, body: issueToken(world, sim, assertionOf(req), ownUrlOf(req)) };
  } catch (error) {
    if (!(error instanceof TokenRefusal)) throw error;
    if (error.isViolation) sim.violation(error.message);
    return { status: 400, body: { error: error.error, error_description: error.message } };
  }
}

function assertionOf(req: SimRequest): string {
  if (!/^application\/x-www-form-urlencoded\b/i.test(req.headers["content-type"] ?? "")) {
    throw new TokenRefusal("invalid_request", "The body must be application/x-www-form-urlencoded.", true);
  }
  const form = new URLSearchParams(req.rawBody);
  if (form.get("grant_type") !== GRANT) {
    throw new TokenRefusal("unsupported_grant_type", `Invalid grant_type: ${form.get("grant_type")}`, true);
  }
  const assertion = form.get("assertion");
  if (!assertion) throw new TokenRefusal("invalid_request", "Missing required parameter: assertion", true);
  return assertion;
}

/** Under which this server is reached: a client that was given it as its token URL signs for it. */
const ownUrlOf = (req: SimRequest) => `http://${req.headers.host ?? ""}/token`;

function decode<T>(part: string, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(Buffer.from(part, "base64url").toString("utf8")));
  } catch {
    throw new TokenRefusal("invalid_grant", "Invalid JWT: failed to parse the assertion.", true);
  }
}

function issueToken(world: GoogleWorld, sim: SimContext, assertion: string, ownUrl: string): Record<string, unknown> {
  const [head = "", body = "", signature = "", ...rest] = assertion.split(".");
  const header = decode(rest.length === 0 ? head : "", Header);
  const claims = decode(body, Claims);
  if (claims.aud !== TOKEN_URL && claims.aud !== ownUrl) {
    throw new TokenRefusal("invalid_grant", "Invalid JWT: Failed audience check.", true);
  }
  checkTimes(claims, sim);

  const account = world.accounts.findLast(({ email }) => email === claims.iss);
  if (account === undefined || !isVisible(account, sim)) {
    throw new TokenRefusal("invalid_grant", "Invalid grant: account not found");
  }
  if (claims.sub !== undefined && claims.sub !== claims.iss) {
    throw new TokenRefusal("unauthorized_client", "Client is unauthorized to retrieve access tokens.", true);
  }
  if (account.disabled) throw new TokenRefusal("invalid_grant", "Invalid grant: account is disabled");
  const signed = Buffer.from(`${head}.${body}`);
  // Google's own client names no key, so every live one is tried.
  const key = account.keys.find(
    (candidate) =>
      (header.kid === undefined || header.kid === candidate.id) &&
      isKeyLive(account, candidate, sim) &&
      verify("RSA-SHA256", signed, candidate.publicKey, Buffer.from(signature, "base64url")),
  );
  if (key === undefined) throw new TokenRefusal("invalid_grant", "Invalid JWT Signature.");
  const scopes = (claims.scope ?? "").split(" ").filter((scope) => scope !== "");
  if (scopes.length === 0) throw new TokenRefusal("invalid_scope", "Empty or missing scope not allowed.", true);

  const access_token = `ya29.SIMULATED-${randomBytes(48).toString("base64url")}`;
  const expiresAt = sim.now() + LIFETIME_SECONDS * 1000;
  world.tokens.set(sha256(access_token), { accountId: account.uniqueId, keyId: key.id, expiresAt, scopes });
  note(world, sim, "token.issued", { email: account.email, key_id: key.id });
  return { access_token, expires_in: LIFETIME_SECONDS - 1, token_type: "Bearer" };
}

/**
 * The client signs by its own clock, which nobody moved: an assertion counts when it is fresh by either clock. What
 * ends by the simulator's clock alone are keys, conditions and the tokens that are issued.
 */
function checkTimes({ iat, exp }: { iat: number; exp: number }, sim: SimContext): void {
  const isFreshAt = (ms: number) => iat <= ms / 1000 + SKEW_SECONDS && exp > ms / 1000;
  if (exp - iat > LIFETIME_SECONDS || !(isFreshAt(Date.now()) || isFreshAt(sim.now()))) {
    throw new TokenRefusal(
      "invalid_grant",
      "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe.",
    );
  }
}
