import { AuditListQuery } from "@keygate/shared/contracts/audit";
import { DeveloperListQuery } from "@keygate/shared/contracts/developers";
import { JobListQuery } from "@keygate/shared/contracts/jobs";
import { KeyListQuery } from "@keygate/shared/contracts/keys";
import { auditRows } from "@keygate/shared/db/audit";
import { openDatabase } from "@keygate/shared/db/client";
import { developerRows } from "@keygate/shared/db/developers";
import { jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { readStats } from "@keygate/shared/db/stats";
import type { ZodType } from "zod";
import { percentile, pump, shown } from "./figures.ts";
import { type Filled, fillAudit, fillKeys } from "./fill.ts";
import type { BenchRun, Scenario } from "./scenario.ts";

const p50Max = 5;
const p99Max = 20;
const dayMs = 86_400_000;
const pick = <T>(values: readonly T[], index: number): T => values[(index * 7_919) % values.length] as T;
const daysAgo = (days: number) => new Date(Date.now() - days * dayMs).toISOString();

/** Five letters out of a family name: one to well over a hundred developers share them. */
const middleOf = (name: string): string => name.slice(name.indexOf(" ") + 2).slice(0, 5);

/** The lists by their filters; each call asks for something else where the filter has many values. */
export function questions({
  developerIds,
  names,
  workspaceIds,
}: Filled): [string, (index: number) => Record<string, string>][] {
  const vendors = ["openai", "anthropic", "azure_openai", "google_vertex"];
  return [
    ["/keys", () => ({})],
    ["/keys", (n) => ({ vendor: pick(vendors, n) })],
    ["/keys", (n) => ({ developer_id: pick(developerIds, n) })],
    ["/keys", (n) => ({ workspace_id: pick(workspaceIds, n) })],
    ["/keys", () => ({ status: "revoked" })],
    ["/keys", () => ({ status: "all" })],
    ["/keys", (n) => ({ vendor: pick(vendors, n), workspace_id: pick(workspaceIds, n), status: "all" })],
    ["/keys", (n) => ({ q: middleOf(pick(names, n)) })],
    ["/developers", (n) => ({ team: `team ${n % 40}` })],
    ["/developers", () => ({})],
    ["/jobs", () => ({})],
    ["/jobs", (n) => ({ status: "succeeded", vendor: pick(vendors, n), kind: "provision" })],
    ["/audit", () => ({})],
    ["/audit", (n) => ({ action: pick(["key.claim", "key.rotate", "auth.login"], n) })],
    ["/audit", (n) => ({ actor: `admin-${n % 200}@fill.test` })],
    ["/audit", (n) => ({ resource_id: `key-filled-${(n * 7_919) % 1_000_000}` })],
    ["/audit", (n) => ({ since: daysAgo(600 - (n % 300)), until: daysAgo(300 - (n % 300)) })],
    ["/audit", (n) => ({ action: "key.revoke", actor: `admin-${n % 200}@fill.test`, until: daysAgo(n % 300) })],
    ["/dashboard/stats", () => ({})],
  ];
}

/** The same through the repository alone: the query and nothing else. */
export function directly(
  db: ReturnType<typeof openDatabase>,
  path: string,
  query: Record<string, string>,
): Promise<unknown> {
  const parsed = <T>(schema: ZodType<T>) => schema.parse(query);
  if (path === "/keys") return keyRows(db).list(parsed(KeyListQuery));
  if (path === "/developers") return developerRows(db).list(parsed(DeveloperListQuery));
  if (path === "/jobs") return jobRows(db).list(parsed(JobListQuery));
  if (path === "/audit") return auditRows(db).list(parsed(AuditListQuery));
  return readStats(db);
}

let filled: Filled | null = null;
/** Full tables for whoever measures with them, filled once. */
export async function fillTables({ ground, quick, say }: BenchRun): Promise<Filled & { keys: number; audit: number }> {
  const [keys, audit] = quick ? [20_000, 50_000] : [1_000_000, 10_000_000];
  if (!filled) {
    await ground.provisionOne();
    await ground.sealed();
    await ground.stopWorker();
    filled = await fillKeys(ground.sql, keys, say);
    await fillAudit(ground.sql, audit, say);
    await ground.sql.query("checkpoint"); // what filling has left to write would be written while lists are read
    await ground.startWorker();
  }
  return { ...filled, keys, audit };
}

/** What the lists take at the size that they are promised for. */
export const lists: Scenario = async (run) => {
  const { ground, quick, say } = run;
  const tables = await fillTables(run);
  const db = openDatabase({ url: ground.databaseUrl, poolMax: 2, applicationName: "keygate-bench" });
  const rows: string[][] = [];
  const slow: string[] = [];
  const worst = { p50: 0, p99: 0 };
  try {
    for (const [path, queryOf] of questions(tables)) {
      const example = new URLSearchParams(queryOf(0));
      const filter = path === "/dashboard/stats" ? "" : [...example.keys()].join(", ") || "none";
      say(`${path} by ${filter}`);
      const isStats = path === "/dashboard/stats";
      const count = quick ? 20 : isStats ? 20 : 300;
      const ask = (n: number) => ground.client.must([200], "GET", `${path}?${new URLSearchParams(queryOf(n))}`);
      await pump(5, 1, ask);
      const through = await pump(count, 1, (n) => ask(n + 10));
      const direct = await pump(count, 1, (n) => directly(db, path, queryOf(n + 20_000)));
      const [p50, p99] = [percentile(through.millis, 0.5), percentile(through.millis, 0.99)];
      if (!isStats) {
        worst.p50 = Math.max(worst.p50, p50);
        worst.p99 = Math.max(worst.p99, p99);
        if (p50 >= p50Max || p99 >= p99Max) slow.push(`${path} by ${filter}`);
      }
      rows.push([
        `\`GET ${path}\``,
        filter,
        shown(percentile(direct.millis, 0.5)),
        shown(percentile(direct.millis, 0.99)),
        shown(p50),
        shown(p99),
      ]);
    }
  } finally {
    await db.destroy();
  }
  const but = slow.length === 0 ? "" : `; over: ${slow.join(", ")}`;
  return {
    title: "Lists at size",
    method: [
      `${tables.keys.toLocaleString("en-US")} keys of ${tables.developerIds.length.toLocaleString("en-US")} developers, as many jobs, and ${tables.audit.toLocaleString("en-US")} audit rows. ` +
        "One request after the other, the page sizes that are the default (100 keys, 50 audit rows); each asks for another value where the filter has many. " +
        "`q` is five letters from the middle of a developer's name; names are made of syllables, and of the twenty thousand " +
        "developers, with fifty keys each, one to well over a hundred share them. Directly: the same query in the measuring process, without HTTP, sign-in and answer.",
    ],
    columns: ["List", "Filter", "Query p50 ms", "Query p99 ms", "Request p50 ms", "Request p99 ms"],
    rows,
    targets: [
      {
        what: "Lists, the slowest p50",
        wanted: "< 5 ms",
        measured: `${shown(worst.p50)} ms${but}`,
        met: worst.p50 < p50Max,
      },
      {
        what: "Lists, the slowest p99",
        wanted: "< 20 ms",
        measured: `${shown(worst.p99)} ms`,
        met: worst.p99 < p99Max,
      },
    ],
  };
};
