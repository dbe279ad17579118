import { readFileSync } from "node:fs";
import { addDevelopers } from "./client.ts";
import { median, pumpFor, shown, withRange } from "./figures.ts";
import type { Ground } from "./ground.ts";
import { fillTables } from "./lists.ts";
import { provisionBody } from "./provision.ts";
import type { Scenario } from "./scenario.ts";

const idleMs = 5_000;

/** From start to ready with full tables, and what the processes need of memory. */
export const life: Scenario = async (run) => {
  const { ground, quick, say } = run;
  const tables = await fillTables(run);
  const developers = await addDevelopers(ground.client, 64, "life");
  const api: number[] = [];
  const worker: number[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    say(`start ${round + 1}`);
    await ground.stopApi();
    await ground.stopWorker();
    api.push(await timed(() => ground.startApi().then(() => untilReady(ground))));
    worker.push(await timed(() => ground.startWorker()));
  }
  await ground.freshVendor(0);
  await new Promise((done) => setTimeout(done, quick ? 1_000 : idleMs));
  const idle = memoryOf(ground);
  say("under load");
  const peak = { api: 0, worker: 0 };
  const sampler = setInterval(() => {
    const now = memoryOf(ground);
    peak.api = Math.max(peak.api, now.api);
    peak.worker = Math.max(peak.worker, now.worker);
  }, 100);
  await pumpFor(quick ? 2_000 : 15_000, 64, (index) =>
    ground.client.must([200], "POST", "/keys/provision", provisionBody(developers[index % 64])),
  );
  clearInterval(sampler);
  const longest = Math.max(...api, ...worker);
  return {
    title: "Start and memory",
    method: [
      `With ${tables.keys.toLocaleString("en-US")} keys and ${tables.audit.toLocaleString("en-US")} audit rows. The api is ready when \`GET /ready\` answers 200, the worker when it takes jobs. ` +
        "Memory is the resident set: a few seconds after the start, and at most while 64 provisions at once run against a vendor without latency.",
    ],
    columns: ["Process", "Start to ready s", "Idle MB", "Under load MB"],
    rows: [
      ["api", withRange(api.map((ms) => ms / 1000)), shown(idle.api), shown(peak.api)],
      ["worker", withRange(worker.map((ms) => ms / 1000)), shown(idle.worker), shown(peak.worker)],
    ],
    targets: [
      {
        what: "Start to ready at full tables",
        wanted: "≤ 3 s",
        measured: `${shown(Math.max(median(api), median(worker)) / 1000)} s (longest ${shown(longest / 1000)})`,
        met: Math.max(median(api), median(worker)) <= 3_000,
      },
      {
        what: "Memory of the worker under load",
        wanted: "< 200 MB",
        measured: `${shown(peak.worker)} MB`,
        met: peak.worker < 200,
      },
    ],
  };
};

async function timed(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function untilReady(ground: Ground): Promise<void> {
  const url = `http://127.0.0.1:${ground.api().ready.port}/ready`;
  for (;;) {
    const answer = await fetch(url);
    await answer.text();
    if (answer.ok) return;
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** Resident memory in MB. */
function memoryOf(ground: Ground): { api: number; worker: number } {
  const of = (pid: number | undefined) => {
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    return Number(kilobytes) / 1024;
  };
  return { api: of(ground.api().process.pid), worker: of(ground.worker().process.pid) };
}
