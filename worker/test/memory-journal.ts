import type { Journal } from "../src/saga/journal.ts";

interface Entry {
  status: "started" | "done" | "undone";
  made: Record<string, unknown>;
  startedAt: Date;
}

export interface MemoryJournal extends Journal {
  /** Everything that would stand in the rows, as the database would give it back. */
  dump(): Record<string, { status: Entry["status"]; made: Record<string, unknown> }>;
}

/**
 * A job's journal without a database. What it keeps went through JSON, as in the rows.
 *
 * @param nowMs the clock by which a look that found nothing grows old.
 */
export function createMemoryJournal(nowMs: () => number = Date.now): MemoryJournal {
  const entries = new Map<string, Entry>();
  const unsureSince = new Map<string, number>();
  const put = (name: string, status: Entry["status"], made: Record<string, unknown> = {}) =>
    entries.set(name, {
      status,
      made: JSON.parse(JSON.stringify(made)) as Record<string, unknown>,
      startedAt: entries.get(name)?.startedAt ?? new Date(),
    });

  return {
    statusOf: (name) => entries.get(name)?.status,
    made: () => Object.assign({}, ...[...entries.values()].filter((e) => e.status === "done").map((e) => e.made)),
    startedAt: (name) => entries.get(name)?.startedAt,
    async start(step) {
      unsureSince.delete(step.name);
      put(step.name, "started");
    },
    async finish(step, next) {
      put(step.name, "done", step.made);
      if (next) put(next.name, "started");
    },
    async forget(name) {
      entries.delete(name);
    },
    async markUnsure(name) {
      const since = unsureSince.get(name) ?? nowMs();
      unsureSince.set(name, since);
      return nowMs() - since;
    },
    async markUndone(name) {
      put(name, "undone");
    },
    // Nothing is noted elsewhere: whoever asks looks at the row.
    wishes: () => null,
    noteSealedTo: () => {},
    unwritten: () => null,
    flush: async () => {},
    async reopen(names) {
      for (const name of names) if (entries.get(name)?.status === "done") put(name, "started");
    },
    dump: () => Object.fromEntries([...entries].map(([name, { status, made }]) => [name, { status, made }])),
  };
}
