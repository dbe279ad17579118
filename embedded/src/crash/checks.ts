import { z } from "zod";
import { useKeyOf } from "../demo/use-key.ts";
import { checkAudit } from "./check-audit.ts";
import type { BooksReader } from "./vendor-books.ts";
import { type Delivery, serverOf, vendorNames, type World } from "./world.ts";

const Key = z.object({
  id: z.string(),
  vendor: z.enum(vendorNames),
  status: z.string(),
  claimed: z.boolean(),
  ref: z.record(z.string(), z.unknown()),
});
type Key = z.infer<typeof Key>;
const Failed = z.object({
  id: z.string(),
  kind: z.string(),
  vendor: z.enum(vendorNames).nullable(),
  code: z.string().nullable(),
  why: z.string().nullable(),
});
const Finding = z.object({ vendor: z.string(), kind: z.string(), detail: z.string().nullable() });

const isOpen = ({ status }: Key) => status === "active" || status === "retiring";
const ended = ["revoked", "expired", "rotated", "failed"];
const hasEnded = ({ status }: Key) => ended.includes(status);

const readKeys = ({ lane }: World) =>
  lane.ask(Key, "select id, vendor, status, claimed_at is not null as claimed, vendor_ref as ref from keys");

/** One vendor's books and rows, side by side. The rows were read first: an ended key that the books call live is wrong. */
interface Side {
  books: BooksReader;
  keys: Key[];
  deliveries: Delivery[];
}

async function sides(world: World): Promise<(Side & { vendor: (typeof vendorNames)[number] })[]> {
  const keys = await readKeys(world);
  return vendorNames.flatMap((vendor) => {
    const books = world.books.get(vendor);
    const of = <T extends { vendor: string }>(list: readonly T[]) => list.filter((one) => one.vendor === vendor);
    return books ? [{ vendor, books, keys: of(keys), deliveries: of(world.deliveries) }] : [];
  });
}

/** Whether a key that KeyGate calls ended works at its vendor. True at any moment, not only in the end. */
export async function lookForEarlyEnds(world: World): Promise<void> {
  for (const { books, keys, deliveries } of await sides(world)) {
    const live = books.live();
    const credentials = (some: readonly Key[]) => new Set(some.map(({ ref }) => books.credentialOf(ref)));
    // A successor that is being made begins with its predecessor's references.
    const open = credentials(keys.filter((key) => !hasEnded(key)));
    const byDigest = new Map(deliveries.map((delivery) => [books.digest(delivery.secret), delivery]));
    for (const { id, digest, mayBeNobodys } of live) {
      const owner = byDigest.get(digest);
      const row = owner && keys.find((key) => key.id === owner.keyId);
      if (row && hasEnded(row))
        world.violations.add(`${row.id} is ${row.status}, and the key that was handed out works`);
      if (open.has(id) || mayBeNobodys) continue;
      const named = keys.filter((key) => hasEnded(key) && books.credentialOf(key.ref) === id);
      for (const key of named) world.violations.add(`${key.id} is ${key.status}, and ${id} works at ${key.vendor}`);
    }
  }
}

/** Everything that must hold when nothing goes on any more. */
export async function checkAll(world: World): Promise<void> {
  const { violations } = world;
  await lookForEarlyEnds(world);
  for (const { vendor, books, keys, deliveries } of await sides(world)) {
    const open = keys.filter(isOpen);
    const live = books.live();
    const liveIds = new Set(live.map(({ id }) => id));
    const liveDigests = new Set(live.map(({ digest }) => digest));

    const accounted = new Set(open.map(({ ref }) => books.credentialOf(ref)));
    for (const { id, mayBeNobodys } of live) {
      if (!accounted.has(id) && !mayBeNobodys)
        violations.add(`${vendor}: ${id} works, and no open key accounts for it`);
    }
    const standing = new Set(open.flatMap(({ ref }) => books.resourcesOf(ref)));
    for (const { id, what } of books.resources()) {
      if (!standing.has(id)) violations.add(`${vendor}: ${what} was left behind`);
    }
    for (const key of open) {
      const credential = books.credentialOf(key.ref);
      if (!credential || !liveIds.has(credential))
        violations.add(`${key.id} is ${key.status}, and does not work at ${vendor}`);
    }
    for (const delivery of deliveries) {
      const row = open.find((key) => key.id === delivery.keyId);
      if (!row) continue;
      if (!liveDigests.has(books.digest(delivery.secret)))
        violations.add(`${row.id}: what was handed out is not the key`);
      else if (!(await works(delivery))) violations.add(`${row.id}: the vendor refuses the key that was handed out`);
    }
    for (const { method, path, reason } of serverOf(world.lane, vendor).violations()) {
      violations.add(`${vendor} would have refused ${method} ${path}: ${reason}`);
    }
  }
  checkDeliveries(world);
  await checkEnds(world);
  await checkAudit(world);
  checkLogs(world);
  await checkRows(world);
}

