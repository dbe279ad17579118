import type { Keyring, Sealed } from "./crypto/envelope.ts";
import { auditSealRows, signingKeyContext } from "./db/audit-seals.ts";
import type { Db } from "./db/client.ts";
import { jobInputContext, jobInputs } from "./db/job-inputs.ts";
import { vendorConfigContext, vendorConfigRows } from "./db/vendor-configs.ts";

/** A value that lies in the database under `ENCRYPTION_KEY`. */
export interface SealedValue {
  kind: "vendor credential" | "job input" | "audit key";
  id: string;
  context: string;
  sealed: Sealed;
  /** Puts another one in its place; false when it changed or went meanwhile. */
  replace(next: Sealed): Promise<boolean>;
}

const inputsPerRead = 200;

/** Everything that is sealed, wherever it lies: the one list that re-wrapping and readiness go through. */
export async function* sealedValues(db: Db): AsyncGenerator<SealedValue> {
  for (const { vendor, sealed } of await vendorConfigRows(db).list()) {
    const replace = (next: Sealed) => vendorConfigRows(db).rewrap(vendor, sealed, next);
    yield { kind: "vendor credential", id: vendor, context: vendorConfigContext(vendor), sealed, replace };
  }
  for (const { id, sealed } of await auditSealRows(db).keys()) {
    const replace = (next: Sealed) => auditSealRows(db).rewrapKey(id, sealed, next);
    yield { kind: "audit key", id, context: signingKeyContext(id), sealed, replace };
  }
  for (let after = ""; ; ) {
    const rows = await jobInputs(db).list(after, inputsPerRead);
    for (const { id, sealed } of rows) {
      const replace = (next: Sealed) => jobInputs(db).rewrap(id, sealed, next);
      yield { kind: "job input", id, context: jobInputContext(id), sealed, replace };
    }
    const last = rows.at(-1);
    if (!last || rows.length < inputsPerRead) return;
    after = last.id;
  }
}

/** The names of what no key of the ring opens, like `vendor credential openai`; at most `limit` of them. */
export async function unreadableValues(db: Db, keyring: Keyring, limit = 20): Promise<string[]> {
  const names: string[] = [];
  for await (const { kind, id, context, sealed } of sealedValues(db)) {
    try {
      keyring.open(sealed, context);
    } catch {
      names.push(`${kind} ${id}`);
      if (names.length >= limit) break;
    }
  }
  return names;
}

export interface RewrapCount {
  rewrapped: number;
  current: number;
  /** Changed or removed by somebody else meanwhile; who changes a value seals it under the first key. */
  changed: number;
}

/**
 * Seals everything anew that is not under the first key of the ring. Safe beside running processes that have the key
 * in their list, and to repeat: each value is replaced only if it is still the one that was read.
 *
 * @returns counts by kind, and the names of what could not be opened; that is left as it is.
 */
export async function rewrapAll(
  db: Db,
  keyring: Keyring,
): Promise<{ counts: Record<SealedValue["kind"], RewrapCount>; unreadable: string[] }> {
  const none = (): RewrapCount => ({ rewrapped: 0, current: 0, changed: 0 });
  const counts = { "vendor credential": none(), "audit key": none(), "job input": none() };
  const unreadable: string[] = [];
  for await (const { kind, id, context, sealed, replace } of sealedValues(db)) {
    if (keyring.isCurrent(sealed)) {
      counts[kind].current += 1;
      continue;
    }
    let next: Sealed;
    try {
      next = keyring.seal(keyring.open(sealed, context), context);
    } catch {
      unreadable.push(`${kind} ${id}`);
      continue;
    }
    counts[kind][(await replace(next)) ? "rewrapped" : "changed"] += 1;
  }
  return { counts, unreadable };
}
