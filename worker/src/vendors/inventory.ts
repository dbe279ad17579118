import type { Adoption } from "@keygate/shared/db/schema";
import { KeyGateError } from "@keygate/shared/errors";

/** What holds keys at a vendor: a project, a workspace, an account, a service account. Goes into a run's cursor. */
export interface Listed {
  /** The vendor's own id, the same that `containerOf` reads from a key's references. */
  id: string;
  /** In words for people, like "project". */
  what: string;
  name: string;
  /** Our mark: the key it was made for, or only a name that we may have given. Null when somebody else made it. */
  mark: { keyId: string | null } | null;
  /** `leftover`: deleted, but something of it still stands and can be taken away. `gone`: archived for good. */
  state: "live" | "leftover" | "gone";
  /** References as a key's row has them: what removing it starts from. */
  ref: Record<string, unknown>;
  /** What the list said beside that, for the look. */
  facts?: Record<string, unknown>;
}

/** A key as the vendor shows it. */
export interface SeenKey {
  /** The same that `keyOf` reads from a key's references. */
  id: string;
  name: string | null;
  hint: string | null;
  expiresAt: string | null;
  /** Switched off, reversibly, in the vendor's words. */
  disabled: string | null;
  /** Over by itself: an expired key. */
  isOver?: true;
  /** Comes with its container and was made by nobody. */
  isInherent?: true;
  /** Whose it is and what it may do, where that matters. */
  note?: string;
  /** References as a row of this key would have them. */
  ref: Record<string, unknown>;
}

/** One container and what is in it. */
export interface Seen {
  item: Listed;
  /** Null when the vendor does not show them. */
  keys: SeenKey[] | null;
  /** All of it is switched off, in the vendor's words. */
  disabled: string | null;
  /** Limits as they are now, for `driftOf`. */
  limits: Record<string, unknown>;
}

export interface Drift {
  limit: string;
  expected: unknown;
  found: unknown;
}

/** What a look may use. `once` keeps what was read across pauses and crashes; JSON only, and never a secret. */
export interface Scan<Client> {
  client: Client;
  once<T>(name: string, read: () => Promise<T>): Promise<T>;
}

/**
 * What stands at a vendor, told in the words that reconcile has for all of them. Every call goes through a paced client
 * and may throw WaitForVendor; what was read before that is not read again.
 */
export interface Inventory<Client> {
  /** Calls per minute and endpoint, far below what the vendor allows: people's requests need the rest. */
  callsPerMinute: number;
  /** One page of what there is, ours and others'. `at` is the page's cursor, null for the first. */
  list(scan: Scan<Client>, at: string | null): Promise<{ items: Listed[]; next: string | null }>;
  /** One container by a key's references, or by a listed item's. Null when it is gone. */
  find(scan: Scan<Client>, ref: Record<string, unknown>): Promise<Listed | null>;
  /** The keys in it and, where it is ours, its limits. */
  look(scan: Scan<Client>, item: Listed): Promise<Seen>;
  containerOf(ref: Record<string, unknown>): string | null;
  keyOf(ref: Record<string, unknown>): string | null;
  /** Where limits differ from what a key's row says was set. Looks only at what the row knows. */
  driftOf(seen: Seen, ref: Record<string, unknown>): Drift[];
  /** Whether a key that KeyGate did not make can be taken into its care, and as what. */
  adopt(item: Listed, key: SeenKey): Pick<Adoption, "vendorRef"> | { refusal: string };
  /** Why a key that KeyGate did not make is not removed by it alone, in something of ours; null when it can be. */
  refusesRemoval(key: SeenKey): string | null;
}

/** The value, or null where the vendor does not let us see it: a missing right must not stop a whole run. */
export async function ifAllowed<T>(promise: Promise<T>): Promise<{ value: T } | null> {
  try {
    return { value: await promise };
  } catch (error) {
    if (!(error instanceof KeyGateError)) throw error;
    const isForbidden = error.code === "vendor.refused_us" && error.facts.status === 403;
    if (isForbidden || error.kind === "permanent") return null;
    throw error;
  }
}

/** A limit that a row knows of, against what is in force. */
export const differs = (limit: string, expected: unknown, found: unknown): Drift[] =>
  expected === undefined || expected === null || JSON.stringify(expected) === JSON.stringify(found)
    ? []
    : [{ limit, expected, found }];
