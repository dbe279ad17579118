import { loadConfigOrExit } from "@keygate/shared/config";
import { createKeyring } from "@keygate/shared/crypto/envelope";
import { openDatabase } from "@keygate/shared/db/client";
import { requireSchema, SchemaMismatch } from "@keygate/shared/db/schema-version";
import { createLog } from "@keygate/shared/log";
import { startTracing } from "@keygate/shared/tracing";
import { adoptVendorsFromEnvironment } from "@keygate/shared/vendor-settings";
import root from "../../package.json" with { type: "json" };
import { startWorker } from "./start-worker.ts";

const config = loadConfigOrExit();
const log = createLog({ level: config.logLevel, name: "worker" });
const tracing = await startTracing(config.tracing, { name: "keygate-worker", version: root.version }, (error) =>
  log.warn({ error }, "tracing.export_failed"),
);

const db = openDatabase({ url: config.databaseUrl, poolMax: 1, applicationName: "keygate-worker-start" });
try {
  await requireSchema(db);
  await adoptVendorsFromEnvironment(db, createKeyring(config.encryptionKeys), config.vendors);
} catch (error) {
  // What an operator can do something about is said in one line; anything else with all that is known of it.
  if (!(error instanceof SchemaMismatch)) throw error;
  console.error(error.message);
  process.exit(1);
} finally {
  await db.destroy();
}

const worker = startWorker(config, log);
log.info({ concurrency: config.worker.concurrency, queue: config.redisUrl ? "redis" : "postgres" }, "worker.started");
process.send?.({ type: "ready" });

let isStopping = false;
async function stop(reason: string): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  log.info({ reason }, "worker.stopping");
  await worker.close();
  await tracing.close();
  log.info("worker.stopped");
  process.exit(0);
}
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
// Started by another process of ours: when that is gone, so are we.
process.on("disconnect", () => void stop("parent is gone"));
