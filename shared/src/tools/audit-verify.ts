/**
 * Checks an export of KeyGate's audit log. This file imports nothing but Node, so that a stranger can take it away and
 * read it in one sitting; that is why it is one file. The API's own check runs the same code over the database.
 *
 * An export is NDJSON. A line with a `type` is about the log (`log`, `key`, `checkpoint`, `head`); one without is a row.
 *   leaf       SHA-256 of the byte 00 and the row's line as it stands
 *   node       SHA-256 of the byte 01 and both children, the tree of RFC 6962
 *   checkpoint SHA-256 of the byte 02 and its members as canonical JSON (see `checkpointHash`): the one before is in it
 *   signature  Ed25519 over `keygate-audit-checkpoint-1:` and the checkpoint's hash in hexadecimal
 *   key id     the JWK thumbprint of the public key (RFC 7638); a new key is announced in a checkpoint of the old one
 */
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { createReadStream, readFileSync } from "node:fs";
import { parseArgs } from "node:util";

/** An Ed25519 public key as JWK. */
export interface PublicKey {
  kty: string;
  crv: string;
  x: string;
}
export interface Checkpoint {
  /** 1, 2, 3 … without a gap. */
  number: number;
  /** It seals the rows after this one … */
  from_seq: number;
  /** … up to this one. */
  to_seq: number;
  row_count: number;
  root: string;
  previous: string;
  sealed_at: string;
  key_id: string;
  /** The key that signs from the next checkpoint on, when it is another one. */
  next_key: PublicKey | null;
  /** A head that the sealer had seen and that was no longer there: checkpoints were removed. */
  lost_head: { number: number; hash: string } | null;
  hash: string;
  signature: string;
}
export interface LogRow {
  seq: number;
  id: string;
  line: string;
}
export interface Problem {
  checkpoint: number | null;
  kind:
    | ("row_changed" | "row_missing" | "row_added" | "rows_reordered" | "truncated" | "unreadable")
    | ("checkpoint_changed" | "checkpoint_missing" | "chain_broken")
    | ("signature_invalid" | "key_unknown" | "key_not_announced");
  detail: string;
}

