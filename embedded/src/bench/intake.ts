import { addDevelopers } from "./client.ts";
import { type Measured, median, percent, percentile, pump, pumpFor, shown, withRange } from "./figures.ts";
import { provisionBody } from "./provision.ts";
import type { Scenario } from "./scenario.ts";

const concurrency = 64;

/** How fast work is taken in, durably, when nobody waits for its end. */
export const intake: Scenario = async ({ ground, quick, say }) => {
  const { client } = ground;
  const developers = await addDevelopers(client, 64, "intake");
  const ask = (index: number) =>
    client.must(
      [202],
      "POST",
      "/keys/provision",
      provisionBody(developers[index % developers.length]),
      "respond-async",
    );
  const count = quick ? 300 : 4_000;
  await ground.stopWorker();
  await pump(200, 16, ask);
  const health: Measured[] = [];
  const taken: Measured[] = [];
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    say(`round ${round + 1}`);
    health.push(await pumpFor(quick ? 300 : 1_500, concurrency, () => client.must([200], "GET", "/vendors")));
    taken.push(await pump(count, concurrency, ask));
  }
  // What was asked for is not what this measures: it goes without being worked.
  await ground.forgetOpenJobs();
  await ground.startWorker();

  const rate = median(taken.map((run) => run.perSecond));
  const limit = median(health.map((run) => run.perSecond));
  const millis = taken.flatMap((run) => run.millis);
  return {
    title: "Intake",
    method: [
      `\`POST /keys/provision\` with \`Prefer: respond-async\`, ${concurrency} at once: signed in, checked, key, job and audit row committed, ` +
        "queued. The worker is stopped meanwhile. Beside it `GET /vendors`, a signed-in read of a few small queries that nobody shares: intake shares its statements among those who come at once.",
    ],
    columns: ["Requests", "Intake/s", "GET /vendors/s", "Share", "p50 ms", "p99 ms"],
    rows: [
      [
        String(millis.length),
        withRange(taken.map((run) => run.perSecond)),
        withRange(health.map((run) => run.perSecond)),
        percent(rate / limit),
        shown(percentile(millis, 0.5)),
        shown(percentile(millis, 0.99)),
      ],
    ],
    targets: [{ what: "Intake per second", wanted: "≥ 1,000", measured: shown(rate), met: rate >= 1_000 }],
  };
};
