/** What was measured once: a rate, and the time of each operation in milliseconds. */
export interface Measured {
  perSecond: number;
  millis: readonly number[];
}

/** The value below which that share of them lies; the nearest measured one, never an interpolation. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => percentile(values, 0.5);

/** Three significant digits, as many as repeated runs agree in. */
export function shown(value: number): string {
  if (!Number.isFinite(value)) return "–";
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toPrecision(3)).toString();
}

/** A median with the range that it was seen in. */
export function withRange(values: readonly number[]): string {
  if (values.length < 2) return shown(values[0] ?? Number.NaN);
  return `${shown(median(values))} (${shown(Math.min(...values))}–${shown(Math.max(...values))})`;
}

/** A share as whole percent. */
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** Runs `count` operations, so many at a time, and measures each. */
export async function pump(
  count: number,
  concurrency: number,
  operation: (index: number) => Promise<unknown>,
): Promise<Measured> {
  const millis: number[] = [];
  let next = 0;
  const work = async () => {
    for (let index = next++; index < count; index = next++) {
      const begun = performance.now();
      await operation(index);
      millis.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, work));
  return { perSecond: count / ((performance.now() - begun) / 1000), millis };
}

/** Runs operations for so long, so many at a time, and measures each. */
export async function pumpFor(
  durationMs: number,
  concurrency: number,
  operation: (index: number) => Promise<unknown>,
): Promise<Measured> {
  const millis: number[] = [];
  let next = 0;
  const begun = performance.now();
  const work = async () => {
    for (let at = performance.now(); at - begun < durationMs; at = performance.now()) {
      await operation(next++);
      millis.push(performance.now() - at);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  return { perSecond: millis.length / ((performance.now() - begun) / 1000), millis };
}
