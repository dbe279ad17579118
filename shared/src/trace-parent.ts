const traceParent = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;

/** A `traceparent` that can be one (W3C Trace Context, version 00), or null. */
export const parseTraceParent = (text: string | null | undefined): string | null =>
  text && traceParent.test(text) ? text : null;
