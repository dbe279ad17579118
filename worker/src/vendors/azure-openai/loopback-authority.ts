import type { AccessToken, TokenCredential } from "@azure/identity";
import { z } from "zod";

/** Asked for anew this long before its end, like Microsoft's library does it. */
const renewBeforeMs = 2 * 60_000;
const replyBytesMax = 256 * 1024;

const Granted = z.object({ access_token: z.string().min(1), expires_in: z.coerce.number().min(0) });
const Refused = z.object({ error: z.string().nullish(), error_codes: z.array(z.number()).nullish() });

/** Entra's refusal, in the shape in which Microsoft's library throws one. */
class ServerError extends Error {
  override readonly name = "ServerError";
  readonly status: number;
  readonly errorCode: string | null;
  readonly errorNo: string | null;

  constructor(status: number, json: unknown) {
    super(`Entra answered ${status}`);
    const refused = Refused.safeParse(json).data;
    this.status = status;
    this.errorCode = refused?.error ?? null;
    this.errorNo = refused?.error_codes?.[0]?.toString() ?? null;
  }
}

interface Application {
  authorityHost: string;
  tenantId: string;
  clientId: string;
  clientSecret: string;
  timeoutMs: number;
}

/**
 * Client credentials at an authority on this machine that speaks plain HTTP, which Microsoft's library refuses to talk
 * to: one form POST. For trying things out; the settings allow no such address anywhere else.
 */
export function createLoopbackCredential(application: Application): TokenCredential {
  const kept = new Map<string, AccessToken>();

  async function ask(scope: string): Promise<AccessToken> {
    const { authorityHost, tenantId, clientId, clientSecret, timeoutMs } = application;
    const answer = await fetch(`${authorityHost}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`, {
      method: "POST",
      headers: { accept: "application/json", "content-type": "application/x-www-form-urlencoded" },
      body: new URLSearchParams({
        grant_type: "client_credentials",
        client_id: clientId,
        client_secret: clientSecret,
        scope,
      }).toString(),
      redirect: "error",
      signal: AbortSignal.timeout(timeoutMs),
    });
    const text = await answer.text();
    if (text.length > replyBytesMax) throw new Error("the authority's answer is too long");
    const json = parse(text);
    if (!answer.ok) throw new ServerError(answer.status, json);
    const granted = Granted.safeParse(json);
    // The answer may hold the token, so nothing of it goes into the error.
    if (!granted.success) throw new Error("the authority's answer is no token");
    return { token: granted.data.access_token, expiresOnTimestamp: Date.now() + granted.data.expires_in * 1_000 };
  }

  return {
    async getToken(scopes) {
      const scope = [scopes].flat().join(" ");
      const known = kept.get(scope);
      if (known && known.expiresOnTimestamp - renewBeforeMs > Date.now()) return known;
      const token = await ask(scope);
      kept.set(scope, token);
      return token;
    },
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
