import { must } from "@keygate/shared/errors";
import type { SagaContext, SagaState } from "../../saga/step.ts";
import type { VendorStep } from "../vendor.ts";
import type { AccountRef, GoogleClient } from "./client.ts";

export interface GoogleState extends SagaState {
  /** Where the account is, whatever is configured later. */
  projectId?: string;
  role?: string;
  email?: string;
  /** The account's number, which is never given to another; `undelete` wants it. */
  uniqueId?: string;
  /** When we last asked for the account, or found it: it may stay invisible for a while. */
  accountMadeAt?: string;
  /** It was seen three times in a row. */
  isVisible?: true;
  /** The end in the grant's condition; null is a grant without one. */
  accessUntil?: string | null;
  /** What a rotation found there, to put it back. */
  accessUntilBefore?: string | null;
  keyId?: string;
  /** Keys of the same account that were issued before and may still be in use. */
  previousKeyIds?: string[];
  /** `upload`: the pair was made here, and its certificate ends with the key. `create`: Google made it, without an end. */
  keyMadeBy?: "upload" | "create";
  /** The key's own end at Google, where it has one. */
  keyValidUntil?: string | null;
}

export type Ctx = SagaContext<GoogleClient>;
export type GoogleStep = VendorStep<GoogleClient, GoogleState>;

/** The account of a state; null when none was made yet. */
export const accountOf = (state: GoogleState): AccountRef | null =>
  state.email ? { projectId: must(state.projectId, "projectId"), email: state.email } : null;

export const requireAccount = (state: GoogleState): AccountRef => must(accountOf(state), "the service account");

/** The time as Google's conditions and certificates have it: whole seconds, rounded down, so never later than asked. */
export const wholeSeconds = (at: Date): string => at.toISOString().replace(/\.\d+Z$/, "Z");

/** Whether "not found" about the account may still mean "not yet", or "not everywhere yet". */
export const mayBeInvisible = ({ client, now }: Pick<Ctx, "client" | "now">, state: GoogleState): boolean =>
  isYoung({ now }, state, client.settleMs);

/** Whether the account was made less than so many milliseconds ago. */
export const isYoung = (ctx: Pick<Ctx, "now">, state: GoogleState, withinMs: number): boolean =>
  ageMs(ctx, state) < withinMs;

const ageMs = ({ now }: Pick<Ctx, "now">, state: GoogleState) =>
  state.accountMadeAt === undefined ? Number.POSITIVE_INFINITY : now().getTime() - Date.parse(state.accountMadeAt);

const pauseMaxMs = 15_000;

/** When to look again for what a new account lacks: soon at first, then less often. */
export const pauseFor = (ctx: Pick<Ctx, "now">, state: GoogleState): number =>
  Math.min(pauseMaxMs, 1_000 + Math.max(0, ageMs(ctx, state)) / 4);
