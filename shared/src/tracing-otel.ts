import { type Context, context, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import { KeyGateError } from "./errors.ts";
import { parseTraceParent } from "./trace-parent.ts";
import type { ActiveSpan, SpanFacts, SpanOptions, Tracer, TracingConfig } from "./tracer.ts";

const exportTimeoutMs = 5_000;
/** A collector that is away must not hold a process back that was told to stop. */
const closeTimeoutMs = 3_000;

const kinds = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
} as const;

/** `name=value` pairs, separated by commas, values percent-encoded: the form of `OTEL_EXPORTER_OTLP_HEADERS`. */
function headersOf(text: string): Record<string, string> {
  const pairs = text.split(",").map((pair) => {
    const at = pair.indexOf("=");
    return [pair.slice(0, at).trim().toLowerCase(), decodeURIComponent(pair.slice(at + 1).trim())] as const;
  });
  return Object.fromEntries(pairs.filter(([name]) => name !== ""));
}

function spanContextOf(traceParent: string | null | undefined) {
  const parsed = parseTraceParent(traceParent);
  if (!parsed) return null;
  const [, traceId = "", spanId = "", flags = "00"] = parsed.split("-");
  return { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 1, isRemote: true };
}

/** An error's name for a span: messages may hold a vendor's words or worse, codes never do. */
const typeOf = (error: unknown): string =>
  error instanceof KeyGateError ? error.code : error instanceof Error ? error.name : "unknown";

function setFacts(span: Span, facts: SpanFacts): void {
  for (const [name, value] of Object.entries(facts)) {
    if (value !== null && value !== undefined) span.setAttribute(name, value);
  }
}

function activeSpan(span: Span): ActiveSpan & { hasFailed(): boolean } {
  let failed = false;
  return {
    set: (facts) => setFacts(span, facts),
    rename: (name) => void span.updateName(name),
    fail(type) {
      failed = true;
      span.setAttribute("error.type", type);
      span.setStatus({ code: SpanStatusCode.ERROR });
    },
    hasFailed: () => failed,
  };
}

/** A collector that is away is told once and again when it is back and gone again, not with every batch. */
function toldOnce(exporter: SpanExporter, onError: (error: unknown) => void): SpanExporter {
  let isFailing = false;
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        const failed = result.error !== undefined;
        if (failed && !isFailing) onError(result.error);
        isFailing = failed;
        done(result);
      });
    },
    forceFlush: async () => await exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
}

/** The tracer that sends spans by OTLP over HTTP. Batches are sent every second; what a full queue cannot hold is lost. */
export function openTracer(
  config: NonNullable<TracingConfig>,
  service: { name: string; version: string },
  onError: (error: unknown) => void,
): Tracer {
  // Once per process; a second one finds it in place.
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const exporter = new OTLPTraceExporter({
    url: `${config.endpoint.replace(/\/+$/, "")}/v1/traces`,
    timeoutMillis: exportTimeoutMs,
    ...(config.headers ? { headers: headersOf(config.headers.reveal()) } : {}),
  });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      "service.name": service.name,
      "service.version": service.version,
      "process.pid": process.pid,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(config.sampleRatio) }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: toldOnce(exporter, onError),
        scheduledDelayMillis: 1_000,
        exportTimeoutMillis: exportTimeoutMs,
      }),
    ],
  });
  const otel = provider.getTracer("keygate", service.version);

  function begin(name: string, options: SpanOptions): { span: Span; inside: Context } {
    const parent = spanContextOf(options.parent);
    const link = spanContextOf(options.link);
    const around = parent ? trace.setSpanContext(ROOT_CONTEXT, parent) : link ? ROOT_CONTEXT : context.active();
    const span = otel.startSpan(
      name,
      { kind: kinds[options.kind], ...(link ? { links: [{ context: link }] } : {}) },
      around,
    );
    if (options.facts) setFacts(span, options.facts);
    return { span, inside: trace.setSpan(around, span) };
  }

  return {
    async run(name, options, work) {
      const { span, inside } = begin(name, options);
      const active = activeSpan(span);
      try {
        return await context.with(inside, () => work(active));
      } catch (error) {
        if (!active.hasFailed()) active.fail(typeOf(error));
        throw error;
      } finally {
        span.end();
      }
    },
    ids() {
      const at = trace.getSpanContext(context.active());
      return at ? { traceId: at.traceId, spanId: at.spanId, isSampled: (at.traceFlags & 1) === 1 } : null;
    },
    async close() {
      const { promise: tooLong, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, closeTimeoutMs);
      await Promise.race([provider.shutdown(), tooLong]).finally(() => clearTimeout(timer));
    },
  };
}
