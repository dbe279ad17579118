import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { resolve } from "node:path";
import { parseArgs } from "node:util";
import root from "../../package.json" with { type: "json" };
import { engine } from "./bench/engine.ts";
import { expiry } from "./bench/expiry.ts";
import { openGround } from "./bench/ground.ts";
import { intake } from "./bench/intake.ts";
import { life } from "./bench/life.ts";
import { lists } from "./bench/lists.ts";
import { provision } from "./bench/provision.ts";
import { benchmarksPage, type Machine, type Section, sectionForTerminal } from "./bench/report.ts";
import { revoke } from "./bench/revoke.ts";
import type { Scenario } from "./bench/scenario.ts";
import { slowVendor } from "./bench/slow-vendor.ts";
import { installRedisServer, redisHint } from "./redis-server.ts";

/** In the order in which they run: those that fill the tables come last. */
const scenarios: Readonly<Record<string, Scenario>> = {
  provision,
  engine,
  intake,
  revoke,
  expiry,
  "slow-vendor": slowVendor,
  lists,
  life,
};

const help = `Usage: npm run bench -- [--quick] [--only NAME,…] [--out FILE] [--help]

Measures KeyGate on this machine: real PostgreSQL and Redis, simulated vendors, each figure beside its limit. Writes
docs/benchmarks.md. Nothing else should run meanwhile.

  --quick       small sizes, about a minute; writes nothing unless --out is given
  --only NAME   only these parts: ${Object.keys(scenarios).join(", ")}; writes nothing unless --out is given
  --out FILE    where to write the page
  --help        show this text`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}
const names = values.only?.split(",").map((name) => name.trim()) ?? Object.keys(scenarios);
const unknown = names.filter((name) => !Object.hasOwn(scenarios, name));
if (unknown.length > 0) {
  console.error(`There is no part ${unknown.join(", ")}.\n\n${help}`);
  process.exit(2);
}
const redisServer = (await installRedisServer()) ?? "";
if (!redisServer) {
  console.error(redisHint);
  process.exit(1);
}

const begun = Date.now();
const seconds = () => `${((Date.now() - begun) / 1000).toFixed(0).padStart(4)} s`;
const ground = await openGround((line) => console.log(`${seconds()}  ${line}`));
let isStopping = false;
const stop = () => {
  if (isStopping) return;
  isStopping = true;
  void ground.close().finally(() => process.exit(130));
};
process.once("SIGINT", stop).once("SIGTERM", stop);

try {
  const sections: Section[] = [];
  for (const [name, measure] of Object.entries(scenarios)) {
    if (!names.includes(name)) continue;
    const say = (line: string) => console.log(`${seconds()}  ${name}: ${line}`);
    const section = await measure({ ground, quick: values.quick, say });
    sections.push(section);
    console.log(`\n${sectionForTerminal(section)}\n`);
  }
  const isWhole = values.only === undefined && !values.quick;
  const out = values.out ?? (isWhole ? resolve(import.meta.dirname, "../../docs/benchmarks.md") : null);
  if (out) {
    writeFileSync(out, benchmarksPage(await describeMachine(), sections));
    console.log(`${seconds()}  wrote ${out}`);
  }
  const missed = sections.flatMap((section) => section.targets).filter((target) => !target.met);
  for (const { what, wanted, measured } of missed) console.log(`missed: ${what}: ${measured} (wanted ${wanted})`);
} catch (error) {
  if (!isStopping) {
    console.error(error);
    process.exitCode = 1;
  }
} finally {
  if (!isStopping) await ground.close();
}

async function describeMachine(): Promise<Machine> {
  const { rows } = await ground.sql.query<{ version: string }>("select current_setting('server_version') as version");
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release()}`,
    node: process.versions.node,
    postgres: rows[0]?.version ?? "unknown",
    redis: /v=(\S+)/.exec(execFileSync(redisServer, ["--version"], { encoding: "utf8" }))?.[1] ?? "unknown",
    keygate: root.version,
    date: new Date().toISOString().slice(0, 10),
    minutes: Math.max(1, Math.round((Date.now() - begun) / 60_000)),
    quick: values.quick,
  };
}
