import type { KeyId } from "@keygate/shared/contracts/ids";
import type { NewFinding } from "@keygate/shared/db/reconcile-findings";
import type { KnownKey } from "@keygate/shared/db/reconcile-known";
import type { FoundResource } from "@keygate/shared/db/schema";
import type { Inventory, Listed, Seen, SeenKey } from "../vendors/inventory.ts";

export type AnyInventory = Inventory<unknown>;

const working: readonly KnownKey["status"][] = ["active", "retiring"];
/** Somebody is about to make or to end it: its job says what stands there. */
const moving: readonly KnownKey["status"][] = ["pending", "revoking"];
/** A vendor's clock and ours, and a revocation that is due, may differ by this much. */
const slackMs = 5 * 60_000;

export const isWorking = (row: KnownKey): boolean => working.includes(row.status);

/** What one look at one container means for what KeyGate knows. */
export interface Verdict {
  found: NewFinding[];
  /** Keys that stand where their rows say. */
  sighted: KeyId[];
  /** It bears our mark and no live key needs it: to be confirmed by another look. */
  isOrphan: boolean;
}

const notOurs = { refusal: "There is nothing to remove at the vendor." };
const noAdoption = { refusal: "Only keys that KeyGate did not make can be adopted." };

/** Why a key that stands at the vendor does not work, in the vendor's words; null when it does. */
function disabledWords(seen: Seen, key: SeenKey | undefined, row: KnownKey, now: Date): string | null {
  if (seen.disabled) return seen.disabled;
  if (key?.disabled) return key.disabled;
  const endsLater = row.expires_at === null || row.expires_at.getTime() > now.getTime() + slackMs;
  return key?.isOver && endsLater ? "The key expired at the vendor before its time in KeyGate." : null;
}

const containerResource = (item: Listed): FoundResource => ({
  name: item.name,
  ref: item.ref,
  removal: { refusal: `The ${item.what} belongs to a live key: revoke that.` },
  adoption: noAdoption,
});

function unmanagedFinding(inventory: AnyInventory, seen: Seen, key: SeenKey, lineageId: KeyId | null): NewFinding {
  const { item } = seen;
  const isInOurs = item.mark !== null;
  const adoption = inventory.adopt(item, key);
  const refusal = isInOurs ? inventory.refusesRemoval(key) : `It stands in a ${item.what} that KeyGate did not make.`;
  const canAdopt = "vendorRef" in adoption;
  return {
    kind: "unmanaged",
    resourceType: "key",
    resourceId: key.id,
    resource: {
      name: key.name ?? key.id,
      ref: key.ref,
      removal: refusal === null ? { how: "revoke" } : { refusal },
      adoption: canAdopt
        ? {
            // What others use too must outlive this key.
            vendorRef: isInOurs ? adoption.vendorRef : { ...adoption.vendorRef, sharesContainer: true },
            hint: key.hint ?? key.name ?? key.id,
            expiresAt: key.expiresAt,
            lineageId: isInOurs ? lineageId : null,
          }
        : adoption,
    },
    keyId: null,
    details: {
      detail: [
        isInOurs
          ? `A key that KeyGate did not make stands in the ${item.what} ${item.name}, which KeyGate made.`
          : `A key that KeyGate does not manage stands in the ${item.what} ${item.name}.`,
        key.note ?? "",
        key.disabled ?? "",
      ]
        .filter(Boolean)
        .join(" "),
      container: item.id,
      hint: key.hint,
      expires_at: key.expiresAt,
    },
    suggestedAction: canAdopt ? "adopt" : refusal === null ? "remove" : "check_vendor",
  };
}

const endedKeyFinding = ({ item }: Seen, key: SeenKey, row: KnownKey): NewFinding => ({
  kind: "orphan",
  resourceType: "key",
  resourceId: key.id,
  resource: { name: key.name ?? key.id, ref: row.vendor_ref, removal: { how: "revoke" }, adoption: noAdoption },
  keyId: row.id,
  details: {
    detail: `KeyGate calls the key ${row.status}, but the vendor still shows it in the ${item.what} ${item.name}.`,
    origin: "ended",
    container: item.id,
    lineage_id: row.lineage_id,
  },
  suggestedAction: "remove",
});

/**
 * Holds one look against the rows that were read after it. Says nothing about a key that is missing: lists lag, so that
 * takes a look of its own.
 */
