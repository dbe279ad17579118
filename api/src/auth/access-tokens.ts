import { hkdfSync, randomUUID } from "node:crypto";
import { UserId } from "@keygate/shared/contracts/ids";
import type { UserRow } from "@keygate/shared/db/users";
import type { Secret } from "@keygate/shared/secret";
import { jwtVerify, SignJWT } from "jose";
import { z } from "zod";

const issuer = "keygate";
/** How many tokens are remembered as proven; an installation has a few people and scripts that call often. */
const provenMax = 500;
const Claims = z.object({ sub: UserId, token_version: z.int() });

export interface TokenClaims {
  userId: UserId;
  tokenVersion: number;
}

/** Signed statements of who somebody is, for one audience. */
export interface AccessTokens {
  issue(user: Pick<UserRow, "id" | "token_version">): Promise<string>;
  /** Null for a token that is expired, malformed, for another audience, or signed otherwise than by us. */
  verify(token: string): Promise<TokenClaims | null>;
}

/**
 * JWTs (HS256). The signing key is derived from `SECRET_KEY`, so that the same secret can serve other purposes without
 * one being able to forge another.
 */
export function accessTokens(options: {
  secretKey: Secret;
  audience: "keygate-api" | "keygate-queues" | "keygate-dashboard" | "keygate-device";
  ttlMinutes: number;
  clock: () => Date;
}): AccessTokens {
  const { secretKey, audience, ttlMinutes, clock } = options;
  // A signature that was right stays right: only the time has to be looked at again. What the user may do is not in it.
  const proven = new Map<string, { claims: TokenClaims; expiresAt: number }>();
  const key = new Uint8Array(hkdfSync("sha256", secretKey.reveal(), "", `keygate/token/${audience}/v1`, 32));
  return {
    issue(user) {
      const issuedAt = Math.floor(clock().getTime() / 1000);
      return (
        new SignJWT({ token_version: user.token_version })
          .setProtectedHeader({ alg: "HS256", typ: "JWT" })
          .setIssuer(issuer)
          .setAudience(audience)
          .setSubject(user.id)
          // Two sign-ins of one second are two sessions: ending one leaves the other.
          .setJti(randomUUID())
          .setIssuedAt(issuedAt)
          .setExpirationTime(issuedAt + ttlMinutes * 60)
          .sign(key)
      );
    },
    async verify(token) {
      const known = proven.get(token);
      if (known && known.expiresAt > Math.floor(clock().getTime() / 1000)) return known.claims;
      try {
        const { payload } = await jwtVerify(token, key, {
          algorithms: ["HS256"],
          issuer,
          audience,
          requiredClaims: ["sub", "exp", "iat"],
          currentDate: clock(),
        });
        const claims = Claims.parse(payload);
        const verified = { userId: claims.sub, tokenVersion: claims.token_version };
        // The oldest goes first; whoever keeps calling is proven again once in a while.
        const [oldest] = proven.size >= provenMax ? proven.keys() : [];
        if (oldest !== undefined) proven.delete(oldest);
        if (payload.exp !== undefined) proven.set(token, { claims: verified, expiresAt: payload.exp });
        return verified;
      } catch {
        return null;
      }
    },
  };
}
