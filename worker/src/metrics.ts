import type { JobKind } from "@keygate/shared/contracts/jobs";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import type { Db } from "@keygate/shared/db/client";
import type { Log } from "@keygate/shared/log";
import { addFigures, addProcess, type MetricsConfig, serveMetrics } from "@keygate/shared/metrics";
import { Counter, Histogram, Registry } from "prom-client";
import root from "../../package.json" with { type: "json" };

// Counters belong to the process, as its memory does; which registry shows them is decided when it starts to serve.
const registers: Registry[] = [];

const jobTries = new Counter({
  name: "keygate_job_tries_total",
  help: "Tries at jobs by how they ended",
  labelNames: ["vendor", "kind", "outcome"],
  registers,
});
const jobSeconds = new Histogram({
  name: "keygate_job_try_seconds",
  help: "How long a try at a job took",
  labelNames: ["vendor", "kind"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180],
  registers,
});
const stepSeconds = new Histogram({
  name: "keygate_step_seconds",
  help: "How long a step of a job took at the vendor",
  labelNames: ["vendor", "step", "event"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  registers,
});
const callSeconds = new Histogram({
  name: "keygate_vendor_call_seconds",
  help: "Calls to vendors by endpoint and answer; `none` is a call that was not answered",
  labelNames: ["vendor", "endpoint", "status"],
  buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  registers,
});

/** Counts a try at a job. */
export function observeTry(
  job: { vendor: VendorId | null; kind: JobKind },
  outcome: "ended" | "failed",
  durationMs: number,
): void {
  const labels = { vendor: job.vendor ?? "none", kind: job.kind };
  jobTries.inc({ ...labels, outcome });
  jobSeconds.observe(labels, durationMs / 1000);
}

/** Measures what a step did; its beginning is not an event that takes time. */
export function observeStep(vendor: VendorId | null, step: string, event: string, durationMs: number): void {
  if (event !== "started") stepSeconds.observe({ vendor: vendor ?? "none", step, event }, durationMs / 1000);
}

/** Measures a call to a vendor. The endpoint is the adapter's name for a kind of call and never holds an id. */
export function observeCall(vendor: string, endpoint: string, status: number | null, durationMs: number): void {
  callSeconds.observe({ vendor, endpoint, status: status ?? "none" }, durationMs / 1000);
}

/** Serves the worker's metrics where the configuration says; see `serveMetrics`. */
export function startWorkerMetrics(config: MetricsConfig, db: Db, log: Log): ReturnType<typeof serveMetrics> {
  const registry = new Registry();
  for (const metric of [jobTries, jobSeconds, stepSeconds, callSeconds]) registry.registerMetric(metric);
  addProcess(registry, "worker", root.version);
  return serveMetrics(config, { registry, refresh: addFigures(registry, db, log) }, log);
}
