import { once } from "node:events";
import type { Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import type { Config } from "@keygate/shared/config";
import { requireSchema } from "@keygate/shared/db/schema-version";
import { must } from "@keygate/shared/errors";
import type { Log } from "@keygate/shared/log";
import { adoptVendorsFromEnvironment } from "@keygate/shared/vendor-settings";
import { createApp } from "./app.ts";
import { ensureFirstAdmin } from "./auth/first-admin.ts";
import { type ApiDeps, closeDeps, openDeps } from "./deps.ts";
import { startApiMetrics } from "./ops/metrics.ts";

export interface RunningApi {
  port: number;
  url: string;
  deps: ApiDeps;
  /** Stops listening, lets requests end for as long as the configuration grants, closes everything. Repeatable. */
  close(): Promise<void>;
}

async function listen(server: Server, { port, host }: Config["http"]): Promise<number> {
  server.listen(port, host);
  await once(server, "listening");
  const address = must(server.address(), "the server's address");
  return typeof address === "string" ? port : address.port;
}

async function stopServing(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that is kept alive counts as open until it is told to go.
  const tidy = setInterval(() => server.closeIdleConnections(), 50);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(tidy);
  clearTimeout(cut);
}

/**
 * Starts the API: vendors and first admin of the environment, then the server.
 *
 * @throws what keeps it from starting: no database, one with another version's tables, a port that is taken. Nothing
 * stays open then.
 */
export async function startApi(config: Config, log: Log): Promise<RunningApi> {
  const deps = await openDeps(config, log);
  try {
    await requireSchema(deps.db);
    await adoptVendorsFromEnvironment(deps.db, deps.keyring, config.vendors);
    await ensureFirstAdmin(deps.db, config.admin);
    // Without options for TLS or HTTP/2 this is a plain HTTP server.
    const server = createAdaptorServer({ fetch: createApp(deps).fetch }) as Server;
    const port = await listen(server, config.http);
    const metrics = await startApiMetrics(deps);
    const url = `http://${config.http.host.includes(":") ? `[${config.http.host}]` : config.http.host}:${port}`;
    log.info({ port, url }, "api.listening");

    let closing: Promise<void> | undefined;
    const close = async () => {
      log.info({}, "api.stopping");
      // Whoever waits for a job is answered now: the job goes on without them.
      deps.jobWatcher.close();
      await stopServing(server, config.worker.shutdownGraceSeconds * 1000);
      await metrics.close();
      await closeDeps(deps);
      log.info({}, "api.stopped");
    };
    return { port, url, deps, close: () => (closing ??= close()) };
  } catch (error) {
    await closeDeps(deps);
    throw error;
  }
}
