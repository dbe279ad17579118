import { addDevelopers } from "./client.ts";
import { openDirectVendor } from "./direct.ts";
import { type Measured, median, percent, percentile, pump, shown, withRange } from "./figures.ts";
import type { Scenario } from "./scenario.ts";

const vendorCalls = 7;
const rounds = 3;

/** How many provisions a round has: enough for a few waves at that concurrency. */
function countOf(latencyMs: number, concurrency: number, quick: boolean): number {
  if (quick) return latencyMs === 0 ? concurrency * 4 : concurrency * 2;
  if (latencyMs > 0) return Math.max(20, concurrency * 3);
  return Math.max(100, concurrency * 12);
}

export const provisionBody = (developerId: string | undefined) => ({
  developer_id: developerId,
  vendor: "openai",
  models_allowed: ["gpt-5-mini"],
});

/** Provisions through the whole of KeyGate, against the same calls made at the vendor directly. */
export const provision: Scenario = async ({ ground, quick, say }) => {
  const { client } = ground;
  const developers = await addDevelopers(client, 64, "provision");
  const direct = openDirectVendor(ground.vendorUrl, ground.vendorKey);
  const keygate = (index: number) =>
    client.must([200], "POST", "/keys/provision", provisionBody(developers[index % developers.length]));
  await pump(64, 16, keygate); // both processes have compiled what they use

  const rows: string[][] = [];
  const found = new Map<string, { direct: Measured[]; keygate: Measured[] }>();
  for (const latencyMs of [0, 100]) {
    for (const concurrency of [1, 16, 64]) {
      const measured = { direct: [] as Measured[], keygate: [] as Measured[] };
      const count = countOf(latencyMs, concurrency, quick);
      for (let round = 0; round < (quick ? 1 : rounds); round++) {
        say(`vendor ${latencyMs} ms, ${concurrency} at once, round ${round + 1}`);
        await ground.freshVendor(latencyMs);
        measured.direct.push(await pump(count, concurrency, direct.provision));
        await ground.freshVendor(latencyMs);
        measured.keygate.push(await pump(count, concurrency, keygate));
      }
      found.set(`${latencyMs}/${concurrency}`, measured);
      rows.push(rowOf(latencyMs, concurrency, measured));
    }
  }
  await direct.close();
  await ground.freshVendor(0);

  const at = (key: string) => found.get(key) ?? { direct: [], keygate: [] };
  const added = addedLatency(at("100/1"));
  const share = throughputShare(at("100/64"));
  const rate = median(at("0/64").keygate.map((one) => one.perSecond));
  return {
    title: "Provisioning",
    method: [
      `A caller asks for an OpenAI key and waits for it; KeyGate makes ${vendorCalls} vendor calls for it, one after another: project, spend ` +
        "limit, models, the list of rate limits, one of them set, account with key, a look at the key. The limit is the same " +
        "calls made with undici and nothing else: no row, no journal, no audit, no sealing, no hand-over.",
      "Added is the difference of the percentiles, as a share of the direct calls' own.",
    ],
    columns: [
      "Vendor",
      "At once",
      "Provisions",
      "Direct/s",
      "KeyGate/s",
      "Share",
      "Direct p50 / p99 ms",
      "KeyGate p50 / p99 ms",
      "Added p50",
      "Added p99",
    ],
    rows,
    targets: [
      {
        what: "Added latency at 100 ms vendor latency, p50",
        wanted: "≤ 5 %",
        measured: percent(added.p50),
        met: added.p50 <= 0.05,
      },
      {
        what: "Added latency at 100 ms vendor latency, p99",
        wanted: "≤ 10 %",
        measured: percent(added.p99),
        met: added.p99 <= 0.1,
      },
      {
        what: "64 at once at 100 ms, share of the direct calls' throughput",
        wanted: "≥ 75 %",
        measured: percent(share),
        met: share >= 0.75,
      },
      { what: "Provisions per second at 0 ms", wanted: "≥ 300", measured: shown(rate), met: rate >= 300 },
    ],
  };
};

const allMillis = (runs: readonly Measured[]) => runs.flatMap((run) => run.millis);
type Both = { direct: Measured[]; keygate: Measured[] };

function addedLatency({ direct, keygate }: Both) {
  const share = (at: number) => {
    const own = percentile(allMillis(direct), at);
    return (percentile(allMillis(keygate), at) - own) / own;
  };
  return { p50: share(0.5), p99: share(0.99) };
}

const throughputShare = ({ direct, keygate }: Both) =>
  median(keygate.map((run) => run.perSecond)) / median(direct.map((run) => run.perSecond));

function rowOf(latencyMs: number, concurrency: number, both: Both): string[] {
  const { direct, keygate } = both;
  const times = (runs: readonly Measured[]) =>
    `${shown(percentile(allMillis(runs), 0.5))} / ${shown(percentile(allMillis(runs), 0.99))}`;
  const added = addedLatency(both);
  return [
    `${latencyMs} ms`,
    String(concurrency),
    String(allMillis(keygate).length),
    withRange(direct.map((run) => run.perSecond)),
    withRange(keygate.map((run) => run.perSecond)),
    percent(throughputShare(both)),
    times(direct),
    times(keygate),
    percent(added.p50),
    percent(added.p99),
  ];
}