const sha256 = (...parts: (string | Uint8Array)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const [leafByte, nodeByte, checkpointByte] = [Buffer.of(0), Buffer.of(1), Buffer.of(2)];

/** What precedes the first checkpoint. */
export const noCheckpoint = "0".repeat(64);
export const leafHash = (line: string): Buffer => sha256(leafByte, line);

/** The root of the tree of RFC 6962 over these leaves, in hexadecimal. */
export function merkleRoot(leaves: readonly Buffer[]): string {
  let level = leaves;
  while (level.length > 1) {
    const above: Buffer[] = [];
    for (let i = 0; i < level.length; i += 2) {
      const pair = level.slice(i, i + 2);
      above.push(pair.length === 2 ? sha256(nodeByte, ...pair) : Buffer.concat(pair));
    }
    level = above;
  }
  return (level[0] ?? sha256()).toString("hex");
}

export const thumbprint = ({ crv, kty, x }: PublicKey): string =>
  sha256(JSON.stringify({ crv, kty, x })).toString("base64url");

/** The hash of everything that a checkpoint says. Its members are in the order of canonical JSON (RFC 8785). */
export function checkpointHash(c: Omit<Checkpoint, "hash" | "signature">): string {
  const body = JSON.stringify({
    from_seq: c.from_seq,
    key_id: c.key_id,
    lost_head: c.lost_head && { hash: c.lost_head.hash, number: c.lost_head.number },
    next_key: c.next_key && { crv: c.next_key.crv, kty: c.next_key.kty, x: c.next_key.x },
    number: c.number,
    previous: c.previous,
    root: c.root,
    row_count: c.row_count,
    sealed_at: c.sealed_at,
    to_seq: c.to_seq,
    version: 1,
  });
  return sha256(checkpointByte, body).toString("hex");
}

/** What is signed for a checkpoint with this hash. */
export const signedText = (hash: string): Buffer => Buffer.from(`keygate-audit-checkpoint-1:${hash}`);

function keyObject(key: PublicKey): KeyObject | null {
  try {
    const { kty, crv, x } = key;
    return kty === "OKP" && crv === "Ed25519" ? createPublicKey({ key: { kty, crv, x }, format: "jwk" }) : null;
  } catch {
    return null;
  }
}

/** Whether the checkpoint says what was hashed and the key signed that. */
export const isSignedBy = (c: Checkpoint, key: PublicKey | KeyObject): boolean => {
  const object = "x" in key ? keyObject(key) : key;
  return (
    object !== null &&
    verify(null, signedText(checkpointHash(c)), object, Buffer.from(String(c.signature), "base64url"))
  );
};

const examplesMax = 5;
const strayMax = 1_000;
const problemsMax = 200;

type Say = (kind: Problem["kind"], detail: string) => void;
const some = (items: readonly string[], total = items.length): string =>
  items.slice(0, examplesMax).join(", ") + (total > examplesMax ? ` and ${total - examplesMax} more` : "");
const nameOf = ({ seq, id }: LogRow): string => `row ${seq} (${id})`;

/** Compares the rows of one checkpoint with its list of leaves, and says what became of each that differs. */
function compareRows(c: Checkpoint, leaves: readonly Buffer[], say: Say) {
  const places = new Map(leaves.map((leaf, place) => [leaf.toString("hex"), place]));
  const seqs = new Array<number | null>(leaves.length).fill(null);
  const explained = new Set<number>();
  const strays: (LogRow & { after: number })[] = [];
  const outside: string[] = [];
  let [strayCount, outsideCount, lastPlace] = [0, 0, -1];

  /** The place where this very line was sealed, unless a row has taken it already. */
  const vacant = (line: string): number | null => {
    const place = places.get(leafHash(line).toString("hex"));
    return place === undefined || seqs[place] !== null || explained.has(place) ? null : place;
  };
  /** Whether the row's content was sealed under the number of another row that differs. */
  const wasMoved = (stray: LogRow): boolean =>
    strays.some(({ seq }) => {
      const place = vacant(stray.line.replace(/"seq":-?\d+\}$/, `"seq":${seq}}`));
      if (place !== null) explained.add(place);
      return place !== null;
    });
  const where = (place: number): string => {
    const before = seqs.slice(0, place).findLast((seq) => seq !== null);
    const after = seqs.slice(place).find((seq) => seq !== null);
    if (before === undefined) return after === undefined ? "all of them" : `before row ${after}`;
    return after === undefined ? `after row ${before}` : `between rows ${before} and ${after}`;
  };

  return {
    take(row: LogRow): void {
      if (row.seq <= c.from_seq) {
        outsideCount += 1;
        if (outside.length < examplesMax) outside.push(nameOf(row));
        return;
      }
      const place = vacant(row.line);
      if (place !== null) {
        seqs[place] = row.seq;
        lastPlace = place;
        return;
      }
      strayCount += 1;
      if (strays.length < strayMax) strays.push({ ...row, after: lastPlace });
    },
    /** `isWhole`: all rows were given, so that those which were not are missing. */
    close(isWhole: boolean): void {
      const moved = strays.length <= 200 ? strays.filter(wasMoved) : [];
      const vacancies = new Map<number, number[]>();
      let last = -1;
      for (const [place, seq] of seqs.entries()) {
        if (seq !== null) last = place;
        else if (!explained.has(place)) vacancies.set(last, [...(vacancies.get(last) ?? []), place]);
      }
      const [changed, added]: [string[], string[]] = [[], []];
      for (const stray of strays) {
        if (moved.includes(stray)) continue;
        // A stray where a sealed row is missing is that row, changed; elsewhere it was added.
        const isInPlace = vacancies.get(stray.after)?.shift() !== undefined;
        (isInPlace ? changed : added).push(nameOf(stray));
      }
      const addedCount = added.length + strayCount - strays.length;
      const gone = [...vacancies.values()].flat();
      if (moved.length > 0) say("rows_reordered", `Sealed in another place: ${some(moved.map(nameOf))}.`);
      if (changed.length > 0) say("row_changed", `Not what was sealed: ${some(changed)}.`);
      if (addedCount > 0) say("row_added", `Not there when it was sealed: ${some(added, addedCount)}.`);
      if (outsideCount > 0) say("row_added", `Where no row was sealed: ${some(outside, outsideCount)}.`);
      if (isWhole && gone.length > 0) {
        const places = some([...new Set(gone.slice(0, strayMax).map(where))]);
        say("row_missing", `Gone: ${gone.length} of ${leaves.length} sealed rows, ${places}.`);
      }
    },
  };
}

