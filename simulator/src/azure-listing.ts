/** A list that shows what was true some time ago, as ARM's lists do: they are answered from a cache. */

interface Version<T> {
  at: number;
  value: T | null;
}

/** The longest staleness that there are old versions for. */
export const HISTORY_MS = 600_000;

export class LaggingList<T extends object> {
  readonly #versions = new Map<string, Version<T>[]>();

  /** Notes the value under `key` as it is now, `null` when it is gone. */
  record(key: string, at: number, value: T | null): void {
    const versions = this.#versions.get(key) ?? [];
    // A shallow copy is a version of its own, as long as nested values are replaced and not edited.
    versions.push({ at, value: value && { ...value } });
    const needed = versions.findLastIndex((version) => version.at <= at - HISTORY_MS);
    if (needed > 0) versions.splice(0, needed);
    this.#versions.set(key, versions);
  }

  /** The values of that moment, by key. */
  asOf(at: number): T[] {
    const seen: [string, T][] = [];
    for (const [key, versions] of this.#versions) {
      const last = versions.at(-1);
      if (last?.value === null && last.at <= at - HISTORY_MS) this.#versions.delete(key);
      const value = versions.findLast((version) => version.at <= at)?.value;
      if (value) seen.push([key, value]);
    }
    return seen.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
  }
}
