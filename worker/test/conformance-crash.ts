import type { Journal } from "../src/saga/journal.ts";
import type { VendorHttp } from "../src/vendors/http.ts";

/** Stands for the end of the process: nothing that the code does afterwards takes effect. */
export class Crash extends Error {}

/** Where one job's process ends, counted over all its tries; and how far it came. */
export interface Doom {
  afterCall?: number;
  beforeWrite?: number;
  calls: number;
  writes: number;
  crashes: number;
  isDead: boolean;
}

/** Ends the process. */
export function die(doom: Doom): never {
  if (!doom.isDead) doom.crashes++;
  doom.isDead = true;
  throw new Crash("the process ended here");
}

/** Ends the process right after the vendor has answered the call in question, whatever it answered. */
export function mortalHttp(http: VendorHttp, doom: Doom): VendorHttp {
  return {
    async call(call, classify) {
      if (doom.isDead) die(doom);
      const outcome = await http.call(call, classify).then(
        (reply) => ({ reply }),
        (error: unknown) => ({ error }),
      );
      doom.calls++;
      if (doom.isDead || doom.calls === doom.afterCall) die(doom);
      if ("error" in outcome) throw outcome.error;
      return outcome.reply;
    },
    close: () => http.close(),
  };
}

/** Ends the process right before the write in question. */
export function mortalJournal(journal: Journal, doom: Doom): Journal {
  const guarded =
    <A extends unknown[], R>(write: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      doom.writes++;
      if (doom.isDead || doom.writes === doom.beforeWrite) die(doom);
      return write(...args);
    };
  return {
    ...journal,
    start: guarded(journal.start),
    finish: guarded(journal.finish),
    forget: guarded(journal.forget),
    markUnsure: guarded(journal.markUnsure),
    markUndone: guarded(journal.markUndone),
  };
}