export interface CheckerOptions {
  /** Keys that the one who checks knows to be right; without any, the log is only checked against itself. */
  trusted: readonly PublicKey[];
  /** Hashes of checkpoints that were kept earlier and must still be there. */
  expectHeads?: readonly string[];
}
export interface CheckResult {
  problems: Problem[];
  /** More than are listed, when there are very many. */
  problemsTotal: number;
  checkedRows: number;
  checkpoints: number;
  unsealedRows: number;
  head: Checkpoint | null;
}

/**
 * Takes a log piece by piece (each checkpoint before its rows, everything in order) and says what is wrong with it.
 * Memory is bounded by the rows of one checkpoint.
 */
export function createLogChecker({ trusted, expectHeads = [] }: CheckerOptions) {
  const trustedIds = new Set(trusted.map(thumbprint));
  const keys = new Map<string, KeyObject | null>();
  const learn = (key: PublicKey) => void keys.set(thumbprint(key), keyObject(key));
  for (const key of trusted) learn(key);
  const problems: Problem[] = [];
  const awaited = new Set(expectHeads);
  let [problemsTotal, checkedRows, checkpoints, unsealedRows] = [0, 0, 0, 0];
  let head: Checkpoint | null = null;
  let rows: ReturnType<typeof compareRows> | null = null;
  let [isWhole, isVouchedFor, lastSeq] = [true, false, Number.NEGATIVE_INFINITY];

  const say = (checkpoint: number | null, kind: Problem["kind"], detail: string): void => {
    problemsTotal += 1;
    if (problems.length < problemsMax) problems.push({ checkpoint, kind, detail });
  };
  const closeRows = (): void => {
    rows?.close(isWhole);
    rows = null;
  };

  const checkLink = (c: Checkpoint, sayHere: Say): void => {
    const expected = (head?.number ?? 0) + 1;
    if (c.number !== expected) sayHere("checkpoint_missing", `Checkpoint ${expected} should be here.`);
    if (c.previous !== (head?.hash ?? noCheckpoint))
      sayHere("chain_broken", "It does not continue the checkpoint before it.");
    else if (c.from_seq !== (head?.to_seq ?? 0) || c.to_seq < c.from_seq)
      sayHere("chain_broken", "Its rows do not begin where those of the one before it end.");
    if (c.lost_head)
      sayHere("truncated", `Checkpoint ${c.lost_head.number} (${c.lost_head.hash}) had been removed by then.`);
  };
  const findSignatureProblem = (c: Checkpoint): [Problem["kind"], string] | null => {
    if (checkpointHash(c) !== c.hash) return ["checkpoint_changed", "It does not give the hash that it names."];
    const key = keys.get(c.key_id);
    if (!key) return ["key_unknown", `Nobody knows the key ${c.key_id} that should have signed it.`];
    if (!isSignedBy(c, key)) return ["signature_invalid", `The key ${c.key_id} did not sign it.`];
    const signer = head?.next_key ? thumbprint(head.next_key) : head?.key_id;
    if (signer !== undefined && signer !== c.key_id && !trustedIds.has(c.key_id))
      return ["key_not_announced", `Its key ${c.key_id} was not announced by the key before.`];
    if (trustedIds.has(c.key_id)) isVouchedFor = true;
    return null;
  };

  return {
    /** The export shows some rows only: none counts as missing. */
    expectSelection(): void {
      isWhole = false;
    },
    key: learn,
    unreadable: (detail: string): void => say(null, "unreadable", detail),
    /** The next checkpoint; `leaves` is null when its rows are not looked at. */
    checkpoint(c: Checkpoint, leaves: readonly Buffer[] | null): void {
      closeRows();
      const sayHere: Say = (kind, detail) => say(c.number, kind, detail);
      checkLink(c, sayHere);
      const problem = findSignatureProblem(c);
      if (problem) sayHere(...problem);
      if (c.next_key) learn(c.next_key);
      if (leaves) {
        if (leaves.length !== c.row_count || merkleRoot(leaves) !== c.root)
          sayHere("checkpoint_changed", "Its list of leaves is not what was signed.");
        rows = compareRows(c, leaves, sayHere);
      }
      awaited.delete(c.hash);
      checkpoints += 1;
      head = c;
    },
    row(row: LogRow): void {
      if (row.seq <= lastSeq) say(head?.number ?? null, "rows_reordered", `Out of order: ${nameOf(row)}.`);
      lastSeq = row.seq;
      if (!head || row.seq > head.to_seq) unsealedRows += 1;
      else if (!rows) say(head.number, "row_added", `Nothing proves ${nameOf(row)}.`);
      else {
        checkedRows += 1;
        rows.take(row);
      }
    },
    /** `statedHead`: the hash that the export itself names as its last one. */
    end(statedHead?: string): CheckResult {
      closeRows();
      if (statedHead !== undefined && statedHead !== (head?.hash ?? noCheckpoint))
        say(
          null,
          "checkpoint_missing",
          `The export ends before the checkpoint ${statedHead} that it names as its last.`,
        );
      for (const hash of awaited)
        say(null, "truncated", `No checkpoint has the hash ${hash}: what it sealed was removed or replaced.`);
      if (head && trusted.length > 0 && !isVouchedFor)
        say(null, "key_unknown", "No checkpoint is signed by a key that you trust.");
      return { problems, problemsTotal, checkedRows, checkpoints, unsealedRows, head };
    },
  };
}

