/** Faults on demand: which call is hit, at which moment, and what becomes of its answer. */
import { randomUUID } from "node:crypto";
import { z } from "zod";

const headers = z.record(z.string(), z.string());

const Effect = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("drop") }),
  z.strictObject({
    type: z.literal("respond"),
    status: z.int().min(200).max(599),
    headers: headers.optional(),
    body: z.unknown().optional(),
    text: z.string().optional(),
  }),
  z.strictObject({ type: z.literal("delay"), ms: z.int().min(0) }),
  z.strictObject({ type: z.literal("hang") }),
]);

const regexSource = z.string().refine(
  (source) => {
    try {
      new RegExp(source);
      return true;
    } catch {
      return false;
    }
  },
  { error: "not a regular expression" },
);

/**
 * `when` says where the call breaks:
 * - `before`: the vendor has not seen it. A held call (`delay`, `hang`) reaches the vendor once it goes on, never if the client went.
 * - `during`: the effect happened, half of the answer's body was sent. Then the connection is cut, or held half-way.
 * - `after`: the effect happened; the answer is lost, replaced or late.
 */
export const FaultSpec = z.strictObject({
  id: z.string().min(1).max(100).optional(),
  match: z.strictObject({
    method: z.string().optional(),
    /** Source of a regular expression, tested against the pathname. */
    path: regexSource.optional(),
    /** The first matching call to hit, counted from 1 since the fault was added. */
    nth: z.int().min(1).optional(),
  }),
  /** How many calls it hits; 0 = without end. */
  times: z.int().min(0).default(1),
  when: z.enum(["before", "during", "after"]),
  do: Effect,
});
export type FaultSpec = z.input<typeof FaultSpec>;
type ParsedSpec = z.output<typeof FaultSpec>;

export interface Fault extends ParsedSpec {
  id: string;
  /** Calls that matched since the fault was added, hit or not. */
  matched: number;
  hits: number;
  /** Calls it holds right now. */
  holding: number;
}

/** How a held call's wait ended. `cancelled`: the world it belonged to was reset. */
export type HoldEnd = "go-on" | "gone" | "cancelled";

interface HitWaiter {
  count: number;
  resolve: () => void;
  reject: (why: Error) => void;
}

interface Entry {
  fault: Fault;
  path: RegExp | null;
  waiters: HitWaiter[];
  holds: Set<(end: HoldEnd) => void>;
}

/** The faults of one vendor server. */
export class Faults {
  readonly #entries = new Map<string, Entry>();

  /** Adds a fault and returns its id. Throws a ZodError for a bad spec, an Error when the id is taken. */
  add(spec: FaultSpec): string {
    const parsed = FaultSpec.parse(spec);
    const id = parsed.id ?? `fault-${randomUUID()}`;
    if (this.#entries.has(id)) throw new Error(`there is a fault ${id} already`);
    this.#entries.set(id, {
      fault: { ...parsed, id, matched: 0, hits: 0, holding: 0 },
      path: parsed.match.path === undefined ? null : new RegExp(parsed.match.path),
      waiters: [],
      holds: new Set(),
    });
    return id;
  }

  list(): Fault[] {
    return [...this.#entries.values()].map(({ fault, holds }) => ({ ...fault, holding: holds.size }));
  }

  /** The fault that this call runs into, if any. Every matching fault counts the call; the oldest one that is due is hit. */
  take(method: string, path: string): Fault | null {
    let hit: Entry | null = null;
    for (const entry of this.#entries.values()) {
      const { fault } = entry;
      if (fault.match.method !== undefined && fault.match.method.toUpperCase() !== method) continue;
      if (entry.path !== null && !entry.path.test(path)) continue;
      fault.matched += 1;
      const due = fault.matched >= (fault.match.nth ?? 1) && (fault.times === 0 || fault.hits < fault.times);
      if (due && hit === null) hit = entry;
    }
    if (hit === null) return null;
    hit.fault.hits += 1;
    const { hits } = hit.fault;
    hit.waiters = hit.waiters.filter((waiter) => {
      if (waiter.count > hits) return true;
      waiter.resolve();
      return false;
    });
    return hit.fault;
  }

  /** Resolves once the fault has been hit `count` times (at once when it already was). Rejects when it is removed before. */
  waitForHit(id: string, count = 1): Promise<void> {
    const entry = this.#entries.get(id);
    if (entry === undefined) return Promise.reject(new Error(`there is no fault ${id}`));
    if (entry.fault.hits >= count) return Promise.resolve();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // A test may look at the promise only after the fault is gone; that must not count as unhandled meanwhile.
    promise.catch(() => {});
    entry.waiters.push({ count, resolve, reject });
    return promise;
  }

  /** Waits until the fault is released, the client goes, or `ms` have passed (`null` = never). */
  hold(id: string, ms: number | null, clientGone: AbortSignal): Promise<HoldEnd> {
    const entry = this.#entries.get(id);
    // Between being hit and coming to hold its call, a fault can have been cleared: then nothing is in the way.
    if (entry === undefined) return Promise.resolve("go-on");
    if (clientGone.aborted) return Promise.resolve("gone");
    const { promise, resolve } = Promise.withResolvers<HoldEnd>();
    const timer = ms === null ? null : setTimeout(() => end("go-on"), ms);
    const onGone = () => end("gone");
    const end = (how: HoldEnd) => {
      if (timer !== null) clearTimeout(timer);
      clientGone.removeEventListener("abort", onGone);
      entry.holds.delete(end);
      resolve(how);
    };
    entry.holds.add(end);
    clientGone.addEventListener("abort", onGone);
    return promise;
  }

  /** Lets the calls go on that this fault holds; returns how many. `null` when there is no such fault. */
  release(id: string): number | null {
    const entry = this.#entries.get(id);
    if (entry === undefined) return null;
    const held = [...entry.holds];
    for (const end of held) end("go-on");
    return held.length;
  }

  /** Removes every fault; held calls go on, as when a network heals. */
  clear(): void {
    this.#removeAll("go-on");
  }

  /** Removes every fault and cuts held calls off, so that none takes effect in the world after a reset. */
  cancel(): void {
    this.#removeAll("cancelled");
  }

  #removeAll(how: HoldEnd): void {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { fault, holds, waiters } of entries) {
      for (const end of [...holds]) end(how);
      for (const waiter of waiters) waiter.reject(new Error(`fault ${fault.id} was removed before it was hit`));
    }
  }
}
