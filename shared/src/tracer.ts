import type { Secret } from "./secret.ts";

/** Where spans are sent; null: nobody asked for traces, and nothing of OpenTelemetry is loaded. */
export type TracingConfig = {
  /** The OTLP/HTTP endpoint without its path, like `http://collector:4318`. */
  readonly endpoint: string;
  readonly headers: Secret | null;
  /** Of the traces that begin here, the part that is kept: 0 to 1. */
  readonly sampleRatio: number;
} | null;

/** Ids, names and numbers; never what a person typed, a body, or an address with an id in it. */
export type SpanFacts = Readonly<Record<string, string | number | boolean | null | undefined>>;

export interface SpanOptions {
  kind: "server" | "client" | "producer" | "consumer" | "internal";
  facts?: SpanFacts;
  /** The W3C `traceparent` that this goes on from; left out, what runs around it is its parent. */
  parent?: string | null | undefined;
  /** The `traceparent` of something that lies too far back to be one trace with this. Begins a new one. */
  link?: string | null | undefined;
}

export interface ActiveSpan {
  set(facts: SpanFacts): void;
  rename(name: string): void;
  /** Marks it as failed; `type` is a code or a class of error, never a message. */
  fail(type: string): void;
}

export interface Tracer {
  run<T>(name: string, options: SpanOptions, work: (span: ActiveSpan) => Promise<T>): Promise<T>;
  /** Of the span that runs here. */
  ids(): { traceId: string; spanId: string; isSampled: boolean } | null;
  close(): Promise<void>;
}
