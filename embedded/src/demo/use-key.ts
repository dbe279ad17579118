import { createPrivateKey, sign } from "node:crypto";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";
import { z } from "zod";

export type Verdict = "accepted" | "refused";
export type Instructions = Record<string, unknown>;

/** Uses an issued key on a real call of its vendor, the way a developer would. */
export type UseKey = (apiKey: string, instructions: Instructions) => Promise<Verdict>;

const refusedStatuses = [400, 401, 403];

/** Anything but success and a refusal of the key is an error of the demo, not a verdict. */
function verdictOf(status: number, where: string): Verdict {
  if (status >= 200 && status < 300) return "accepted";
  if (refusedStatuses.includes(status)) return "refused";
  throw new Error(`${where} answered with status ${status}`);
}

const useOpenAi: UseKey = async (apiKey, instructions) => {
  const client = new OpenAI({ apiKey, baseURL: String(instructions.base_url), maxRetries: 0 });
  try {
    await client.chat.completions.create({ model: "gpt-4o", messages: [{ role: "user", content: "Say hello." }] });
    return "accepted";
  } catch (error) {
    if (error instanceof OpenAI.APIError && error.status) return verdictOf(error.status, "OpenAI");
    throw error;
  }
};

const useAnthropic: UseKey = async (apiKey, instructions) => {
  const client = new Anthropic({ apiKey, baseURL: String(instructions.base_url), maxRetries: 0 });
  try {
    await client.messages.create({
      model: "claude-haiku-4-5",
      max_tokens: 16,
      messages: [{ role: "user", content: "Say hello." }],
    });
    return "accepted";
  } catch (error) {
    if (error instanceof Anthropic.APIError && error.status) return verdictOf(error.status, "Anthropic");
    throw error;
  }
};

const useAzure: UseKey = async (apiKey, instructions) => {
  const endpoint = String(instructions.endpoint ?? instructions.base_url).replace(/\/?$/, "/");
  const url = `${endpoint}openai/models?api-version=2024-10-21`;
  const answer = await fetch(url, { headers: { "api-key": apiKey } }).catch(() => null);
  // The whole resource, its address included, may be gone: nobody is left to accept the key.
  return answer && answer.status !== 404 ? verdictOf(answer.status, "Azure OpenAI") : "refused";
};

const KeyFile = z.object({ client_email: z.string(), private_key: z.string(), private_key_id: z.string() });
const Token = z.object({ access_token: z.string() });
const base64url = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

const useGoogle: UseKey = async (apiKey, instructions) => {
  const file = KeyFile.parse(JSON.parse(apiKey));
  const tokenUrl = String(instructions.token_url);
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: file.client_email,
    sub: file.client_email,
    aud: "https://oauth2.googleapis.com/token",
    scope: String(instructions.token_scope),
    iat: now,
    exp: now + 600,
  };
  const unsigned = `${base64url({ alg: "RS256", typ: "JWT", kid: file.private_key_id })}.${base64url(claims)}`;
  const signature = sign("sha256", Buffer.from(unsigned), createPrivateKey(file.private_key)).toString("base64url");
  const exchanged = await fetch(tokenUrl, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer",
      assertion: `${unsigned}.${signature}`,
    }),
  });
  if (exchanged.status !== 200) return verdictOf(exchanged.status, "Google's token endpoint");
  const { access_token } = Token.parse(await exchanged.json());
  const counted = await fetch(`${instructions.base_url}/publishers/google/models/gemini-2.5-flash:countTokens`, {
    method: "POST",
    headers: { authorization: `Bearer ${access_token}`, "content-type": "application/json" },
    body: JSON.stringify({ contents: [{ role: "user", parts: [{ text: "Say hello." }] }] }),
  });
  return verdictOf(counted.status, "Vertex AI");
};

/** How each vendor's key is used; a vendor that is not listed is provisioned and revoked only. */
export const useKeyOf: Readonly<Record<string, UseKey>> = {
  openai: useOpenAi,
  anthropic: useAnthropic,
  azure_openai: useAzure,
  google_vertex: useGoogle,
};