const works = async ({ vendor, secret, instructions }: Delivery) =>
  (await useKeyOf[vendor]?.(secret, instructions).catch(() => "refused")) === "accepted";

/** What a vendor's refusal may end; everything else is tried until it works. */
const mayBeRefused = ["provision", "rotate", "reconcile"];

/** Every other disturbance passes, so a job fails only where its vendor refused a call; what was stopped is called cancelled. */
async function checkEnds({ lane, refusals, failedBefore, violations }: World): Promise<void> {
  const failed = await lane.ask(
    Failed,
    "select id, kind, vendor, error ->> 'code' as code, error ->> 'detail' as why from jobs where state = 'failed' and id <> all($1)",
    [failedBefore],
  );
  const left = new Map(refusals);
  for (const { id, kind, vendor, code, why } of failed) {
    // What was nobody's when it was found may have become somebody's since.
    if (kind === "remove_orphan" && code === "finding.not_removable") continue;
    const refused = vendor && mayBeRefused.includes(kind) ? (left.get(vendor) ?? 0) : 0;
    if (vendor) left.set(vendor, refused - 1);
    if (refused <= 0) violations.add(`${kind} ${id} failed: ${why}`);
  }
}

/** A look at everything, when nothing goes on, finds nothing that the books would not show. */
export async function checkFindings({ lane, violations }: World): Promise<void> {
  const open = await lane.ask(
    Finding,
    "select vendor, kind, details ->> 'detail' as detail from reconcile_findings where resolved_at is null",
  );
  for (const { vendor, kind, detail } of open) violations.add(`reconcile at ${vendor}: ${kind}: ${detail}`);
}

function checkDeliveries({ deliveries, violations }: World): void {
  for (const [jobId, taken] of Map.groupBy(deliveries, (delivery) => delivery.jobId)) {
    if (taken.length > 1) violations.add(`the delivery of ${jobId} was opened ${taken.length} times`);
  }
}

/** The middle of a key's text, which no log may hold: a key file is looked for by its private half. */
const tellTale = (secret: string) => (/BEGIN PRIVATE KEY-----\\n(.{40})/.exec(secret)?.[1] ?? secret).slice(0, 200);

function checkLogs({ lane, deliveries, violations }: World): void {
  for (const [name, log] of lane.logs) {
    const text = log.sinceMark();
    for (const { keyId, secret } of deliveries) {
      if (text.includes(tellTale(secret))) violations.add(`the log of ${name} holds the secret of ${keyId}`);
    }
  }
}

const tables = ["keys", "jobs", "saga_steps", "handoffs", "idempotency_keys", "audit_events", "reconcile_findings"];
const Found = z.object({ name: z.string(), secret: z.string() });

/** No row holds the text of a key, in any column. */
async function checkRows({ lane, deliveries, violations }: World): Promise<void> {
  if (deliveries.length === 0) return;
  const looks = tables.map(
    (name) =>
      `select '${name}' as name, secret from unnest($1::text[]) as secret
       where exists (select from ${name} as one where strpos(one::text, secret) > 0)`,
  );
  const secrets = deliveries.map(({ secret }) => tellTale(secret));
  for (const { name, secret } of await lane.ask(Found, looks.join(" union all "), [secrets])) {
    const whose = deliveries.find((delivery) => tellTale(delivery.secret) === secret);
    violations.add(`a row of ${name} holds the secret of ${whose?.keyId}`);
  }
}

/** Ends every key and looks whether anything is left at any vendor. */
export async function checkNothingLeft(world: World): Promise<void> {
  for (const { vendor, books, keys } of await sides(world)) {
    for (const key of keys) if (!hasEnded(key)) world.violations.add(`${key.id} is ${key.status} after its revocation`);
    for (const { id, mayBeNobodys } of books.live()) {
      if (!mayBeNobodys) world.violations.add(`${vendor}: ${id} works after everything was revoked`);
    }
    for (const { what } of books.resources())
      world.violations.add(`${vendor}: ${what} is left after everything was revoked`);
  }
  await lookForEarlyEnds(world);
}

/** The keys that still work or come to work. */
export async function openKeyIds(world: World): Promise<string[]> {
  return (await readKeys(world)).filter((key) => !hasEnded(key)).map(({ id }) => id);
}
