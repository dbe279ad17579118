import { setTimeout as sleep } from "node:timers/promises";
import { KeyGateError } from "@keygate/shared/errors";
import { leaseInForce, underLease } from "../../lease-watch.ts";
import { isAborted, isRefusal } from "./errors.ts";
import type { Binding, Policy } from "./policy.ts";

/** How one project's policy is reached. */
export interface PolicyAccess {
  read(): Promise<Policy>;
  write(policy: Policy): Promise<void>;
}

/** What shall change; null when the policy says so already. Throws when it cannot be. */
export type PolicyChange = (bindings: readonly Binding[]) => Binding[] | null;

interface Waiting {
  access: PolicyAccess;
  change: PolicyChange;
  /** Of the job that asked: a batch runs in the name of all of them, and each may lose its own. */
  lease: ReturnType<typeof leaseInForce>;
  resolve(): void;
  reject(error: unknown): void;
}

const roundsMax = 10;
const pauseBaseMs = 100;
const pauseMaxMs = 4_000;

// One policy is one document: two writers of one process would only make each other start over. Other processes and
// people are kept apart by the etag.
const queues = new Map<string, Waiting[]>();

/**
 * Changes a project's policy. All changes of this process to one policy go through here one after the other, and those
 * that wait are written together.
 *
 * @param name of the policy; the same name is the same document.
 * @throws what the change throws, or what Google says to it; then it surely did not happen if the error says so.
 */
export function changePolicy(name: string, access: PolicyAccess, change: PolicyChange): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const waiting = { access, change, lease: leaseInForce(), resolve, reject };
  const queue = queues.get(name);
  if (queue) queue.push(waiting);
  else {
    queues.set(name, [waiting]);
    void work(name);
  }
  return promise;
}

async function work(name: string): Promise<void> {
  // A moment for others that come at the same time.
  await sleep(0);
  for (let queue = queues.get(name); queue && queue.length > 0; ) {
    const [first] = queue;
    const batch = queue.filter((waiting) => waiting.access === first?.access);
    queue.splice(0, queue.length, ...queue.filter((waiting) => !batch.includes(waiting)));
    await settle(batch);
  }
  queues.delete(name);
}

/** Writes a batch. When Google refuses it, each change is tried alone: one bad one must not stop the others. */
async function settle(batch: readonly Waiting[]): Promise<void> {
  const [first, ...others] = batch;
  if (!first) return;
  try {
    const left = await writeTogether(first.access, batch);
    for (const { resolve } of left) resolve();
  } catch (error) {
    if (others.length > 0 && isRefusal(error)) {
      for (const each of batch) await settle([each]);
    } else {
      for (const { reject } of batch) reject(error);
    }
  }
}

const isOver = ({ lease }: Waiting) => lease?.isOver() === true;

/** Those whose job is still theirs; the others are told that another worker has it now. */
function withoutLost(batch: readonly Waiting[]): Waiting[] {
  for (const waiting of batch) if (isOver(waiting)) waiting.reject(new KeyGateError("job.lease_lost"));
  return batch.filter((waiting) => !isOver(waiting));
}

/** Those whose change can be made, and the bindings with all of these changes; null when they say so already. */
function applied(batch: readonly Waiting[], policy: Policy): { left: Waiting[]; bindings: Binding[] | null } {
  let bindings: Binding[] | null = null;
  const left = batch.filter((waiting) => {
    try {
      bindings = waiting.change(bindings ?? policy.bindings) ?? bindings;
      return true;
    } catch (error) {
      waiting.reject(error);
      return false;
    }
  });
  return { left, bindings };
}

/**
 * Reads, changes and writes, from the start each time that somebody else was faster.
 *
 * @returns those whose change is in the policy now; the others have been told why not.
 */
async function writeTogether(access: PolicyAccess, batch: readonly Waiting[]): Promise<Waiting[]> {
  let left = [...batch];
  for (let round = 0; round < roundsMax; ) {
    left = withoutLost(left);
    if (left.length === 0) return left;
    // Under the leases of all: whoever lost his in the meantime must not have his change written by the others.
    const watch = { isOver: () => left.some(isOver) };
    try {
      const policy = await underLease(watch, () => access.read());
      const { left: able, bindings } = applied(left, policy);
      left = able;
      if (bindings !== null) await underLease(watch, () => access.write({ ...policy, bindings }));
      return left;
    } catch (error) {
      if (error instanceof KeyGateError && error.code === "job.lease_lost" && left.some(isOver)) continue;
      if (!isAborted(error)) throw error;
      round += 1;
      if (round < roundsMax) await sleep(Math.random() * Math.min(pauseMaxMs, pauseBaseMs * 2 ** (round - 1)));
    }
  }
  throw new KeyGateError("vendor.unavailable", {
    detail: `The project's IAM policy was changed by others ${roundsMax} times while we tried to change it.`,
    nothingHappened: true,
  });
}
