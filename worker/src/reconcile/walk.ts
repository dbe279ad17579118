import { KeyId } from "@keygate/shared/contracts/ids";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import type { Db, Tx } from "@keygate/shared/db/client";
import type { Lease } from "@keygate/shared/db/jobs";
import { type NewFinding, reconcileFindingRows } from "@keygate/shared/db/reconcile-findings";
import { type KnownKey, knownRows } from "@keygate/shared/db/reconcile-known";
import { type RunRow, reconcileRunRows } from "@keygate/shared/db/reconcile-runs";
import { KeyGateError } from "@keygate/shared/errors";
import { z } from "zod";
import type { WorkerDeps } from "../deps.ts";
import type { PacedConnection } from "../vendors/connections.ts";
import type { Listed, Scan, Seen } from "../vendors/inventory.ts";
import { type AnyInventory, ghostFinding, isWorking, judge, orphanFinding } from "./judge.ts";
import { recordFindings } from "./record.ts";

/** Where a run goes on. A run whose cursor was written by another version of KeyGate begins anew. */
const Cursor = z.object({
  v: z.literal(1),
  phase: z.enum(["resources", "keys"]),
  /** The page that `items` came from is over; this is the next one. */
  page: z.string().nullable(),
  isLastPage: z.boolean(),
  /** What is left of the page. */
  items: z.array(z.custom<Listed>((value) => typeof value === "object" && value !== null)),
  /** When the earliest of what is remembered was read, by Postgres' clock. */
  since: z.iso.datetime({ offset: true }).nullable(),
  memo: z.record(z.string(), z.unknown()),
  /** The key that is looked for, and the last one that was. */
  row: KeyId.nullable(),
  after: KeyId.nullable(),
});
type Cursor = z.infer<typeof Cursor>;

const beginning: Cursor = {
  v: 1,
  phase: "resources",
  page: null,
  isLastPage: false,
  items: [],
  since: null,
  memo: {},
  row: null,
  after: null,
};

/** What came of one look, to be written down together with the cursor. */
interface Outcome {
  found: NewFinding[];
  sighted: KeyId[];
  /** Nothing can be said about these: what is open about them stays open. */
  undecided: { resources: string[]; keys: KeyId[] };
}

const nothing = (): Outcome => ({ found: [], sighted: [], undecided: { resources: [], keys: [] } });

export interface Walk {
  /** One container or one key. False when there is nothing left to look at. */
  step(): Promise<boolean>;
  /** Keeps how far it came, with what was read on the way to the next step. */
  save(): Promise<void>;
}