class CannotCheck extends Error {}

/** Lines end at a line feed only: a row may hold any other separator, which Node's readline would split at. */
async function* linesOf(input: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let rest: Buffer[] = [];
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      yield Buffer.concat([...rest, chunk.subarray(start, end)]).toString("utf8");
      rest = [];
      start = end + 1;
    }
    if (start < chunk.length) rest.push(chunk.subarray(start));
  }
  if (rest.length > 0) yield Buffer.concat(rest).toString("utf8");
}

const splitLeaves = (text: string): Buffer[] => {
  const bytes = Buffer.from(text, "base64");
  return Array.from({ length: Math.ceil(bytes.length / 32) }, (_, i) => bytes.subarray(i * 32, i * 32 + 32));
};

function parseLine(line: string) {
  try {
    const item = JSON.parse(line);
    return item !== null && typeof item === "object" ? item : {};
  } catch {
    return {};
  }
}

/** Checks the lines of an export. @throws when they are no export, or a selection that was not asked for. */
export async function checkExport(
  input: AsyncIterable<Buffer>,
  { isSelection = false, ...options }: CheckerOptions & { isSelection?: boolean },
): Promise<CheckResult> {
  const checker = createLogChecker(options);
  let [lineNumber, statedHead]: [number, string | undefined] = [0, undefined];
  for await (const line of linesOf(input)) {
    const item = parseLine(line);
    lineNumber += 1;
    if (lineNumber === 1) {
      if (item.type !== "log" || item.format !== "keygate-audit-1")
        throw new CannotCheck("This is not an export of KeyGate's audit log in the format that this program knows.");
      if (item.selection && !isSelection)
        throw new CannotCheck("The export shows selected rows only. Check it with --selection, or ask for all of it.");
      if (item.selection) checker.expectSelection();
      continue;
    }
    if (statedHead !== undefined) checker.unreadable(`Line ${lineNumber} follows the last line of the export.`);
    try {
      if (item.type === "key") checker.key(item.public_key);
      else if (item.type === "checkpoint")
        checker.checkpoint(item, isSelection && item.leaves === undefined ? null : splitLeaves(item.leaves ?? ""));
      else if (item.type === "head") statedHead = String(item.hash);
      else if (item.type === undefined && Number.isInteger(item.seq)) checker.row({ seq: item.seq, id: item.id, line });
      else checker.unreadable(`Line ${lineNumber} is nothing that belongs into an export.`);
    } catch {
      checker.unreadable(`Line ${lineNumber} cannot be read.`);
    }
  }
  if (lineNumber === 0) throw new CannotCheck("The export is empty.");
  if (statedHead === undefined) checker.unreadable("The export is cut off: its last line is missing.");
  return checker.end(statedHead);
}

