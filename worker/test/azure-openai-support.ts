import { randomBytes } from "node:crypto";
import { KeyGateError } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import type { Secret } from "@keygate/shared/secret";
import type { VendorSettings } from "@keygate/shared/vendor-settings";
import { afterEach } from "vitest";
import { runSteps, undoSteps } from "../src/saga/run.ts";
import type { SagaContext, SagaKey, SagaState } from "../src/saga/step.ts";
import { WaitForVendor } from "../src/saga/wait.ts";
import { azureOpenAi } from "../src/vendors/azure-openai/adapter.ts";
import type { AzureState } from "../src/vendors/azure-openai/state.ts";
import { createBreaker } from "../src/vendors/breaker.ts";
import { createVendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import { startAzureFixture } from "./fixtures/azure-openai.ts";
import { createMemoryJournal } from "./memory-journal.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

export type Saga = "provision" | "rotate" | "revoke" | "revoke-last" | "dismantle";
export type World = Awaited<ReturnType<typeof startWorld>>;
export type Job = ReturnType<World["job"]>;

const timeoutMs = 2_000;
const settleMs = 60_000;
const triesMax = 400;

const stepsOf = (saga: Saga) => {
  if (saga === "revoke" || saga === "revoke-last") return azureOpenAi.revoke(saga === "revoke-last");
  return azureOpenAi[saga];
};

/** A simulated Azure, a client of it, and jobs whose journal and handoff are in memory. Time is the vendor's. */
export async function startWorld(vendorSettings: Record<string, unknown> = {}) {
  const fixture = await startAzureFixture();
  open.push(fixture);
  const { arm, entra } = fixture.azure;
  arm.mergeSettings({ create_ms: 0, write_ms: 0, ...vendorSettings });

  function connect(extra: Record<string, unknown> = {}, over: Partial<VendorSettings> = {}): unknown {
    const http = createVendorHttp({ timeoutMs, limiter: createLimiter(10), breaker: createBreaker() });
    open.push(http);
    const { settings } = fixture;
    const deps = { http, timeoutMs, settleMs };
    return azureOpenAi.connect({ ...settings, ...over, extra: { ...settings.extra, ...extra } }, deps);
  }
  const client = connect();

  function job(over: Partial<SagaKey> = {}, using: unknown = client) {
    const at = new Date(arm.now());
    const key: SagaKey = {
      id: newId("key"),
      jobId: newId("job"),
      developerId: newId("dev"),
      projectName: `keygate-engines-ada-${randomBytes(3).toString("hex")}`,
      budgetMicros: 50_000_000,
      rateLimitRpm: 60,
      modelsAllowed: ["gpt-4o"],
      expiresAt: new Date(at.getTime() + 90 * 86_400_000),
      createdAt: at,
      jobCreatedAt: at,
      ...over,
    };
    const journal = createMemoryJournal(() => arm.now());
    const delivered: Secret[] = [];
    const entered = new Map<string, number>();
    let current = "";
    const context: SagaContext<unknown> = {
      client: using,
      key,
      input: null,
      async deliver(secret) {
        delivered.push(secret);
        return { hint: "abcd...wxyz", fingerprints: ["fp"] };
      },
      isTracked: async () => false,
      stepAgeMs: async () => arm.now() - (entered.get(current) ?? arm.now()),
      unsureMs: async () => arm.now() - (entered.get(current) ?? arm.now()),
      now: () => new Date(arm.now()),
    };
    const runOptions = {
      settleMs: 0,
      async checkpoint(step: { name: string }) {
        current = step.name;
        if (!entered.has(current)) entered.set(current, arm.now());
      },
    };
    const undoOnce = async (saga: Saga, initial: SagaState = {}) => {
      // As in the worker, a step that is undone has no age.
      current = "";
      await undoSteps(stepsOf(saga), context, initial, journal, { ...runOptions, settleMs });
    };
    const once = (saga: Saga, initial: SagaState = {}): Promise<AzureState> =>
      runSteps(stepsOf(saga), context, initial, journal, runOptions);
    return {
      key,
      journal,
      delivered,
      once,
      undoOnce,
      /** Tries like the worker, as long as a failure is one that passes by itself. */
      run: (saga: Saga, initial: SagaState = {}) => persist(() => once(saga, initial), arm.advanceClock),
      undo: (saga: Saga, initial: SagaState = {}) => persist(() => undoOnce(saga, initial), arm.advanceClock),
      describe: (state: SagaState) => azureOpenAi.describe(state, key, using),
      /** The key that was handed over last. */
      secret(): Secret {
        const last = delivered.at(-1);
        if (!last) throw new Error("nothing was delivered");
        return last;
      },
    };
  }

  /** What becomes of a finished job: what its key's row would hold, and whether the key works. */
  function issuedOf(made: ReturnType<typeof job>, state: AzureState) {
    const { vendorRef, limits, instructions } = made.describe(state);
    const use = () => fixture.use(made.secret(), instructions);
    return { job: made, state, vendorRef: vendorRef as AzureState, limits, instructions, use };
  }

  return {
    fixture,
    arm,
    entra,
    client,
    connect,
    job,
    books: fixture.books,
    leftovers: fixture.leftovers,
    violations: () => [arm, entra].flatMap((server) => server.violations().map(({ reason }) => reason)),
    async provisioned(over: Partial<SagaKey> = {}) {
      const made = job(over);
      return issuedOf(made, await made.run("provision"));
    },
    /** A successor of a key, made from what its row holds. */
    async rotated(vendorRef: SagaState, over: Partial<SagaKey> = {}) {
      const made = job(over);
      return issuedOf(made, await made.run("rotate", vendorRef));
    },
    async revoked(vendorRef: SagaState, saga: Saga = "revoke-last") {
      return job().run(saga, vendorRef);
    },
    /** A call with the admin's credential, as a person with a script would make it. */
    async admin(method: string, path: string, body?: unknown) {
      const { tokens, credential, place } = fixture.azure;
      const token = tokens.issue(credential, arm.url, arm.now(), 3_600);
      const url = `${arm.url}/subscriptions/${place.subscriptionId}${path}?api-version=2026-03-01`;
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      return fetch(url, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    },
    /** A call for a chat to one deployment of a key. */
    async chat(secret: Secret, endpoint: string, deployment: string): Promise<number> {
      const answer = await fetch(
        `${endpoint}openai/deployments/${deployment}/chat/completions?api-version=2024-10-21`,
        {
          method: "POST",
          headers: { "api-key": secret.reveal(), "content-type": "application/json" },
          body: JSON.stringify({ messages: [{ role: "user", content: "hi" }] }),
        },
      );
      return answer.status;
    },
  };
}

/** Tries again like the worker; what it would wait passes on the vendor's clock. */
export async function persist<T>(attempt: () => Promise<T>, pass: (ms: number) => void): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      const passes =
        error instanceof WaitForVendor ||
        (error instanceof KeyGateError && ["retryable", "ambiguous", "rate_limited"].includes(error.kind));
      if (!passes || tries >= triesMax) throw error;
      pass(Math.ceil(error instanceof WaitForVendor ? error.delayMs : (error.retryAfterMs ?? 500)));
    }
  }
}

/** What the promise was rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<KeyGateError> {
  const error = await promise.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (error instanceof KeyGateError) return error;
  throw error instanceof Error ? error : new Error("it did not fail");
}
