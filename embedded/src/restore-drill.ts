import { chmod, cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { type Simulator, startSimulator, type VendorName } from "@keygate/simulator/start";
import { type ApiClient, signIn } from "./demo/api-client.ts";
import { useKeyOf } from "./demo/use-key.ts";
import { restoreBaseBackup, takeBaseBackup } from "./drill/base-backup.ts";
import { type Finding, Findings, type IssuedKey, issueKey } from "./drill/books.ts";
import { type Stack, startStack } from "./stack.ts";

const help = `Usage: npm run restore-drill [-- --keys N] [-- --later N] [-- --vendor NAME ...] [-- --help]

Rehearses the loss of the database, on simulated vendors and in a folder of its own: makes keys, backs PostgreSQL up while
it runs, makes more keys and revokes one, throws the database away, restores the backup into a fresh one, starts KeyGate on
it, and has it compare itself with the vendors. Holds what it finds against what is known to be missing, removes that, and
tries every key on its vendor. Prints how long each part took; the exit status is 0 only if every line holds.

  --keys N        keys at each vendor before the backup (default 3)
  --later N       keys at each vendor that the backup does not have (default 2)
  --vendor NAME   openai, azure_openai or google_vertex; may be given several times (default: all three)
  --help          show this text`;

const able: readonly VendorName[] = ["openai", "azure_openai", "google_vertex"];
const { values } = parseArgs({
  options: {
    keys: { type: "string", default: "3" },
    later: { type: "string", default: "2" },
    vendor: { type: "string", multiple: true },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const [before, later] = [Number(values.keys), Number(values.later)];
const vendors = able.filter((name) => values.vendor?.includes(name) ?? true);
const unknown = values.vendor?.filter((name) => !able.some((each) => each === name)) ?? [];
if (![before, later].every((n) => Number.isInteger(n) && n >= 1) || unknown.length > 0) {
  console.error(help);
  process.exit(2);
}

const patienceMs = 300_000;
const lines: { ok: boolean; text: string }[] = [];
const times: { what: string; seconds: number }[] = [];

function check(ok: boolean, text: string): void {
  lines.push({ ok, text });
  console.log(`  ${ok ? "✓" : "✗"} ${text}`);
}

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  console.log(`${what} …`);
  const begun = performance.now();
  const result = await work();
  const seconds = (performance.now() - begun) / 1000;
  times.push({ what, seconds });
  console.log(`  ${seconds.toFixed(1)} s`);
  return result;
}

/** Only what programs need to run: a drill must not touch anybody's real vendor. */
function environment(simulator: Simulator): Record<string, string> {
  const { PATH = "", HOME = "" } = process.env;
  return {
    PATH,
    HOME,
    PORT: "0",
    ...simulator.env,
    SIMULATED_VENDORS: vendors.join(","),
    // Simulated vendors have no rate limits to respect and no lists that lag for minutes.
    RECONCILE_CALLS_PER_MINUTE: able.map((name) => `${name}=60000`).join(","),
    VENDOR_SETTLE_SECONDS: "0.5",
  };
}

const start = (home: string, simulator: Simulator) => startStack({ home, env: environment(simulator), say: () => {} });
const apiOf = (stack: Stack) => signIn(stack.url, stack.admin.email, stack.admin.password);

async function make(api: ApiClient, perVendor: number): Promise<IssuedKey[]> {
  const keys: IssuedKey[] = [];
  for (let n = 0; n < perVendor; n++) keys.push(...(await Promise.all(vendors.map((vendor) => issueKey(api, vendor)))));
  return keys;
}

async function revoke(api: ApiClient, keys: readonly IssuedKey[]): Promise<void> {
  for (const key of keys) {
    const answer = await api.call("POST", `/api/v1/keys/${key.id}/revoke`, {}, { prefer: "wait=60" });
    if (answer.status !== 200) throw new Error(`${key.id} is not revoked: ${JSON.stringify(answer.body)}`);
  }
}

/** The verdicts of the vendors about these keys, put together: "accepted", "refused", or both when they differ. */
async function verdict(keys: readonly IssuedKey[]): Promise<string> {
  const each = await Promise.all(
    keys.map(({ vendor, secret, instructions }) => useKeyOf[vendor]?.(secret, instructions)),
  );
  return [...new Set(each)].join(" and ");
}

async function findings(api: ApiClient): Promise<Finding[]> {
  const all: Finding[] = [];
  for (const vendor of vendors) {
    const { body } = await api.call("GET", `/api/v1/reconcile?vendor=${vendor}&limit=500`);
    all.push(...Findings.parse(body).findings);
  }
  return all;
}

/** One whole comparison with each vendor that began after now. */
async function compare(api: ApiClient): Promise<Finding[]> {
  const since = new Date().toISOString();
  for (const deadline = Date.now() + patienceMs; ; await sleep(200)) {
    const { runs } = Findings.parse((await api.call("GET", "/api/v1/reconcile")).body);
    const isDone = (vendor: string) =>
      runs.some((run) => run.vendor === vendor && run.state === "completed" && (run.ended_at ?? "") > since);
    const missing = vendors.filter((vendor) => !isDone(vendor));
    if (missing.length === 0) return await findings(api);
    if (Date.now() > deadline) throw new Error(`No comparison with ${missing.join(", ")} came to its end.`);
    // Joins the one that is under way.
    for (const vendor of missing) await api.call("POST", "/api/v1/reconcile", { vendor });
  }
}

const belongsTo = (finding: Finding, key: IssuedKey) =>
  finding.vendor === key.vendor && JSON.stringify([finding.resource, finding.details]).includes(key.projectName);

const folder = await mkdtemp(join(tmpdir(), "keygate-drill-"));
await chmod(folder, 0o711); // PostgreSQL's user passes through it
const [first, backup, second] = ["before", "backup", "after"].map((name) => join(folder, name)) as [
  string,
  string,
  string,
];
let stack: Stack | null = null;
let simulator: Simulator | null = null;
const interrupt = () => void stack?.stop().finally(() => process.exit(130));
process.once("SIGINT", interrupt).once("SIGTERM", interrupt);

try {
  const vendorsSide = await startSimulator({ vendors });
  simulator = vendorsSide;
  stack = await timed("Starting KeyGate", () => start(first, vendorsSide));
  let api = await apiOf(stack);
  const running = stack;

  const kept = await timed(`Making ${before} keys at each of ${vendors.join(", ")}`, () => make(api, before));
  const bytes = await timed("Backing up the running database", async () => {
    await mkdir(backup, { mode: 0o711 });
    const size = await takeBaseBackup(running.databaseUrl, join(first, "postgres"), join(backup, "postgres"));
    await cp(join(first, "secrets.json"), join(backup, "secrets.json"));
    return size;
  });
  check(
    bytes > 1_000_000,
    `the backup holds ${(bytes / 1024 / 1024).toFixed(0)} MiB, and the secrets lie apart from it`,
  );

  const forgotten = await timed(
    `Making ${later} more keys at each vendor, and revoking one of the earlier`,
    async () => {
      const made = await make(api, later);
      await revoke(api, kept.slice(0, 1));
      return made;
    },
  );
  const [revoked] = kept;
  await timed("Losing the database", async () => {
    await running.stop();
    await rm(first, { recursive: true, force: true });
  });

  stack = await timed("Restoring into a fresh database and starting on it", async () => {
    await mkdir(second, { mode: 0o711 });
    await restoreBaseBackup(join(backup, "postgres"), join(second, "postgres"));
    await cp(join(backup, "secrets.json"), join(second, "secrets.json"));
    return await start(second, vendorsSide);
  });
  api = await apiOf(stack);
  check((await api.call("GET", "/ready")).status === 200, "ready: database, queue, and the stored credentials decrypt");
  const rows = (await api.call("GET", "/api/v1/keys?status=active&limit=500")).body as unknown as { id: string }[];
  check(rows.length === kept.length, `the database knows ${rows.length} keys, as at the time of the backup`);
  check(
    (await verdict(forgotten)) === "accepted",
    `${forgotten.length} keys that it does not know work at their vendors`,
  );

  const found = await timed("Comparing with the vendors", () => compare(api));
  for (const vendor of vendors) {
    const missing = forgotten.filter((key) => key.vendor === vendor);
    const orphans = missing.filter((key) => found.some((each) => each.kind === "orphan" && belongsTo(each, key)));
    check(
      orphans.length === missing.length,
      `${vendor}: ${orphans.length} of ${missing.length} unknown keys are found`,
    );
  }
  const ghost = found.some(({ kind, key_id }) => kind === "ghost" && key_id === revoked?.id);
  check(ghost, "the key that was revoked after the backup is found missing at its vendor");

  await timed("Removing what the database does not know", async () => {
    for (const deadline = Date.now() + patienceMs; ; ) {
      const left = (await compare(api)).filter((each) => forgotten.some((key) => belongsTo(each, key)));
      if (left.length === 0) return;
      if (Date.now() > deadline) throw new Error(`These stay: ${left.map(({ resource }) => resource.name).join(", ")}`);
      for (const { id, can_remove } of left) {
        if (!can_remove) continue;
        const answer = await api.call("POST", `/api/v1/reconcile/${id}/remove`, {});
        if (answer.status === 202) await api.waitForJob(String(answer.body.id), ["succeeded"]);
      }
    }
  });
  check((await verdict(forgotten)) === "refused", "none of them works any more");
  check(
    (await verdict(kept.slice(1))) === "accepted",
    `the ${kept.length - 1} keys that are known and were not revoked work`,
  );
  const audit = await api.call("GET", "/api/v1/audit/verify");
  check(audit.body.ok === true, "the audit log is whole");
} catch (error) {
  const { message, cause } = error instanceof Error ? error : { message: String(error), cause: undefined };
  check(false, `stopped: ${message}${cause instanceof Error ? ` (${cause.message})` : ""}`);
} finally {
  await stack?.stop();
  await simulator?.close();
  await rm(folder, { recursive: true, force: true });
}

console.log("");
for (const { what, seconds } of times) console.log(`${seconds.toFixed(1).padStart(7)} s  ${what}`);
const failed = lines.filter(({ ok }) => !ok).length;
console.log(
  failed === 0 ? `\nEvery line holds (${lines.length}).` : `\n${failed} of ${lines.length} lines do not hold.`,
);
process.exit(failed === 0 ? 0 : 1);
