import type { Config } from "@keygate/shared/config";
import { createKeyring, type Keyring } from "@keygate/shared/crypto/envelope";
import { type Db, openDatabase } from "@keygate/shared/db/client";
import type { JobRow } from "@keygate/shared/db/jobs";
import { type Handoff, openHandoff } from "@keygate/shared/handoff";
import type { Log } from "@keygate/shared/log";
import { openQueues, type Queues, queueOf } from "@keygate/shared/queue";
import { openConnections, type VendorConnections } from "./vendors/connections.ts";

/** What the worker's parts are given. A test replaces any of it. */
export interface WorkerDeps {
  config: Config;
  db: Db;
  queues: Queues;
  handoff: Handoff;
  keyring: Keyring;
  log: Log;
  vendors: VendorConnections;
  /** Adds jobs to their queues after the commit that made them. A failure is harmless: the sweep adds them again. */
  enqueue(jobs: readonly JobRow[]): Promise<void>;
  now(): Date;
}

/** Opens everything that the worker needs; nothing is sent anywhere yet. */
export function openDeps(config: Config, log: Log): WorkerDeps {
  const onError = (part: string) => (error: Error) => log.warn({ error, part }, "connection.error");
  const db = openDatabase({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    applicationName: "keygate-worker",
    onError: onError("postgres"),
  });
  const keyring = createKeyring(config.encryptionKeys);
  const queues = openQueues(config, onError("queue"));
  return {
    config,
    db,
    queues,
    handoff: openHandoff(config.redisUrl, db, onError("handoff")),
    keyring,
    log,
    vendors: openConnections({ db, keyring, config, log }),
    async enqueue(jobs) {
      const entries = jobs.flatMap(({ id, vendor, priority }) =>
        vendor ? [{ queue: queueOf(vendor), jobId: id, priority }] : [],
      );
      if (entries.length === 0) return;
      await queues.add(entries).catch((error: unknown) => log.warn({ error }, "queue.add_failed"));
    },
    now: () => new Date(),
  };
}

/** Closes in the reverse order of use. */
export async function closeDeps(deps: WorkerDeps): Promise<void> {
  await deps.vendors.close();
  await deps.queues.close();
  await deps.handoff.close();
  await deps.db.destroy();
}
