import { setTimeout as sleep } from "node:timers/promises";
import { VENDOR_NAMES } from "@keygate/simulator/start";
import { expect, test, vi } from "vitest";
import { runSeed } from "../src/crash/run-seed.ts";
import { vendorNames } from "../src/crash/world.ts";
import { signIn } from "../src/demo/api-client.ts";
import type { Line } from "../src/demo/life-of-a-key.ts";
import { showAudit, showLife } from "../src/demo/show.ts";
import type { Backend } from "../test-support/server-mode.ts";
import { ask } from "./harness.ts";
import { secureSetting, unencrypted } from "./secured-setting.ts";
import { inTurn, openWideLane } from "./wide-lane.ts";

vi.setConfig({ testTimeout: 1_200_000 });

/** Those of the first 400 schedules with most harm to processes: workers and an API, Redis and PostgreSQL. */
const seeds = [2, 111, 198, 246, 349, 370];
const harmful = ["kill worker", "kill api", "kill at call", "freeze", "restart postgres", "restart pgbouncer"];
const harmfulToRedis = ["flush redis", "restart redis"];

test.each<Backend>(["redis", "postgres"])(
  "secured server mode on the %s queue, two APIs and three workers: the demo's lines hold, and faults lose nothing",
  async (backend) => {
    const setting = await secureSetting(backend);
    const lane = await openWideLane(backend, setting);
    expect(await ask(setting.postgres.url, unencrypted)).toBeNull();

    const { email, password } = lane.admin;
    const [one, two] = await Promise.all(lane.urls.map((url) => signIn(url, email, password)));
    if (!one || !two) throw new Error("two APIs were asked for");
    const lines: Line[] = [];
    for (const vendor of VENDOR_NAMES)
      await showLife(lane.simulator, inTurn([one, two]), vendor, (line) =>
        lines.push({ ...line, what: `${vendor}: ${line.what}` }),
      );
    await showAudit(one, (line) => lines.push(line));
    expect(lines.filter(({ ok }) => !ok)).toEqual([]);
    expect(lines.length).toBeGreaterThan(40);

    const harm = new Map<string, number>();
    const count = (what: string, times = 1) => harm.set(what, (harm.get(what) ?? 0) + times);
    for (const seed of seeds) {
      const disturb = async () => {
        await sleep(400);
        count("queue's connections cut", await setting.cutQueue().catch(() => 0));
        await sleep(500);
        await (seed % 2 ? setting.pooler.restart() : setting.pooler.kill().then(setting.pooler.restart));
        count("restart pgbouncer");
      };
      const [result] = await Promise.all([runSeed(lane, seed, vendorNames), disturb()]);
      expect([`seed ${seed}`, ...result.violations, ...result.story].join("\n")).toBe(`seed ${seed}`);
      for (const [what, times] of result.tally) count(what, times);
    }
    // A run in which nobody came to harm would prove nothing.
    const wanted = backend === "redis" ? [...harmful, ...harmfulToRedis] : harmful;
    expect(wanted.filter((kind) => ![...harm.keys()].some((what) => what.startsWith(kind)))).toEqual([]);
    expect([...harm.keys()].some((what) => /^(?:500|502 html|drop|hang) /.test(what))).toBe(true);
    expect(harm.get("queue's connections cut")).toBeGreaterThan(0);
    console.log(
      `Secured, ${backend} queue: ${lines.length} lines of the demo, ${seeds.length} seeds, ${[...harm].map(([what, times]) => `${what} ${times}`).join(", ")}.`,
    );
  },
);
