import { createHash, randomBytes } from "node:crypto";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { Secret } from "@keygate/shared/secret";
import type { VendorSettings } from "@keygate/shared/vendor-settings";
import { afterEach } from "vitest";
import { z } from "zod";
import { runSteps, undoSteps } from "../src/saga/run.ts";
import type { SagaContext, SagaKey, SagaState } from "../src/saga/step.ts";
import { WaitForInput, WaitForVendor } from "../src/saga/wait.ts";
import { anthropic } from "../src/vendors/anthropic/adapter.ts";
import type { AnthropicState } from "../src/vendors/anthropic/state.ts";
import { createBreaker } from "../src/vendors/breaker.ts";
import { createVendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import { AnthropicBooks, anthropicFixture, readInstructions } from "./fixtures/anthropic.ts";
import { createMemoryJournal } from "./memory-journal.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

const MadeKey = z.object({ id: z.string(), secret: z.string(), name: z.string() });
export const runOptions = { settleMs: 0, checkpoint: async () => {} };
type Steps = "provision" | "rotate" | "revoke" | "revoke-last" | "dismantle";

export type World = Awaited<ReturnType<typeof startWorld>>;
export type Job = ReturnType<World["job"]>;

/** A simulated Anthropic, a client of it, and jobs whose journal and handoff are in memory. */
export async function startWorld(vendorSettings: Record<string, unknown> = {}) {
  const fixture = await anthropicFixture.start();
  const server = must(fixture.servers[0], "server");
  server.mergeSettings(vendorSettings);
  open.push(fixture);
  /** What KeyGate's key rows would answer; by the key that they belong to. */
  const tracked = { secrets: new Map<string, string>(), vendorKeyIds: new Map<string, string>() };

  function connect(over: Partial<VendorSettings> = {}): unknown {
    const http = createVendorHttp({ timeoutMs: 2_000, limiter: createLimiter(10), breaker: createBreaker() });
    open.push(http);
    return anthropic.connect({ ...fixture.settings, ...over }, { http, timeoutMs: 2_000 });
  }
  const client = connect();

  function job(over: Partial<SagaKey> = {}, using: unknown = client) {
    const key: SagaKey = {
      id: newId("key"),
      jobId: newId("job"),
      developerId: newId("dev"),
      projectName: `keygate-engines-ada-${randomBytes(3).toString("hex")}`,
      budgetMicros: 50_000_000,
      rateLimitRpm: 60,
      modelsAllowed: null,
      expiresAt: new Date(server.now() + 90 * 86_400_000),
      createdAt: new Date(server.now()),
      jobCreatedAt: new Date(server.now()),
      ...over,
    };
    const journal = createMemoryJournal(() => server.now());
    const delivered: string[] = [];
    let missedAt: number | null = null;
    const contextWith = (input: string | null): SagaContext<unknown> => ({
      client: using,
      key,
      input: input === null ? null : new Secret(input),
      async deliver(secret) {
        delivered.push(secret.reveal());
        return { hint: `${secret.reveal().slice(0, 13)}...`, fingerprints: ["fp"] };
      },
      async isTracked(what) {
        const owner =
          "secret" in what ? tracked.secrets.get(what.secret.reveal()) : tracked.vendorKeyIds.get(what.vendorKeyId);
        return owner !== undefined && owner !== key.id;
      },
      stepAgeMs: async () => 0,
      unsureMs: async () => {
        missedAt ??= server.now();
        return server.now() - missedAt;
      },
      now: () => new Date(server.now()),
    });
    const stepsOf = (name: Steps) => {
      if (name === "revoke" || name === "revoke-last") return anthropic.revoke(name === "revoke-last");
      return anthropic[name];
    };

    return {
      key,
      journal,
      delivered,
      contextWith,
      async run(name: Steps, input: string | null = null, initial: SagaState = {}): Promise<AnthropicState> {
        return runSteps(stepsOf(name), contextWith(input), initial, journal, runOptions);
      },
      async undo(name: Steps, initial: SagaState = {}, settleMs = 0) {
        await undoSteps(stepsOf(name), contextWith(null), initial, journal, { settleMs });
      },
      /** Runs until it waits for a person. */
      async untilWaiting(name: Steps = "provision", input: string | null = null, initial: SagaState = {}) {
        let outcome = await this.run(name, input, initial).catch((error: unknown) => error);
        // What the job waits out passes on the vendor's clock.
        for (let round = 0; outcome instanceof WaitForVendor && round < 30; round++) {
          server.advanceClock(outcome.delayMs);
          outcome = await this.run(name, input, initial).catch((error: unknown) => error);
        }
        if (outcome instanceof WaitForInput) return outcome;
        throw outcome instanceof Error ? outcome : new Error(`the job does not wait: ${JSON.stringify(outcome)}`);
      },
      describe: (state: SagaState) => anthropic.describe(state, key, using),
      /** As activating the key does. */
      track(state: AnthropicState) {
        for (const secret of delivered) tracked.secrets.set(secret, key.id);
        tracked.vendorKeyIds.set(must(state.keyId, "keyId"), key.id);
      },
    };
  }

  /** As the Console does. */
  async function makeKey(body: Record<string, unknown>) {
    return MadeKey.parse((await server.control("create_key", body))?.body);
  }

  return {
    fixture,
    server,
    tracked,
    client,
    connect,
    job,
    makeKey,
    books: () => AnthropicBooks.parse(server.books()),
    violations: () => server.violations().map(({ reason }) => reason),
    /** The key that the instructions ask for, with what a test wants to be wrong about it. */
    async makeAskedKey(waiting: WaitForInput, over: Record<string, unknown> = {}) {
      const asked = readInstructions(must(waiting.waiting.instructions, "instructions"));
      return makeKey({ workspace_id: asked.workspaceId, name: asked.name, expires_at: asked.expiresAt, ...over });
    },
    /** A call with the Admin key, as a person with a script would make it. */
    async admin(method: string, path: string, body?: unknown) {
      const reply = await fetch(`${server.url}/v1/organizations${path}`, {
        method,
        headers: {
          "x-api-key": fixture.settings.adminKey.reveal(),
          "anthropic-version": "2026-10-21",
          ...(body === undefined ? {} : { "content-type": "application/json" }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      if (reply.status !== 200) throw new Error(`${method} ${path}: ${reply.status}`);
      return z.looseObject({ id: z.string() }).parse(await reply.json());
    },
    /** A finished provisioning and what it left. */
    async provisioned(over: Partial<SagaKey> = {}) {
      const made = job(over);
      const asked = await this.makeAskedKey(await made.untilWaiting());
      const state = await made.run("provision", asked.secret);
      made.track(state);
      return { job: made, state, made: asked, vendorRef: made.describe(state).vendorRef as AnthropicState };
    },
  };
}

/** Tries again like the worker, as long as the failure is one that passes by itself. */
export async function persist<T>(attempt: () => Promise<T>, triesMax = 8): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const passes =
        error instanceof WaitForVendor ||
        (error instanceof Error &&
          "kind" in error &&
          ["retryable", "ambiguous", "rate_limited"].includes(String(error.kind)));
      if (!passes || tries >= triesMax) throw error;
    }
  }
}

export const digest = (secret: string) => createHash("sha256").update(secret).digest("hex");
export const statusOf = (world: World, id: string | undefined) =>
  world.books().keys.find((key) => key.id === id)?.status;

/** A second key next to the first, as a rotation makes it. */
export async function rotated(world: World) {
  const first = await world.provisioned();
  const next = world.job({ projectName: first.job.key.projectName });
  const asked = await world.makeAskedKey(await next.untilWaiting("rotate", null, first.vendorRef));
  const state = await next.run("rotate", asked.secret, first.vendorRef);
  next.track(state);
  return { first, next, asked, state, vendorRef: next.describe(state).vendorRef as AnthropicState };
}
