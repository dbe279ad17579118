import type { JobWaiting } from "@keygate/shared/db/schema";

/** Thrown by a step or the runner: not a failure, come back later. Costs the job no attempt. */
export class WaitForVendor extends Error {
  readonly delayMs: number;
  readonly reason: string;
  /** The vendor surely did nothing of what was tried: there is nothing to look for when the step is run again. */
  readonly nothingHappened: boolean;

  /** @param reason in words for people, like "Azure is creating the account". */
  constructor(delayMs: number, reason: string, options: { nothingHappened?: boolean } = {}) {
    super(`waiting for the vendor: ${reason}`);
    this.name = "WaitForVendor";
    this.delayMs = delayMs;
    this.reason = reason;
    this.nothingHappened = options.nothingHappened ?? false;
  }
}

/** Thrown by a step that needs a person. The job waits until somebody gives it its input, or its time is over. */
export class WaitForInput extends Error {
  readonly waiting: JobWaiting;
  /** Why an earlier input was refused, in words for whoever gave it. */
  readonly refusal: string | null;
  /** When there is no use in it any more, where that comes before the end of every wait for a person. */
  readonly until: Date | null;

  constructor(waiting: JobWaiting, options: { refusal?: string | null; until?: Date | null } = {}) {
    super("waiting for a person");
    this.name = "WaitForInput";
    this.waiting = waiting;
    this.refusal = options.refusal ?? null;
    this.until = options.until ?? null;
  }
}