export function judge(inventory: AnyInventory, seen: Seen, rows: readonly KnownKey[], now: Date): Verdict {
  const { item } = seen;
  const keys = new Map((seen.keys ?? []).map((key) => [key.id, key]));
  const here = rows.filter((row) => inventory.containerOf(row.vendor_ref) === item.id);
  const live = here.filter(isWorking);
  const isOrphan =
    item.state !== "gone" &&
    (item.mark !== null || item.state === "leftover") &&
    live.length === 0 &&
    !rows.some((row) => moving.includes(row.status));
  if (isOrphan || item.state !== "live") return { found: [], sighted: [], isOrphan };

  const found: NewFinding[] = [];
  const sighted: KeyId[] = [];
  for (const row of live) {
    const key = keys.get(inventory.keyOf(row.vendor_ref) ?? "");
    // Where the vendor shows no keys, the container stands for them.
    if (!key && seen.keys !== null) continue;
    sighted.push(row.id);
    const words = disabledWords(seen, key, row, now);
    if (words === null) continue;
    found.push({
      kind: "disabled_by_vendor",
      resourceType: "key",
      resourceId: inventory.keyOf(row.vendor_ref) ?? row.id,
      resource: { ...containerResource(item), ref: row.vendor_ref },
      keyId: row.id,
      details: { detail: words, container: item.id, lineage_id: row.lineage_id },
      suggestedAction: words.includes("EXPOSED") ? "rotate" : "check_vendor",
    });
  }

  const newest = live.at(-1);
  const drift = newest && item.mark ? inventory.driftOf(seen, newest.vendor_ref) : [];
  if (newest && drift.length > 0) {
    found.push({
      kind: "drift",
      resourceType: "container",
      resourceId: item.id,
      resource: containerResource(item),
      keyId: newest.id,
      details: {
        detail: `The ${item.what} ${item.name} differs from what KeyGate set: ${drift.map(({ limit }) => limit).join(", ")}.`,
        drift,
        container: item.id,
        lineage_id: newest.lineage_id,
      },
      suggestedAction: "check_vendor",
    });
  }

  for (const key of keys.values()) {
    if (key.isInherent || key.isOver) continue;
    const holders = rows.filter((row) => inventory.keyOf(row.vendor_ref) === key.id);
    const ended = holders.at(-1);
    if (!ended) found.push(unmanagedFinding(inventory, seen, key, newest?.lineage_id ?? null));
    else if (!holders.some((row) => isWorking(row) || moving.includes(row.status))) {
      found.push(endedKeyFinding(seen, key, ended));
    }
  }
  return { found, sighted, isOrphan: false };
}

/** How an orphan came about: what is certain of it decides whether it is removed without asking. */
export type Origin = "failed_job" | "lost_row" | "unknown" | "ended" | "duplicate";

/** What no live key needs, once a second look has confirmed it. */
export function orphanFinding(item: Listed, rows: readonly KnownKey[], wasAskedFor: boolean): NewFinding {
  const origin: Origin = rows.some(isWorking)
    ? "duplicate"
    : rows.length === 0
      ? wasAskedFor
        ? "lost_row"
        : "unknown"
      : rows.every((row) => row.status === "failed")
        ? "failed_job"
        : "ended";
  const why: Record<Origin, string> = {
    failed_job: "its job failed or was stopped",
    lost_row: "KeyGate asked for it, but its row is lost",
    unknown: "KeyGate has no trace of it: another KeyGate's, a lost database's, or somebody's who likes the name",
    ended: "its keys have ended",
    duplicate: "its key lives in another one of the same name",
  };
  const last = rows.at(-1);
  return {
    kind: "orphan",
    resourceType: "container",
    resourceId: item.id,
    resource: { name: item.name, ref: item.ref, removal: { how: "dismantle" }, adoption: noAdoption },
    keyId: last?.id ?? null,
    details: {
      detail: `The ${item.what} ${item.name} bears KeyGate's mark and belongs to no live key: ${why[origin]}.`,
      origin,
      container: item.id,
      lineage_id: last?.lineage_id ?? null,
    },
    suggestedAction: "remove",
  };
}

/** A live key that a look of its own did not find. */
export function ghostFinding(inventory: AnyInventory, row: KnownKey, item: Listed | null): NewFinding {
  const where = inventory.containerOf(row.vendor_ref);
  const detail = !item
    ? `The vendor does not know ${where}, in which the key was made. It was removed there, or the admin credential belongs to another organization.`
    : item.state !== "live"
      ? `The ${item.what} ${item.name}, in which the key was made, was archived or deleted at the vendor.`
      : `The key is not in the ${item.what} ${item.name} any more: somebody deleted or replaced it at the vendor.`;
  return {
    kind: "ghost",
    resourceType: "key",
    resourceId: inventory.keyOf(row.vendor_ref) ?? row.id,
    resource: { name: row.project_name, ref: row.vendor_ref, removal: notOurs, adoption: noAdoption },
    keyId: row.id,
    details: { detail, container: where, lineage_id: row.lineage_id },
    suggestedAction: "revoke",
  };
}
