import { KeyGateError } from "@keygate/shared/errors";
import { WaitForVendor } from "../../saga/wait.ts";
import { isForbidden, isServiceOff, subjectOf } from "./errors.ts";
import { type Ctx, type GoogleState, type GoogleStep, isYoung, pauseFor } from "./state.ts";

/** How long Google may refuse what concerns a new account, as if it were forbidden. Published nowhere: reported. */
const refusedForMs = 120_000;

/** Whether the refusal may come from the account's youth: the step knows its age, or looks for one that was just made. */
async function isAboutNewAccount(ctx: Ctx, state: GoogleState, isLooking: boolean): Promise<boolean> {
  if (state.accountMadeAt !== undefined) return isYoung(ctx, state, refusedForMs);
  return isLooking && (await ctx.stepAgeMs()) < refusedForMs;
}

/** Asks Google whether the credential has the permission that it is said to lack. No answer counts as yes: for now. */
async function isHeld({ client }: Ctx, state: GoogleState, permission: string | null): Promise<boolean> {
  if (permission === null) return true;
  const projectId = state.projectId ?? client.settings.projectId;
  const held = await client.testPermissions(projectId, [permission]).catch(() => [permission]);
  return held.includes(permission);
}

/**
 * A step that does not believe a 403 about a new account: for a while Google refuses rather than admits that it does
 * not know it. Believed at once when Google says, asked for it, that the permission is missing.
 */
export function patient(step: GoogleStep): GoogleStep {
  type Act<T> = (ctx: Ctx, state: GoogleState) => Promise<T>;
  const patiently =
    <T>(act: Act<T>, isLooking: boolean): Act<T> =>
    async (ctx, state) => {
      try {
        return await act(ctx, state);
      } catch (error) {
        const isSpurious =
          isForbidden(error) &&
          !isServiceOff(error) &&
          (await isAboutNewAccount(ctx, state, isLooking)) &&
          (await isHeld(ctx, state, subjectOf(error)));
        if (!isSpurious) throw error;
        const nothingHappened = error instanceof KeyGateError && error.nothingHappened;
        throw new WaitForVendor(pauseFor(ctx, state), "Google refuses calls about the new service account for now", {
          nothingHappened,
        });
      }
    };
  return {
    ...step,
    run: patiently(step.run, false),
    find: step.find && patiently(step.find, true),
    undo: step.undo && patiently(step.undo, false),
  };
}
