import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { startOpenAi, type TestOpenAi } from "./openai-support.ts";

let openai: TestOpenAi;
let secret: string;
beforeAll(async () => {
  openai = await startOpenAi();
});
beforeEach(async () => {
  openai.server.reset();
  ({ secret } = await openai.key(await openai.project()));
});
afterAll(() => openai.server.close());

describe("a live key", () => {
  it("lists models and reads one", async () => {
    const { body } = await openai.as(secret, "GET", "/models");
    expect(body.data.map(({ id }: { id: string }) => id)).toEqual(openai.server.settings().models);
    expect((await openai.as(secret, "GET", "/models/gpt-5")).body).toMatchObject({ id: "gpt-5", object: "model" });
    expect((await openai.as(secret, "GET", "/models/gpt-0")).status).toBe(404);
  });

  it("chats", async () => {
    const { status, body, headers } = await openai.chat(secret);
    expect([status, body.object, body.choices[0].message.role]).toEqual([200, "chat.completion", "assistant"]);
    expect(Number(headers.get("x-ratelimit-remaining-requests"))).toBeGreaterThan(0);
  });

  it("chats in a stream", async () => {
    const answer = await fetch(`${openai.server.url}/v1/chat/completions`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-5", stream: true, messages: [{ role: "user", content: "hello" }] }),
    });
    expect(answer.headers.get("content-type")).toBe("text/event-stream");
    expect((await answer.text()).trimEnd().endsWith("data: [DONE]")).toBe(true);
  });

  it("gets responses", async () => {
    const { body } = await openai.as(secret, "POST", "/responses", { model: "gpt-5", input: "hello" });
    expect(body).toMatchObject({ object: "response", status: "completed", output: [{ type: "message" }] });
  });

  it("is refused unknown models, models of another kind, and bodies without a question", async () => {
    expect(await openai.chat(secret, "gpt-0")).toMatchObject({
      status: 404,
      body: { error: { code: "model_not_found" } },
    });
    expect((await openai.chat(secret, "whisper-1")).status).toBe(404);
    expect((await openai.as(secret, "POST", "/chat/completions", { model: "gpt-5" })).status).toBe(400);
    expect((await openai.as(secret, "GET", "/files")).status).toBe(404);
  });
});

describe("any other key", () => {
  it.each([
    ["POST", "/chat/completions"],
    ["POST", "/responses"],
    ["GET", "/models"],
  ])("is refused at %s %s with 401 invalid_api_key", async (method, path) => {
    const body = method === "POST" ? { model: "gpt-5", input: "x", messages: [{ role: "user" }] } : undefined;
    const answer = await openai.as("sk-svcacct-unknown-to-the-vendor", method, path, body);
    expect(answer).toMatchObject({ status: 401, body: { error: { code: "invalid_api_key" } } });
    expect(answer.body.error.message).not.toContain("unknown-to");
  });

  it("is refused when it names another organization", async () => {
    const answer = await fetch(`${openai.server.url}/v1/models`, {
      headers: { authorization: `Bearer ${secret}`, "openai-organization": "org-other" },
    });
    expect(answer.status).toBe(401);
  });
});
