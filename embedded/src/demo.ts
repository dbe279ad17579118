import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { signIn } from "./demo/api-client.ts";
import type { Line } from "./demo/life-of-a-key.ts";
import { showAudit, showLife } from "./demo/show.ts";
import { type Stack, startStack } from "./stack.ts";

const help = `Usage: npm run demo [-- --vendor NAME] [-- --help]

Starts KeyGate with simulated vendors on free ports, takes a key at each vendor through its whole life, proves each
step against the vendor, checks that nothing is left, and stops. The exit status is 0 only if every line holds.

  --vendor NAME   only this vendor (openai, anthropic, azure_openai, google_vertex)
  --help          show this text`;

const { values } = parseArgs({ options: { vendor: { type: "string" }, help: { type: "boolean", short: "h" } } });
if (values.help) {
  console.log(help);
  process.exit(0);
}

interface Row extends Line {
  vendor: string;
}

function table(rows: readonly Row[]): string {
  const width = (pick: (row: Row) => string) => Math.max(...rows.map((row) => pick(row).length));
  const [first, second] = [width((row) => row.vendor), width((row) => row.what)];
  return rows
    .map((row) => `${row.ok ? "✓" : "✗"} ${row.vendor.padEnd(first)}  ${row.what.padEnd(second)}  ${row.seen}`)
    .join("\n");
}

const home = await mkdtemp(join(tmpdir(), "keygate-demo-"));
const rows: Row[] = [];
let stack: Stack | null = null;
const interrupt = () => void stack?.stop().then(() => process.exit(130));
process.once("SIGINT", interrupt).once("SIGTERM", interrupt);

try {
  // Only what programs need to run: the demo must not touch anybody's real vendor.
  const { PATH = "", HOME = "" } = process.env;
  const started = await startStack({ home, env: { PATH, HOME, PORT: "0" }, say: (line) => console.log(line) });
  stack = started;
  const api = await signIn(started.url, started.admin.email, started.admin.password);
  const chosen = started.simulated.filter((name) => !values.vendor || name === values.vendor);
  if (chosen.length === 0) throw new Error(`There is no vendor ${values.vendor}. See --help.`);
  for (const vendor of chosen) {
    console.log(`\n${vendor}`);
    await showLife(started.simulator, api, vendor, (line) => {
      rows.push({ vendor, ...line });
      console.log(`  ${line.ok ? "✓" : "✗"} ${line.what}: ${line.seen}`);
    });
  }
  await showAudit(api, (line) => rows.push({ vendor: "keygate", ...line }));
} catch (error) {
  rows.push({
    vendor: "keygate",
    what: "stopped",
    seen: error instanceof Error ? error.message : String(error),
    ok: false,
  });
} finally {
  await stack?.stop();
  await rm(home, { recursive: true, force: true });
}

console.log(`\n${table(rows)}\n`);
const failed = rows.filter((row) => !row.ok).length;
console.log(failed === 0 ? `Every line holds (${rows.length}).` : `${failed} of ${rows.length} lines do not hold.`);
process.exit(failed === 0 ? 0 : 1);