const help = `Usage: audit-verify EXPORT --key PUBLIC.JWK [--head HASH] [--selection]

Checks an export of KeyGate's audit log (GET /api/v1/audit/export) with nothing but the export and the public key.
EXPORT may be - for standard input. --key and --head may be given several times.

  --key FILE    a public key that you trust (npm run audit-key -- show), best one kept since the log began
  --head HASH   the head that an earlier check printed: it must still be part of the log. Nothing else can tell that
                the end of the log was cut off and written anew
  --selection   accept an export of selected rows: each one is proven, but not that there are no others
  --help        show this text

Exit: 0 the log is whole, 1 it is not, 2 it could not be checked.
`;

/** A JWK, a list or a set of them, or the answer of /audit/verify; the lines that npm prints before it are passed over. */
function readKeys(path: string): PublicKey[] {
  const json = parseLine(/[[{][\s\S]*/.exec(readFileSync(path, "utf8"))?.[0] ?? "");
  const keys: PublicKey[] = Array.isArray(json) ? json : (json.public_keys ?? json.keys ?? [json]);
  if (keys.length > 0 && keys.every(keyObject)) return keys;
  throw new CannotCheck(`${path} holds no Ed25519 public key as JWK.`);
}

function report(result: CheckResult, isSelection: boolean): string {
  const { problems, problemsTotal, checkedRows, checkpoints, unsealedRows, head } = result;
  const lines = [
    `${checkedRows} rows in ${checkpoints} checkpoints.`,
    ...(unsealedRows > 0 ? [`${unsealedRows} newer rows are not sealed yet: nothing proves them so far.`] : []),
    ...(isSelection ? ["These are selected rows: nothing is said about others."] : []),
    ...(head
      ? [`Head: checkpoint ${head.number} of ${head.sealed_at}, keep its hash for --head:\n  ${head.hash}`]
      : []),
  ];
  const verdict = isSelection ? "Every row shown is in the log as it was written." : "The audit log is whole.";
  if (problemsTotal === 0) return [verdict, ...lines].join("\n");
  return [
    `The audit log is NOT whole. Problems: ${problemsTotal}`,
    ...problems.map(
      (each) => `  ${each.checkpoint ? `checkpoint ${each.checkpoint}: ` : ""}${each.kind}: ${each.detail}`,
    ),
    ...lines,
  ].join("\n");
}

async function main(): Promise<number> {
  const text = { type: "string", multiple: true } as const;
  const flag = { type: "boolean", default: false } as const;
  const options = { key: text, head: text, selection: flag, help: { ...flag, short: "h" } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  if (values.help) {
    console.log(help);
    return 0;
  }
  const [path] = positionals;
  if (!path || positionals.length > 1 || !values.key)
    throw new CannotCheck(`Name one export, and a public key with --key.\n\n${help}`);
  const wrongHead = values.head?.find((hash) => !/^[0-9a-f]{64}$/.test(hash));
  if (wrongHead !== undefined) throw new CannotCheck(`--head ${wrongHead} is not a hash of 64 hexadecimal digits.`);
  const result = await checkExport(path === "-" ? process.stdin : createReadStream(path), {
    trusted: values.key.flatMap(readKeys),
    expectHeads: values.head ?? [],
    isSelection: values.selection,
  });
  if (!result.head && result.problemsTotal === 0)
    throw new CannotCheck("The export has no checkpoint: nothing in it is proven.");
  // What an export says must not steer the terminal.
  console.log(report(result, values.selection).replace(/[^\P{Cc}\n]/gu, "?"));
  return result.problemsTotal === 0 ? 0 : 1;
}

if (import.meta.main) {
  process.exitCode = await main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    return 2;
  });
}
