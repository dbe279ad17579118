import { KeyGateError } from "@keygate/shared/errors";
import type { Journal } from "./journal.ts";
import type { Step } from "./step.ts";
import { traceStep } from "./trace-step.ts";
import { WaitForVendor } from "./wait.ts";

export interface RunOptions<Ctx, State> {
  /** Milliseconds that "not found" has to last before it counts: vendors' lists lag behind their writes. */
  settleMs: number;
  /** Asked before each step; throws when the job shall stop. */
  checkpoint(step: Step<Ctx, State>): Promise<void>;
  onStep?(name: string, event: "started" | "done" | "adopted" | "replaced" | "undone", durationMs: number): void;
}

// More than one lost try can only come from lists that lag longer than their settle time.
const replacementsMax = 10;

/** Waits out the settle time after a look that found nothing, by giving the job back. */
async function requireSettled(journal: Journal, name: string, settleMs: number): Promise<void> {
  const unsureMs = await journal.markUnsure(name);
  if (unsureMs < settleMs) {
    throw new WaitForVendor(
      settleMs - unsureMs + 20,
      "making sure that an earlier call, whose answer was lost, left nothing",
    );
  }
}

/**
 * Runs the steps that are not done, in order. A step that an earlier try started is looked for first, and adopted,
 * replaced or run again. The journal is written before and after each step.
 *
 * @returns the state: what was given and what all steps made.
 * @throws what a step throws, or WaitForVendor while it cannot yet be known what an earlier try left.
 */
export async function runSteps<Ctx, State extends object>(
  steps: readonly Step<Ctx, State>[],
  ctx: Ctx,
  initial: State,
  journal: Journal,
  options: RunOptions<Ctx, State>,
): Promise<State> {
  let state: State = { ...initial, ...(journal.made() as Partial<State>) };
  // The journal notes the next step in the same write that ends the one before; that one was not tried yet.
  let fresh: string | null = null;

  for (const [index, step] of steps.map(traceStep).entries()) {
    if (journal.statusOf(step.name) === "done") continue;
    await options.checkpoint(step);
    const begun = Date.now();
    const place = (offset: number) => ({ position: index + 1 + offset, of: steps.length });
    const triedBefore = journal.statusOf(step.name) === "started" && fresh !== step.name;
    let made: Partial<State> | null = null;
    let event: "done" | "adopted" | "replaced" = "done";

    if (triedBefore && step.onFound !== "repeat" && step.find) {
      let found = await step.find(ctx, state);
      if (found && step.onFound === "adopt") {
        made = found;
        event = "adopted";
      } else if (found) {
        for (let round = 0; found && round < replacementsMax; round++) {
          await step.undo?.(ctx, { ...state, ...found });
          found = await step.find(ctx, state);
        }
        event = "replaced";
      } else {
        await requireSettled(journal, step.name, options.settleMs);
      }
    }

    if (!made) {
      if (journal.statusOf(step.name) !== "started" || (triedBefore && step.onFound !== "repeat")) {
        await journal.start({ name: step.name, ...place(0) });
      }
      options.onStep?.(step.name, "started", 0);
      try {
        made = await step.run(ctx, state);
      } catch (error) {
        // The vendor surely did nothing: nothing to look for next time, and nothing to undo. Of a step that is simply
        // repeated that cannot be said, since an earlier try was not looked for.
        const surelyNothing = !(triedBefore && step.onFound === "repeat");
        const saysSo = (error instanceof KeyGateError || error instanceof WaitForVendor) && error.nothingHappened;
        if (saysSo && surelyNothing) await journal.forget(step.name);
        throw error;
      }
    }
    const next = steps[index + 1];
    const untried = next && journal.statusOf(next.name) === undefined ? next : null;
    await journal.finish(
      { name: step.name, made, isLast: !next },
      untried ? { name: untried.name, ...place(1) } : null,
    );
    fresh = untried?.name ?? null;
    state = { ...state, ...made };
    options.onStep?.(step.name, event, Date.now() - begun);
  }
  return state;
}

/**
 * Undoes every started step backwards. A step that died half-way may have worked, so it is looked for first, and "not
 * found" counts only after the settle time. Repeatable: what was undone stays undone.
 */
export async function undoSteps<Ctx, State extends object>(
  steps: readonly Step<Ctx, State>[],
  ctx: Ctx,
  initial: State,
  journal: Journal,
  options: Pick<RunOptions<Ctx, State>, "settleMs" | "onStep">,
): Promise<void> {
  const state: State = { ...initial, ...(journal.made() as Partial<State>) };
  for (const step of steps.map(traceStep).toReversed()) {
    const status = journal.statusOf(step.name);
    if (status === undefined || status === "undone") continue;
    const begun = Date.now();
    if (step.undo) {
      const mustLook = status !== "done" && step.onFound !== "repeat";
      const found = mustLook && step.find ? await step.find(ctx, state) : {};
      const outcome = found ? await step.undo(ctx, { ...state, ...found }) : "unsure";
      if (outcome === "unsure") await requireSettled(journal, step.name, options.settleMs);
    }
    await journal.markUndone(step.name);
    options.onStep?.(step.name, "undone", Date.now() - begun);
  }
}
