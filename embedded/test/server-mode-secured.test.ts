import { createHash, randomUUID } from "node:crypto";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { expect, onTestFinished, test, vi } from "vitest";
import type { Child } from "../src/child.ts";
import type { Answer, ApiClient } from "../src/demo/api-client.ts";
import { startServerMode } from "../test-support/server-mode.ts";
import { ask } from "./harness.ts";
import { secureSetting, unencrypted } from "./secured-setting.ts";

vi.setConfig({ testTimeout: 600_000 });

test("two APIs and three workers behind PgBouncer, with passwords and TLS everywhere, lose nothing in a rolling restart under load", async () => {
  const { env, postgres } = await secureSetting("redis");
  const mode = await startServerMode("redis", { apis: 2, workers: 3, env, databaseUrl: postgres.url });
  onTestFinished(() => mode.close());
  expect(await ask(postgres.url, unencrypted)).toBeNull();

  let apis: ApiClient[] = [...mode.apis];
  let isOver = false;
  const taken: { keyId: string; secret: string }[] = [];
  const [first] = apis;
  const who = await first?.call("POST", "/api/v1/developers", { name: "Ada Lovelace", email: "ada@acme.test" });

  /** Asks whichever API answers; one that is stopping breaks connections, and the same request goes to another. */
  async function anywhere(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      const api = apis[tries % apis.length];
      const answer = await api?.call(method, path, body, headers).catch(() => null);
      if (answer && ![409, 429, 503].includes(answer.status)) return answer;
      if (tries > 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async function load(): Promise<void> {
    while (!isOver) {
      const asked = await anywhere(
        "POST",
        "/api/v1/keys/provision",
        { developer_id: who?.body.id, vendor: "openai", models_allowed: ["gpt-4o"] },
        { "idempotency-key": randomUUID(), prefer: "respond-async" },
      );
      expect(asked.status, JSON.stringify(asked.body)).toBe(202);
      const claim = { claim_token: asked.body.claim_token };
      const path = `/api/v1/jobs/${asked.body.job_id}`;
      await vi.waitFor(
        async () => {
          const { body } = await anywhere("GET", path, undefined, {});
          expect(body.status, JSON.stringify(body.error)).toBe("succeeded");
        },
        { timeout: 120_000, interval: 200 },
      );
      const got = await anywhere("POST", `${path}/claim`, claim, { "idempotency-key": randomUUID() });
      expect(got.status, JSON.stringify(got.body)).toBe(200);
      taken.push({ keyId: String(got.body.key_id), secret: String(got.body.api_key) });
    }
  }

  const loads = Array.from({ length: 4 }, load);
  const exits: (number | null)[] = [];
  const replace = async (old: Child | undefined, start: () => Promise<unknown>) => {
    const before = taken.length;
    await start();
    await old?.stop(30_000);
    exits.push(old?.process.exitCode ?? null);
    await vi.waitFor(() => expect(taken.length).toBeGreaterThan(before), { timeout: 120_000, interval: 100 });
  };
  for (const worker of mode.workers) await replace(worker, () => mode.startWorker());
  for (const [index, api] of mode.apiProcesses.entries()) {
    await replace(api, async () => {
      const { client } = await mode.startApi();
      apis = [...apis.filter((each) => each !== mode.apis[index]), client];
    });
  }
  isOver = true;
  await Promise.all(loads);
  expect(exits).toEqual([0, 0, 0, 0, 0]);

  // What people hold is what lives at the vendor, and what the database calls active: no more and no less.
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const live = (mode.openai.books() as OpenAiBooks).keys.filter((key) => key.live).map((key) => key.secret_sha256);
  expect(live.sort()).toEqual(taken.map(({ secret }) => sha256(secret)).sort());
  expect(await ask(postgres.url, "select count(*)::int from keys where status = 'active'")).toBe(taken.length);
  expect(await ask(postgres.url, "select count(*)::int from jobs where state not in ('succeeded')")).toBe(0);
  console.log(
    `Rolling restart of 2 APIs and 3 workers under load: ${taken.length} keys made, none lost, none left over.`,
  );
});
