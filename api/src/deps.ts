import type { Config } from "@keygate/shared/config";
import { createKeyring, type Keyring } from "@keygate/shared/crypto/envelope";
import { type Db, openDatabase } from "@keygate/shared/db/client";
import { jobRows } from "@keygate/shared/db/jobs";
import { type Handoff, openHandoff } from "@keygate/shared/handoff";
import type { Log } from "@keygate/shared/log";
import { openQueues, type Queues } from "@keygate/shared/queue";
import { createJobWatcher, type JobWatcher } from "./jobs/job-watcher.ts";
import { type Backlog, createBacklog } from "./keys/backlog.ts";

/** What the API's verbs work with; a test replaces single parts of it. */
export interface ApiDeps {
  config: Config;
  db: Db;
  queues: Queues;
  handoff: Handoff;
  keyring: Keyring;
  log: Log;
  jobWatcher: JobWatcher;
  backlog: Backlog;
  clock: () => Date;
}

/** Opens every client that the API needs. Nothing is contacted yet, so a server that is away shows in `/ready`. */
export async function openDeps(config: Config, log: Log): Promise<ApiDeps> {
  const onError = (part: string) => (error: Error) => log.warn({ part, error }, "api.connection_error");
  const db = openDatabase({
    url: config.databaseUrl,
    poolMax: config.databasePoolMax,
    applicationName: "keygate-api",
    onError: onError("database"),
  });
  return {
    config,
    db,
    queues: openQueues(config, onError("queue")),
    handoff: openHandoff(config.redisUrl, db, onError("handoff")),
    keyring: createKeyring(config.encryptionKeys),
    log,
    jobWatcher: createJobWatcher(db, log),
    backlog: createBacklog(jobRows(db).countMaking),
    clock: () => new Date(),
  };
}

/** Closes in reverse; each part is closed even when another one cannot be. */
export async function closeDeps(deps: ApiDeps): Promise<void> {
  for (const close of [
    () => deps.jobWatcher.close(),
    () => deps.handoff.close(),
    () => deps.queues.close(),
    () => deps.db.destroy(),
  ]) {
    await close().catch((error: unknown) => deps.log.warn({ error }, "api.close_failed"));
  }
}
