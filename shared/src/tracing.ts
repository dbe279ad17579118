import type { ActiveSpan, SpanOptions, Tracer, TracingConfig } from "./tracer.ts";

const noSpan: ActiveSpan = { set() {}, rename() {}, fail() {} };

// One per process, as its metrics are: what is traced does not need to be handed a tracer through every function.
let tracer: Tracer | null = null;

/**
 * Begins to trace when the configuration says so. Only then OpenTelemetry is loaded.
 *
 * @returns what sends the last spans and ends tracing; it never fails, and takes a few seconds at most.
 */
export async function startTracing(
  config: TracingConfig,
  service: { name: string; version: string },
  onError: (error: unknown) => void,
): Promise<{ close(): Promise<void> }> {
  if (!config) return { close: async () => {} };
  const { openTracer } = await import("./tracing-otel.ts");
  const mine = openTracer(config, service, onError);
  tracer = mine;
  return {
    async close() {
      if (tracer === mine) tracer = null;
      await mine.close().catch(onError);
    },
  };
}

/** Runs work inside a span; without tracing it just runs. A failure marks the span with its code and goes on. */
export function traced<T>(name: string, options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T> {
  return tracer ? tracer.run(name, options, work) : work(noSpan);
}

/** What a log line says about the trace that it belongs to. */
export function traceIds(): { traceId?: string; spanId?: string } {
  const ids = tracer?.ids();
  return ids ? { traceId: ids.traceId, spanId: ids.spanId } : {};
}

/** The `traceparent` of what runs here, to be kept in a job's row; null without tracing. */
export function currentTraceParent(): string | null {
  const ids = tracer?.ids();
  return ids ? `00-${ids.traceId}-${ids.spanId}-${ids.isSampled ? "01" : "00"}` : null;
}
