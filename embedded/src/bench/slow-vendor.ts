import { addDevelopers } from "./client.ts";
import { type Measured, percent, percentile, pump, shown } from "./figures.ts";
import { provisionBody } from "./provision.ts";
import type { Scenario } from "./scenario.ts";

const slowMs = 20_000;
const stuckJobs = 300;

/** A vendor that answers each call after 20 s, and everybody else meanwhile. */
export const slowVendor: Scenario = async ({ ground, quick, say }) => {
  const { client } = ground;
  const developers = await addDevelopers(client, 16, "slow");
  await ground.freshVendor(0);
  // Fewer than the simulated Anthropic lets anybody ask for in a minute, and than an organization may have.
  const others: [string, number, (index: number) => Promise<unknown>][] = [
    ["GET /keys?limit=10", quick ? 20 : 200, () => client.must([200], "GET", "/keys?limit=10")],
    [
      "a workspace at Anthropic, until its job waits for a person",
      20,
      (index) =>
        client.must([202], "POST", "/keys/provision", { developer_id: developers[index % 16], vendor: "anthropic" }),
    ],
  ];
  const measure = async (share = 1) => {
    const runs: Measured[] = [];
    for (const [, count, ask] of others) runs.push(await pump(count * share, 4, ask));
    return runs;
  };
  await measure(0.2);
  say("everybody answers at once");
  const before = await measure();
  say(`OpenAI answers after ${slowMs / 1000} s`);
  await ground.freshVendor(slowMs);
  await pump(stuckJobs, 32, (index) =>
    client.must([202], "POST", "/keys/provision", provisionBody(developers[index % 16]), "respond-async"),
  );
  const meanwhile = await measure();
  say("OpenAI is quick again");
  await ground.control("faults", undefined, "DELETE");
  await ground.settle();

  const ratios = others.map((_, index) => p50Of(meanwhile[index]) / p50Of(before[index]));
  const worst = Math.max(...ratios);
  return {
    title: "A vendor that answers after 20 s",
    method: [
      `${stuckJobs} provisions are under way or waiting at an OpenAI that takes 20 s for every call. Others are measured, 4 at once, before and meanwhile.`,
    ],
    columns: ["What", "Before p50 / p99 ms", "Meanwhile p50 / p99 ms", "p50 meanwhile"],
    rows: others.map(([name], index) => [
      name,
      times(before[index]),
      times(meanwhile[index]),
      percent(p50Of(meanwhile[index]) / p50Of(before[index])),
    ]),
    targets: [
      {
        what: "Other calls while a vendor answers in 20 s, p50 of before",
        wanted: "no slower (≤ 125 %)",
        measured: percent(worst),
        met: worst <= 1.25,
      },
    ],
  };
};

const p50Of = (run: Measured | undefined) => percentile(run?.millis ?? [], 0.5);
const times = (run: Measured | undefined) => `${shown(p50Of(run))} / ${shown(percentile(run?.millis ?? [], 0.99))}`;
