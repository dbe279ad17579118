import { randomBytes } from "node:crypto";
import { KeyGateError } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import type { Secret } from "@keygate/shared/secret";
import type { VendorSettings } from "@keygate/shared/vendor-settings";
import { afterEach } from "vitest";
import { runSteps, undoSteps } from "../src/saga/run.ts";
import type { SagaContext, SagaKey, SagaState } from "../src/saga/step.ts";
import { WaitForVendor } from "../src/saga/wait.ts";
import { createBreaker } from "../src/vendors/breaker.ts";
import { googleVertex } from "../src/vendors/google-vertex/adapter.ts";
import type { GoogleState } from "../src/vendors/google-vertex/state.ts";
import { createVendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import type { Issued } from "../src/vendors/vendor.ts";
import { startGoogle } from "./fixtures/google-vertex.ts";
import { createMemoryJournal, type MemoryJournal } from "./memory-journal.ts";

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).toReversed()) await one.close();
});

export type Saga = "provision" | "rotate" | "revoke" | "revoke-last" | "dismantle";
export type World = Awaited<ReturnType<typeof startWorld>>;

/** A job about one key, whose journal and handoff are in memory. */
export interface Job {
  key: SagaKey;
  journal: MemoryJournal;
  delivered: Secret[];
  /** One try. */
  once(saga: Saga, initial?: SagaState): Promise<GoogleState>;
  /** Tries like the worker, as long as a failure is one that passes by itself. */
  run(saga: Saga, initial?: SagaState): Promise<GoogleState>;
  undo(saga: Saga, initial?: SagaState): Promise<void>;
  undoOnce(saga: Saga, initial?: SagaState): Promise<void>;
  describe(state: SagaState): Issued;
  /** The file that was handed over last. */
  secret(): Secret;
}

export const dayMs = 86_400_000;
// Longer than a busy machine needs for a key pair: a call that is given up would count as one whose answer was lost.
const timeoutMs = 15_000;
const runOptions = { settleMs: 0, checkpoint: async () => {} };
const triesMax = 60;

const stepsOf = (saga: Saga) => {
  if (saga === "revoke" || saga === "revoke-last") return googleVertex.revoke(saga === "revoke-last");
  return googleVertex[saga];
};

/**
 * A simulated Google, a client of it, and jobs. `settleMs` instead of the adapter's own two minutes saves what it waits
 * between its looks at a new account, where nothing in the test takes that long to appear.
 */
export async function startWorld(
  vendorSettings: Record<string, unknown> = {},
  options: { role?: boolean; settleMs?: number } = {},
) {
  const google = await startGoogle(options);
  open.push(google);
  google.set(vendorSettings);

  function connect(over: Partial<VendorSettings> = {}): unknown {
    const http = createVendorHttp({ timeoutMs, limiter: createLimiter(10), breaker: createBreaker() });
    open.push(http);
    const settle = options.settleMs === undefined ? {} : { settleMs: options.settleMs };
    return googleVertex.connect({ ...google.settings, ...over }, { http, timeoutMs, ...settle });
  }
  const client = connect();
  const expiresAt = new Date(Date.now() + 90 * dayMs);

  function job(over: Partial<SagaKey> = {}, using: unknown = client): Job {
    const at = new Date(google.main.now());
    const key: SagaKey = {
      id: newId("key"),
      jobId: newId("job"),
      developerId: newId("dev"),
      projectName: `keygate-engines-ada-${randomBytes(3).toString("hex")}`,
      budgetMicros: 50_000_000,
      rateLimitRpm: 60,
      modelsAllowed: null,
      expiresAt,
      createdAt: at,
      jobCreatedAt: at,
      ...over,
    };
    const journal = createMemoryJournal();
    const delivered: Secret[] = [];
    const begunAt = google.main.now();
    const context: SagaContext<unknown> = {
      client: using,
      key,
      input: null,
      async deliver(secret) {
        delivered.push(secret);
        return { hint: "{…}", fingerprints: ["fp"] };
      },
      isTracked: async () => false,
      stepAgeMs: async () => google.main.now() - begunAt,
      unsureMs: async () => google.main.now() - begunAt,
      now: () => new Date(google.main.now()),
    };
    const once: Job["once"] = (saga, initial = {}) => runSteps(stepsOf(saga), context, initial, journal, runOptions);
    const undoOnce: Job["undoOnce"] = (saga, initial = {}) =>
      undoSteps(stepsOf(saga), context, initial, journal, runOptions);
    return {
      key,
      journal,
      delivered,
      once,
      run: (saga, initial) => persist(() => once(saga, initial), google.advance),
      undo: (saga, initial) => persist(() => undoOnce(saga, initial), google.advance),
      undoOnce,
      describe: (state) => googleVertex.describe(state, key, using),
      secret() {
        const last = delivered.at(-1);
        if (!last) throw new Error("nothing was delivered");
        return last;
      },
    };
  }

  return {
    google,
    client,
    connect,
    job,
    books: google.books,
    violations: () => google.servers.flatMap((server) => server.violations().map(({ reason }) => reason)),
    /** A finished provisioning and what stands in its key's row. */
    async provisioned(over: Partial<SagaKey> = {}) {
      const made = job(over);
      const state = await made.run("provision");
      return { job: made, state, ...issuedOf(made, state) };
    },
    /** A successor of a key, made from what its row holds. */
    async rotated(vendorRef: SagaState, over: Partial<SagaKey> = {}) {
      const made = job(over);
      const state = await made.run("rotate", vendorRef);
      return { job: made, state, ...issuedOf(made, state) };
    },
    use: (made: Job, instructions: Parameters<typeof google.use>[1]) => google.use(made.secret(), instructions),
    account: (email: string | undefined) => google.books().accounts.findLast((account) => account.email === email),
    /** Bindings that name none of ours. */
    othersBindings: () =>
      google
        .books()
        .policy.bindings.filter(({ members }) => !members.some((member) => member.includes(":keygate-engines"))),
  };
}

function issuedOf(made: Job, state: GoogleState) {
  const { vendorRef, limits, instructions } = made.describe(state);
  return { vendorRef: vendorRef as GoogleState, limits, instructions };
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
      if (error instanceof WaitForVendor) pass(error.delayMs);
    }
  }
}
