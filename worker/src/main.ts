import { loadConfigOrExit } from "@keygate/shared/config";
import { createKeyring } from "@keygate/shared/crypto/envelope";
import { openDatabase } from "@keygate/shared/db/client";
import { createLog } from "@keygate/shared/log";
import { adoptVendorsFromEnvironment } from "@keygate/shared/vendor-settings";
import { startWorker } from "./start-worker.ts";

const config = loadConfigOrExit();
const log = createLog({ level: config.logLevel, name: "worker" });

const db = openDatabase({ url: config.databaseUrl, poolMax: 1, applicationName: "keygate-worker-start" });
await adoptVendorsFromEnvironment(db, createKeyring(config.encryptionKeys), config.vendors);
await db.destroy();

const worker = startWorker(config, log);
log.info({ concurrency: config.worker.concurrency, queue: config.redisUrl ? "redis" : "postgres" }, "worker.started");
process.send?.({ type: "ready" });

let isStopping = false;
async function stop(reason: string): Promise<void> {
  if (isStopping) return;
  isStopping = true;
  log.info({ reason }, "worker.stopping");
  await worker.close();
  log.info("worker.stopped");
  process.exit(0);
}
for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, () => void stop(signal));
// Started by another process of ours: when that is gone, so are we.
process.on("disconnect", () => void stop("parent is gone"));
