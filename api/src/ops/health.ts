import { setTimeout as sleep } from "node:timers/promises";
import { pingDatabase } from "@keygate/shared/db/client";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { unreadableValues } from "@keygate/shared/sealed-values";
import { openVendorSettings } from "@keygate/shared/vendor-settings";
import type { ApiDeps } from "../deps.ts";

const patienceMs = 2_000;

export type Readiness = Record<"database" | "queue" | "credentials", "ok" | "failed">;

/** That everything sealed opens with the keys that this process has; a lost `ENCRYPTION_KEY` shows here. */
async function openCredentials({ db, keyring, config }: ApiDeps, unreadable: string[]): Promise<void> {
  unreadable.push(...(await unreadableValues(db, keyring)));
  if (unreadable.length > 0) throw new Error(`ENCRYPTION_KEY does not open: ${unreadable.join(", ")}`);
  for (const row of await vendorConfigRows(db).list()) openVendorSettings(keyring, row, config.vendors);
}

async function check(deps: ApiDeps, part: keyof Readiness, run: () => Promise<void>): Promise<"ok" | "failed"> {
  const overdue = new AbortController();
  const tooLong = sleep(patienceMs, undefined, { signal: overdue.signal }).then(() => {
    throw new Error(`No answer within ${patienceMs} ms`);
  });
  try {
    await Promise.race([run(), tooLong]);
    return "ok";
  } catch (error) {
    deps.log.warn({ part, error }, "ready.check_failed");
    return "failed";
  } finally {
    overdue.abort();
    tooLong.catch(() => {});
  }
}

/** Asks everything that a request may need, side by side, for 2 s at most. Why something failed is told to the log. */
export async function readiness(deps: ApiDeps): Promise<{ checks: Readiness; unreadable: string[] }> {
  const unreadable: string[] = [];
  const [database, queue, credentials] = await Promise.all([
    check(deps, "database", () => pingDatabase(deps.db)),
    check(deps, "queue", () => deps.queues.ping()),
    check(deps, "credentials", () => openCredentials(deps, unreadable)),
  ]);
  return { checks: { database, queue, credentials }, unreadable };
}
