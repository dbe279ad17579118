import type { Secret } from "@keygate/shared/secret";

/** What every saga's state may hold beside the vendor's own ids; it goes into the journal, so never a secret. */
export interface SagaState {
  /** What was noted about a key when it was sealed. */
  issued?: { hint: string; fingerprints: string[] };
}

/** What a step may use, whatever the vendor. */
export interface SagaContext<Client> {
  client: Client;
  key: SagaKey;
  /** Seals the key to its receiver and puts it into the handoff. Returns what may be kept of it. */
  deliver(secret: Secret): Promise<{ hint: string; fingerprints: string[] }>;
  /** What a person gave the job, if it was waiting for that. */
  input: Secret | null;
  /** Whether the input belongs to somebody else's key: those known to KeyGate by fingerprint or vendor id. */
  isTracked(what: { secret: Secret } | { vendorKeyId: string }): Promise<boolean>;
  /** Milliseconds since the running step was first started. */
  stepAgeMs(): Promise<number>;
  /** Milliseconds since the running step first asked this, which it does when it misses what should be on a list. */
  unsureMs(): Promise<number>;
  now(): Date;
}

/** What was asked for, in the units that the database keeps. */
export interface SagaKey {
  id: string;
  jobId: string;
  developerId: string;
  /** Whose key it will be, where the vendor knows people by their address. */
  developerEmail?: string;
  /** The name that was reserved for what is made at the vendor. */
  projectName: string;
  budgetMicros: number;
  rateLimitRpm: number;
  modelsAllowed: readonly string[] | null;
  expiresAt: Date | null;
  createdAt: Date;
  /** When the job was asked for: nothing of it can be older at the vendor. */
  jobCreatedAt: Date;
}

/**
 * What an undoing has to say. `unsure`: it looked and found nothing, which lists that lag say too, so it is asked again
 * until that has lasted for the settle time.
 */
// biome-ignore lint/suspicious/noConfusingVoidType: nearly all of them have nothing to say
export type Undone = "unsure" | void;

/**
 * One step of a saga. It says how to run, how to find what an earlier try made, and how to undo it; the runner decides
 * when.
 */
export interface Step<Ctx, State> {
  name: string;
  run(ctx: Ctx, state: State): Promise<Partial<State>>;
  /** What a lost try may have left at the vendor, by the names that we chose. Null when nothing is there. */
  find: ((ctx: Ctx, state: State) => Promise<Partial<State> | null>) | null;
  /** Repeatable; "already gone" is success. `null` states that nothing is left behind. */
  undo: ((ctx: Ctx, state: State) => Promise<Undone>) | null;
  /**
   * `adopt`: what was found is the result. `replace`: its secret was shown only once, so it is removed and made anew.
   * `repeat`: running twice does no harm, nothing has to be looked for.
   */
  onFound: "adopt" | "replace" | "repeat";
  /** The step hands the key over; it runs again when the sealed key was lost before anybody took it. */
  delivers?: true;
}
