import { z } from "zod";
import { startChild } from "../child.ts";
import { addDevelopers } from "./client.ts";
import { median, percent, pump, pumpFor, shown, withRange } from "./figures.ts";
import { provisionBody } from "./provision.ts";
import type { Scenario } from "./scenario.ts";

const NoOp = z.object({ perSecond: z.number() });

/** How many jobs a second go through the worker alone, beside what its queue and its database can do at most. */
export const engine: Scenario = async ({ ground, quick, say }) => {
  const { client, sql } = ground;
  const developers = await addDevelopers(client, 64, "engine");
  const count = quick ? 200 : 1_500;
  const jobs: number[] = [];
  const noOps: number[] = [];
  const commits: number[] = [];
  const ownCommits: number[] = [];
  await sql.query("create table if not exists bench_commits (id bigint generated always as identity, at timestamptz)");
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    say(`round ${round + 1}: a worker that does nothing`);
    noOps.push(await runNoOp(ground.redisUrl, quick ? 2_000 : 20_000));
    say(`round ${round + 1}: single-row commits`);
    const insert = () => sql.query("insert into bench_commits (at) values (now())");
    commits.push((await pumpFor(quick ? 300 : 2_000, 16, insert)).perSecond);
    say(`round ${round + 1}: ${count} provisions wait for a worker`);
    await ground.stopWorker();
    await ground.freshVendor(0);
    await pump(count, 32, (index) =>
      client.must([202], "POST", "/keys/provision", provisionBody(developers[index % 64]), "respond-async"),
    );
    const before = await countCommits(ground.sql);
    const begun = (await sql.query("select clock_timestamp() as at")).rows[0].at;
    await ground.startWorker();
    await ground.settle();
    const { rows } = await sql.query(
      `select extract(epoch from max(finished_at) - min(started_at))::float8 as seconds, count(*)::int as jobs
        from jobs where kind = 'provision' and state = 'succeeded' and started_at >= $1`,
      [begun],
    );
    const { seconds, jobs: done } = rows[0];
    jobs.push(done / seconds);
    ownCommits.push(((await countCommits(ground.sql)) - before) / seconds);
  }
  await sql.query("drop table bench_commits");
  return {
    title: "The engine",
    method: [
      `${count} provisions are taken in while the worker is stopped; it is started, and works them against a vendor without latency. ` +
        "Beside it a BullMQ worker on the same Redis whose jobs do nothing, with the same concurrency, and inserts of one row with a commit each, 16 at once. " +
        "Transactions are those that PostgreSQL counted meanwhile, reads included.",
    ],
    columns: ["Provisions/s", "No-op jobs/s", "Share", "Transactions/s", "Single-row commits/s", "Ratio"],
    rows: [
      [
        withRange(jobs),
        withRange(noOps),
        percent(median(jobs) / median(noOps)),
        withRange(ownCommits),
        withRange(commits),
        shown(median(ownCommits) / median(commits)),
      ],
    ],
    targets: [],
  };

  async function runNoOp(redisUrl: string, total: number): Promise<number> {
    const child = await startChild({
      name: "no-op",
      script: `${import.meta.dirname}/no-op-process.ts`,
      env: { PATH: process.env.PATH ?? "", REDIS_URL: redisUrl, JOBS: String(total) },
      logDir: ground.logDir,
    });
    const { perSecond } = NoOp.parse(child.ready);
    await child.stop(5_000);
    return perSecond;
  }
};

async function countCommits(sql: { query(text: string): Promise<{ rows: { n: string }[] }> }): Promise<number> {
  // Backends report what they did once a second at most.
  await new Promise((done) => setTimeout(done, 1_200));
  const { rows } = await sql.query("select xact_commit as n from pg_stat_database where datname = current_database()");
  return Number(rows[0]?.n);
}
