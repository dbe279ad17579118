import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { KeyGateError, must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { Secret } from "@keygate/shared/secret";
import type { Journal } from "../src/saga/journal.ts";
import { runSteps, undoSteps } from "../src/saga/run.ts";
import type { SagaContext, SagaKey, SagaState } from "../src/saga/step.ts";
import { WaitForInput, WaitForVendor } from "../src/saga/wait.ts";
import { createBreaker } from "../src/vendors/breaker.ts";
import { createVendorHttp } from "../src/vendors/http.ts";
import { createLimiter } from "../src/vendors/limiter.ts";
import type { AnyVendor, Issued, VendorStep } from "../src/vendors/vendor.ts";
import { Crash, type Doom, die, mortalHttp, mortalJournal } from "./conformance-crash.ts";
import type { RunningFixture, VendorFixture } from "./fixtures/fixture.ts";
import { createMemoryJournal, type MemoryJournal } from "./memory-journal.ts";

/** A vendor under the conformance tests. */
export interface Candidate {
  vendor: AnyVendor;
  fixture: VendorFixture;
  /** Knobs of its simulator, turned on every server that has them: mostly to make it quick, or its lists slow. */
  settings?: Record<string, unknown>;
  /** Its client answers a first 401 with a new access token, so that it takes two to show that the credential is bad. */
  renewsTokens?: true;
}

/** A key that was handed over, as its row and its holder would have it. */
export interface Held extends Issued {
  secret: Secret;
}

export type Steps = readonly VendorStep<unknown, SagaState>[];
export type World = Awaited<ReturnType<typeof openWorld>>;
export type Job = ReturnType<World["job"]>;

// No call is left hanging on purpose: this is for a machine that is busy.
const timeoutMs = 30_000;
const settleMs = 30;
const triesMax = 300;
/** What a wait costs the test; the rest of it passes on the vendor's clock. */
const realWaitMaxMs = settleMs + 25;

const dayMs = 86_400_000;
// One model keeps the number of calls small where each model costs some.
const modelsOf = (vendor: AnyVendor) => (/openai/.test(vendor.id) ? ["gpt-4o"] : null);

/** A simulated vendor, and jobs at it whose journal and handoff are in memory. */
export async function openWorld({ vendor, fixture: { start }, settings = {} }: Candidate) {
  const fixture: RunningFixture = await start();
  const main = must(fixture.servers[0], "the vendor's main server");
  for (const server of fixture.servers) {
    const known = Object.entries(settings).filter(([name]) => name in server.settings());
    if (known.length > 0) server.mergeSettings(Object.fromEntries(known));
  }
  const seen: unknown[] = [];
  const secrets: Secret[] = [fixture.settings.adminKey];
  const tracked = { secrets: new Map<string, string>(), ids: new Map<string, string>() };

  /** Lets the vendor's clock go on, mostly without waiting for it. */
  async function pass(ms: number): Promise<void> {
    for (const server of fixture.servers) server.advanceClock(Math.ceil(ms));
    await sleep(Math.min(ms, realWaitMaxMs));
  }

  function job() {
    const at = new Date(main.now());
    const key: SagaKey = {
      id: newId("key"),
      jobId: newId("job"),
      developerId: newId("dev"),
      projectName: `keygate-e-ada-${randomBytes(3).toString("hex")}`,
      budgetMicros: 50_000_000,
      rateLimitRpm: 60,
      modelsAllowed: modelsOf(vendor),
      expiresAt: new Date(at.getTime() + 90 * dayMs),
      createdAt: at,
      jobCreatedAt: at,
    };
    const journal: MemoryJournal = createMemoryJournal();
    const doom: Doom = { calls: 0, writes: 0, crashes: 0, isDead: false };
    const delivered: Secret[] = [];
    let input: Secret | null = null;

    /** One try in a process of its own: a new connection, a new client, nothing but the journal from before. */
    async function attempt<T>(work: (ctx: SagaContext<unknown>, journal: Journal, enter: (step: string) => void) => T) {
      doom.isDead = false;
      const http = createVendorHttp({ timeoutMs, limiter: createLimiter(10), breaker: createBreaker() });
      let entered = main.now();
      let running = "";
      const client = vendor.connect(fixture.settings, { http: mortalHttp(http, doom), timeoutMs, settleMs });
      const ctx: SagaContext<unknown> = {
        client,
        key,
        input,
        async deliver(secret) {
          if (doom.isDead) die(doom);
          delivered.push(secret);
          secrets.push(secret);
          return { hint: "ab...yz", fingerprints: ["fingerprint"] };
        },
        async isTracked(what) {
          const owner =
            "secret" in what ? tracked.secrets.get(what.secret.reveal()) : tracked.ids.get(what.vendorKeyId);
          return owner !== undefined && owner !== key.id;
        },
        stepAgeMs: async () => main.now() - entered,
        unsureMs: () => journal.markUnsure(running),
        now: () => new Date(main.now()),
      };
      const enter = (step: string) => {
        running = step;
        entered = ages.get(step) ?? main.now();
        ages.set(step, entered);
      };
      try {
        const made = await work(ctx, mortalJournal(journal, doom), enter);
        if (doom.isDead) throw new Crash("the process ended before it could say so");
        return made;
      } catch (error) {
        seen.push(error);
        throw error;
      } finally {
        await http.close();
      }
    }
    const ages = new Map<string, number>();

    /** Tries like the worker: waits are waited for, a person brings what is asked for, a dead process is followed by another. */
    async function persist<T>(once: () => Promise<T>, stopAtFailures: boolean, tries = triesMax): Promise<T> {
      for (let tried = 1; ; tried++) {
        try {
          return await once();
        } catch (error) {
          if (tried >= tries) throw error;
          if (error instanceof WaitForInput && error.refusal === null && fixture.makeKeyByHand) {
            const { instructions } = error.waiting;
            input = new Secret(await fixture.makeKeyByHand({ instructions, state: {} }));
            secrets.push(input);
          } else if (error instanceof WaitForVendor) {
            await pass(error.delayMs);
          } else if (error instanceof KeyGateError && !stopAtFailures && passes(error)) {
            await pass(error.retryAfterMs ?? 20);
          } else if (!(error instanceof Crash)) {
            throw error;
          }
        }
      }
    }

    return {
      key,
      journal,
      doom,
      delivered,
      /** @param until stops before the step of this number, as if the job had been cancelled there. */
      async run(
        steps: Steps,
        initial: SagaState = {},
        options: { until?: number; stopAtFailures?: boolean; tries?: number } = {},
      ) {
        const some = options.until === undefined ? steps : steps.slice(0, options.until);
        const once = () =>
          attempt((ctx, written, enter) =>
            runSteps(some, ctx, initial, written, { settleMs, checkpoint: async ({ name }) => enter(name) }),
          );
        return persist(once, options.stopAtFailures ?? false, options.tries);
      },
      /** Runs until the process ends, and leaves it at that. */
      async runUntilCrash(steps: Steps, initial: SagaState): Promise<void> {
        const crashesBefore = doom.crashes;
        const once = async () => {
          if (doom.crashes > crashesBefore) return;
          await attempt((ctx, written, enter) =>
            runSteps(steps, ctx, initial, written, { settleMs, checkpoint: async ({ name }) => enter(name) }),
          );
        };
        await persist(once, false);
      },
      /** @param marks `lost`: what was undone is not noted, so that all of it will be undone again. */
      async undo(steps: Steps, initial: SagaState = {}, marks: "kept" | "lost" = "kept") {
        const once = () =>
          attempt((ctx, written) => {
            const noted = marks === "kept" ? written : { ...written, markUndone: async () => {} };
            return undoSteps(steps, ctx, initial, noted, { settleMs });
          });
        return persist(once, false);
      },
      /** What becomes of a finished job, as when its key is made active. */
      hold(state: SagaState): Held {
        const secret = must(delivered.at(-1), "a delivered key");
        const http = createVendorHttp({ timeoutMs, limiter: createLimiter(10), breaker: createBreaker() });
        const client = vendor.connect(fixture.settings, { http, timeoutMs, settleMs });
        const issued = vendor.describe(state, key, client);
        tracked.secrets.set(secret.reveal(), key.id);
        tracked.ids.set(must(vendor.inventory.keyOf(issued.vendorRef), "the vendor's id of the key"), key.id);
        return { ...issued, vendorRef: JSON.parse(JSON.stringify(issued.vendorRef)), secret };
      },
    };
  }

  return { vendor, fixture, main, seen, secrets, job, pass, close: () => fixture.close() };
}

const passes = (error: KeyGateError) => ["retryable", "ambiguous", "rate_limited"].includes(error.kind);
