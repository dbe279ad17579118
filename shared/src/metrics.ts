import { once } from "node:events";
import { createServer } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { collectDefaultMetrics, Gauge, type Registry } from "prom-client";
import type { Db } from "./db/client.ts";
import { type Figures, readFigures } from "./db/figures.ts";
import type { Log } from "./log.ts";

/** Where metrics are served; null where nobody asked for them. */
export type MetricsConfig = { readonly port: number; readonly host: string } | null;

/** Counting all keys reads an index from end to end; several Prometheus servers must not make that several times. */
const figuresKeptMs = 15_000;
/** Below the 10 s after which Prometheus gives a scrape up: the process is up even when its database is not. */
const figuresPatienceMs = 5_000;

// Name, meaning, labels, and which rows fill it. A label never holds what a person typed.
const gauges: readonly {
  name: string;
  help: string;
  labels: readonly string[];
  rows(figures: Figures): readonly { value: number; labels: Record<string, string | number> }[];
}[] = [
  {
    name: "keygate_keys",
    help: "Keys by vendor and status",
    labels: ["vendor", "status"],
    rows: (f) => f.keys.map(({ vendor, status, count }) => ({ value: count, labels: { vendor, status } })),
  },
  {
    name: "keygate_keys_expiring",
    help: "Live keys that end within so many days",
    labels: ["vendor", "days"],
    rows: (f) => f.expiring.map(({ vendor, days, count }) => ({ value: count, labels: { vendor, days } })),
  },
  {
    name: "keygate_jobs_open",
    help: "Jobs that have not ended, by vendor, kind and state",
    labels: ["vendor", "kind", "state"],
    rows: (f) => f.jobs.map(({ vendor, kind, state, count }) => ({ value: count, labels: { vendor, kind, state } })),
  },
  {
    name: "keygate_queue_due",
    help: "Jobs that could run now and that no worker holds",
    labels: ["vendor"],
    rows: (f) => f.due.map(({ vendor, count }) => ({ value: count, labels: { vendor } })),
  },
  {
    name: "keygate_queue_oldest_seconds",
    help: "For how long the oldest job that could run has been waiting for a worker",
    labels: ["vendor"],
    rows: (f) => f.due.map(({ vendor, oldestSeconds }) => ({ value: oldestSeconds, labels: { vendor } })),
  },
  {
    name: "keygate_handoffs_unclaimed",
    help: "Sealed keys that wait to be taken",
    labels: ["vendor"],
    rows: (f) => f.unclaimed.map(({ vendor, count }) => ({ value: count, labels: { vendor } })),
  },
  {
    name: "keygate_handoff_next_lost_seconds",
    help: "Seconds until the next key that nobody takes is revoked",
    labels: ["vendor"],
    rows: (f) => f.unclaimed.map(({ vendor, nextLostSeconds }) => ({ value: nextLostSeconds, labels: { vendor } })),
  },
  {
    name: "keygate_revocation_debt",
    help: "What must go at the vendor and has not gone, without what was written off",
    labels: ["vendor"],
    rows: (f) => f.debts.map(({ vendor, debts }) => ({ value: debts, labels: { vendor } })),
  },
  {
    name: "keygate_revocation_debt_oldest_seconds",
    help: "Age of the oldest such debt",
    labels: ["vendor"],
    rows: (f) => f.debts.map(({ vendor, oldestSeconds }) => ({ value: oldestSeconds, labels: { vendor } })),
  },
  {
    name: "keygate_audit_unsealed_rows",
    help: "Audit rows that no checkpoint covers yet",
    labels: [],
    rows: (f) => [{ value: f.auditUnsealed.count, labels: {} }],
  },
  {
    name: "keygate_audit_seal_lag_seconds",
    help: "Age of the oldest audit row that no checkpoint covers",
    labels: [],
    rows: (f) => [{ value: f.auditUnsealed.lagSeconds, labels: {} }],
  },
];

/**
 * Adds the installation's figures to a registry; they are read by the returned function, at most every 15 s. When the
 * database does not answer, they are missing and `keygate_figures_up` is 0: an old number would hide the outage.
 */
export function addFigures(registry: Registry, db: Db, log: Log): () => Promise<void> {
  const filled = gauges.map(({ name, help, labels, rows }) => ({
    gauge: new Gauge({ name, help, labelNames: [...labels], registers: [registry] }),
    labels,
    rows,
  }));
  const up = new Gauge({
    name: "keygate_figures_up",
    help: "Whether the figures could be read from the database",
    registers: [registry],
  });

  async function refresh(): Promise<void> {
    const tooLong = sleep(figuresPatienceMs, null, { ref: false });
    const figures = await Promise.race([readFigures(db), tooLong]).catch((error: unknown) => {
      log.warn({ error }, "metrics.figures_failed");
      return null;
    });
    for (const { gauge, labels, rows } of filled) {
      gauge.reset();
      // A gauge without labels is 0 after that, which would claim that all is well.
      if (labels.length === 0) gauge.remove();
      for (const row of figures ? rows(figures) : []) gauge.set(row.labels, row.value);
    }
    up.set(figures ? 1 : 0);
  }

  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> = Promise.resolve();
  return () => {
    if (performance.now() - readAt > figuresKeptMs) {
      readAt = performance.now();
      reading = refresh();
    }
    return reading;
  };
}

/** What every Node process tells of itself: memory, event loop, garbage collection, CPU. */
export function addProcess(registry: Registry, app: string, version: string): void {
  collectDefaultMetrics({ register: registry });
  const info = new Gauge({
    name: "keygate_build_info",
    help: "Always 1; the labels say what runs",
    labelNames: ["app", "version"],
    registers: [registry],
  });
  info.set({ app, version }, 1);
}

/**
 * Serves `/metrics` and `/health` on a port of their own, so that no ingress rule of the public one can open them.
 * A port that is taken is told to the log and nothing more: keys must be revoked whether or not somebody watches.
 */
export async function serveMetrics(
  config: MetricsConfig,
  { registry, refresh }: { registry: Registry; refresh(): Promise<void> },
  log: Log,
): Promise<{ port: number | null; close(): Promise<void> }> {
  if (!config) return { port: null, close: async () => {} };
  const server = createServer(async (request, response) => {
    const isRead = request.method === "GET" || request.method === "HEAD";
    if (isRead && request.url === "/health") return void response.end("healthy\n");
    if (!isRead || request.url !== "/metrics") return void response.writeHead(404).end();
    try {
      await refresh();
      const text = await registry.metrics();
      response.writeHead(200, { "Content-Type": registry.contentType, "Cache-Control": "no-store" }).end(text);
    } catch (error) {
      log.warn({ error }, "metrics.failed");
      response.writeHead(500).end();
    }
  });
  server.listen(config.port, config.host);
  try {
    await once(server, "listening");
  } catch (error) {
    log.error({ error, port: config.port }, "metrics.not_served");
    return { port: null, close: async () => {} };
  }
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : config.port;
  log.info({ port }, "metrics.listening");
  return {
    port,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
