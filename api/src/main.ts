import { loadConfigOrExit } from "@keygate/shared/config";
import { SchemaMismatch } from "@keygate/shared/db/schema-version";
import { createLog } from "@keygate/shared/log";
import { startTracing } from "@keygate/shared/tracing";
import { startApi } from "./start-api.ts";
import { version } from "./version.ts";

const config = loadConfigOrExit();
const log = createLog({ level: config.logLevel, name: "api" });
const tracing = await startTracing(config.tracing, { name: "keygate-api", version }, (error) =>
  log.warn({ error }, "tracing.export_failed"),
);

/** One line for a person, for the failures that a person can do something about. */
function explain(error: unknown): string {
  const { code, message } = error as { code?: string; message?: string };
  if (code === "EADDRINUSE") return `Port ${config.http.port} is taken by another program. Set PORT to a free one.`;
  if (code === "EACCES") return `This user may not listen on port ${config.http.port}. Set PORT to one above 1023.`;
  if (code === "ECONNREFUSED" || code === "ENOTFOUND") return "The database that DATABASE_URL names does not answer.";
  if (error instanceof SchemaMismatch) return error.message;
  return `The API could not start: ${message || code || String(error)}`;
}

try {
  const api = await startApi(config, log);
  const stop = async () => {
    await api.close();
    await tracing.close();
    process.exit(0);
  };
  process.once("SIGTERM", stop).once("SIGINT", stop);
  if (process.send) {
    process.once("disconnect", stop);
    process.send({ type: "ready", port: api.port });
  }
} catch (error) {
  console.error(explain(error));
  log.debug({ error }, "api.start_failed");
  process.exit(1);
}