/** Walks through everything at a vendor, then looks for the keys that were not met on the way. */
export function openWalk(
  deps: WorkerDeps,
  connection: PacedConnection,
  where: { vendor: VendorId; lease: Lease; run: RunRow },
): Walk {
  const { vendor, lease, run } = where;
  const { settleMs } = connection;
  const inventory: AnyInventory = connection.vendor.inventory;
  const known = knownRows(deps.db);
  const parsed = Cursor.safeParse(run.cursor);
  const cursor: Cursor = parsed.success ? parsed.data : structuredClone(beginning);
  const counts = {
    resourcesSeen: run.resources_seen,
    keysSeen: run.keys_seen,
    rowsChecked: run.rows_checked,
    skipped: run.skipped,
  };

  const scanAs = (prefix: string): Scan<unknown> => ({
    client: connection.client,
    async once<T>(name: string, read: () => Promise<T>): Promise<T> {
      const key = prefix + name;
      // What is remembered was stored under this name by this version's own read.
      if (key in cursor.memo) return cursor.memo[key] as T;
      const value = await read();
      cursor.memo[key] = value;
      return value;
    },
  });
  const scan = scanAs("");

  const save = (tx: Db | Tx = deps.db, to: Cursor = cursor, counted = counts) =>
    reconcileRunRows(tx).save(lease, run.id, { cursor: to, ...counted });

  /** Findings, sightings and the cursor behind them in one transaction, fenced by the lease. */
  async function write(outcome: Outcome, move: Partial<Cursor>, counted: Partial<typeof counts>): Promise<void> {
    const { resources, keys } = outcome.undecided;
    const to: Cursor = { ...cursor, ...move, memo: {} };
    const next = { ...counts, ...counted, skipped: counts.skipped + resources.length + keys.length };
    const removals = await deps.db.transaction().execute(async (tx) => {
      await save(tx, to, next);
      await knownRows(tx).noteSeen(outcome.sighted);
      await reconcileFindingRows(tx).keep(vendor, run.id, resources, keys);
      const { removeUnknown } = deps.config.reconcile;
      return recordFindings(tx, outcome.found, { vendor, runId: run.id, settleMs, removeUnknown });
    });
    Object.assign(cursor, to);
    Object.assign(counts, next);
    await deps.enqueue(removals);
  }

  /** The rows of a container, read after it was looked at. */
  async function rowsOf(item: Listed, seen: Seen | null): Promise<KnownKey[]> {
    const byMark = !item.mark
      ? []
      : item.mark.keyId
        ? await known.lineageOf(item.mark.keyId)
        : await known.lineageNamed(vendor, item.name);
    const ids = (seen?.keys ?? []).filter((key) => !key.isInherent).map((key) => key.id);
    const byKeys = await known.byVendorKeys(vendor, ids);
    return [...new Map([...byMark, ...byKeys].map((row) => [row.id, row])).values()].sort((a, b) =>
      a.id < b.id ? -1 : 1,
    );
  }
  const isBusy = (rows: readonly KnownKey[], since: Date) =>
    known.isBusy([...new Set(rows.map((row) => row.lineage_id))], since, settleMs);

  async function judgeItem(item: Listed, since: Date): Promise<Outcome> {
    const seen = await inventory.look(scan, item);
    const rows = await rowsOf(item, seen);
    const verdict = judge(inventory, seen, rows, await known.now());
    counts.keysSeen += seen.keys?.filter((key) => !key.isInherent).length ?? 0;
    const { sighted } = verdict;
    // Keys were seen whatever is going on; everything else may be something that a job has just made or removed.
    const undecided = { ...nothing(), sighted, undecided: { resources: [item.id], keys: rows.map((row) => row.id) } };
    if (await isBusy(rows, since)) return undecided;
    if (!verdict.isOrphan) return { ...nothing(), sighted, found: verdict.found };

    // The list may be old: only what another look still finds, with no job in between, is an orphan.
    cursor.memo.confirmedAt ??= (await known.now()).toISOString();
    const again = await inventory.find(scanAs("again: "), item.ref);
    if (!again || again.state === "gone") return nothing();
    const later = await rowsOf(item, null);
    if (later.some((row) => !isSettled(row)) || (await isBusy(later, new Date(String(cursor.memo.confirmedAt))))) {
      return undecided;
    }
    if (later.some((row) => isWorking(row) && inventory.containerOf(row.vendor_ref) === item.id)) return nothing();
    const mark = { keyId: item.mark?.keyId ?? null, name: item.name };
    return { ...nothing(), found: [orphanFinding(again, later, await known.wasAskedFor(mark))] };
  }

  async function stepThroughResources(): Promise<boolean> {
    if (cursor.items.length === 0) {
      if (cursor.isLastPage) {
        cursor.phase = "keys";
        return true;
      }
      cursor.since ??= (await known.now()).toISOString();
      const page = await inventory.list(scan, cursor.page);
      Object.assign(cursor, { items: page.items, page: page.next, isLastPage: page.next === null, memo: {} });
      await save();
      if (page.items.length === 0) cursor.since = null;
      return true;
    }
    const [item] = cursor.items;
    if (!item) return true;
    const outcome = await lookSafely(() => judgeItem(item, new Date(String(cursor.since))), item.id, []);
    const items = cursor.items.slice(1);
    const since = items.length === 0 ? null : cursor.since;
    await write(outcome, { items, since }, { resourcesSeen: counts.resourcesSeen + 1 });
    return true;
  }

  async function judgeRow(row: KnownKey, since: Date): Promise<Outcome> {
    const item = await inventory.find(scan, row.vendor_ref);
    const seen = item?.state === "live" ? await inventory.look(scan, item) : null;
    const now = await known.find(row.id);
    if (!now || !isWorking(now)) return nothing();
    const rows = [...(await known.lineageOf(row.id)), ...(item ? await rowsOf(item, seen) : [])];
    if (await isBusy([now], since)) return { ...nothing(), undecided: { resources: [], keys: [row.id] } };
    if (!seen) return { ...nothing(), found: [ghostFinding(inventory, now, item)] };
    const unique = [...new Map(rows.map((each) => [each.id, each])).values()];
    const { found, sighted } = judge(inventory, seen, unique, await known.now());
    if (sighted.includes(row.id)) return { ...nothing(), found, sighted };
    return { ...nothing(), sighted, found: [...found, ghostFinding(inventory, now, item)] };
  }

  async function stepThroughKeys(): Promise<boolean> {
    const row = cursor.row
      ? await known.find(cursor.row)
      : await known.nextUnseen(vendor, run.started_at, cursor.after);
    if (!row) {
      if (!cursor.row) return false;
      Object.assign(cursor, { row: null, memo: {}, since: null });
      return true;
    }
    cursor.row = row.id;
    cursor.since ??= (await known.now()).toISOString();
    const since = new Date(cursor.since);
    // A row that does not say where its key stands cannot be looked for.
    const outcome =
      inventory.containerOf(row.vendor_ref) === null
        ? { ...nothing(), undecided: { resources: [], keys: [row.id] } }
        : await lookSafely(() => judgeRow(row, since), null, [row.id]);
    const rowsChecked = counts.rowsChecked + 1;
    await write(outcome, { row: null, after: row.id, since: null }, { rowsChecked });
    return true;
  }

  /** What the vendor refuses for good to show is left out; anything else ends the turn and is tried again. */
  async function lookSafely(look: () => Promise<Outcome>, resource: string | null, keys: KeyId[]): Promise<Outcome> {
    try {
      return await look();
    } catch (error) {
      if (!(error instanceof KeyGateError) || error.kind !== "permanent") throw error;
      deps.log.warn({ error, vendor, runId: run.id, resource, keys }, "reconcile.refused");
      return { ...nothing(), undecided: { resources: resource ? [resource] : [], keys } };
    }
  }

  return {
    step: () => (cursor.phase === "resources" ? stepThroughResources() : stepThroughKeys()),
    save: () => save(),
  };
}

const isSettled = (row: KnownKey) => row.status !== "pending" && row.status !== "revoking";
