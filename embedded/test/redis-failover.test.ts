import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { migrateToLatest } from "@keygate/migrations/migrate";
import { Redis } from "ioredis";
import { expect, test, vi } from "vitest";
import { runSeed } from "../src/crash/run-seed.ts";
import { vendorNames } from "../src/crash/world.ts";
import { signIn } from "../src/demo/api-client.ts";
import type { Line } from "../src/demo/life-of-a-key.ts";
import { showLife } from "../src/demo/show.ts";
import { freePort } from "../src/free-port.ts";
import { findRedisServer } from "../src/redis-server.ts";
import { optionsIn, postgresFor, tempDir } from "./harness.ts";
import { type Service, startService } from "./secured-setting.ts";
import { inTurn, openWideLane } from "./wide-lane.ts";

vi.setConfig({ testTimeout: 900_000 });

const password = randomBytes(16).toString("hex");
const sentinelPassword = randomBytes(16).toString("hex");
/** Vendors' faults, killed and frozen workers, a killed API; at least four of them each. */
const seeds = [111, 246, 370];
const patience = { timeout: 60_000, interval: 100 };

interface Node extends Service {
  port: number;
  ask<T>(work: (client: Redis) => Promise<T>): Promise<T>;
}

async function startNode(
  args: (port: number, dir: string) => Promise<string[]>,
  login: { password: string },
): Promise<Node> {
  const program = findRedisServer();
  if (!program) throw new Error("No redis-server found.");
  const port = await freePort();
  const service = await startService(program, await args(port, tempDir(0o755)));
  return {
    ...service,
    port,
    async ask(work) {
      const client = new Redis({ host: "127.0.0.1", port, maxRetriesPerRequest: 1, ...login });
      client.on("error", () => {}); // the command at hand fails with it
      try {
        return await work(client);
      } finally {
        client.disconnect();
      }
    },
  };
}

const startServer = (more: (dir: string) => Promise<Record<string, string>>) =>
  startNode(
    async (port, dir) => {
      const common = { port: String(port), bind: "127.0.0.1", dir, requirepass: password, masterauth: password };
      const settings = {
        ...common,
        "maxmemory-policy": "noeviction",
        save: "",
        loglevel: "warning",
        ...(await more(dir)),
      };
      return Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    },
    { password },
  );

/** Keys live in this Redis, harmed once per seed, and the books must agree afterwards. */
async function liveWith(redisUrl: string, harm: () => Promise<void>): Promise<string> {
  const options = optionsIn(tempDir(0o755));
  const postgres = await postgresFor({ ...options, settings: { ...options.settings, synchronous_commit: "on" } });
  await migrateToLatest(postgres.url);
  const env = { DATABASE_URL: postgres.url, REDIS_URL: redisUrl, DATABASE_POOL_MAX: "8" };
  const lane = await openWideLane("redis", { env, postgres, redis: null });
  const [one, two] = await Promise.all(lane.urls.map((url) => signIn(url, lane.admin.email, lane.admin.password)));
  if (!one || !two) throw new Error("two APIs were asked for");
  const lines: Line[] = [];
  await showLife(lane.simulator, inTurn([one, two]), "openai", (line) => lines.push(line));
  expect(lines.filter(({ ok }) => !ok)).toEqual([]);
  let operations = 0;
  for (const seed of seeds) {
    const disturb = sleep(700).then(harm);
    const [result] = await Promise.all([runSeed(lane, seed, vendorNames), disturb]);
    expect([`seed ${seed}`, ...result.violations, ...result.story].join("\n")).toBe(`seed ${seed}`);
    operations += result.operations;
  }
  return `${lines.length} lines of the demo, ${operations} operations`;
}

test("a failover by Sentinel during work loses nothing", async () => {
  const first = await startServer(async () => ({}));
  const second = await startServer(async () => ({ replicaof: `127.0.0.1 ${first.port}` }));
  const sentinels = await Promise.all(
    [1, 2, 3].map(() =>
      startNode(
        async (port, dir) => {
          const file = join(dir, "sentinel.conf");
          const lines = [
            `port ${port}`,
            "bind 127.0.0.1",
            `dir ${dir}`,
            `requirepass ${sentinelPassword}`,
            `sentinel sentinel-pass ${sentinelPassword}`,
            `sentinel monitor main 127.0.0.1 ${first.port} 2`,
            `sentinel auth-pass main ${password}`,
            "sentinel down-after-milliseconds main 1000",
            "sentinel failover-timeout main 5000",
          ];
          writeFileSync(file, `${lines.join("\n")}\n`);
          return [file, "--sentinel"];
        },
        { password: sentinelPassword },
      ),
    ),
  );
  const [sentinel] = sentinels;
  if (!sentinel) throw new Error("three were asked for");
  const masterPort = async () => {
    const found = await sentinel.ask((client) => client.call("SENTINEL", "get-master-addr-by-name", "main"));
    return Number((found as string[])[1]);
  };
  /** The replica follows, and the Sentinels know it and each other. */
  const untilWhole = () =>
    vi.waitFor(async () => {
      const master = (await masterPort()) === first.port ? first : second;
      const replica = master === first ? second : first;
      const state = await replica.ask((client) => client.info("replication"));
      expect(state).toContain("role:slave");
      expect(state).toContain(`master_port:${master.port}`);
      expect(state).toContain("master_link_status:up");
      const known = (await sentinel.ask((client) => client.call("SENTINEL", "master", "main"))) as string[];
      const figure = (name: string) => known[known.indexOf(name) + 1];
      expect([figure("flags"), figure("num-slaves"), figure("num-other-sentinels")]).toEqual(["master", "1", "2"]);
      return master;
    }, patience);
  let failovers = 0;
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  await untilWhole();
  const seen = await liveWith(
    `redis+sentinel://:${password}@${hosts}/main?sentinel_password=${sentinelPassword}`,
    async () => {
      const master = await untilWhole();
      await master.kill();
      await vi.waitFor(async () => expect(await masterPort()).not.toBe(master.port), patience);
      failovers += 1;
      // It comes back empty, as a replica of the one that took over.
      await master.restart();
    },
  );
  expect(failovers).toBe(seeds.length);
  // Those who followed are at work there: each process has several connections.
  const clients = await (await untilWhole()).ask((client) => client.call("CLIENT", "LIST", "TYPE", "normal"));
  expect(String(clients).split("\n").length).toBeGreaterThan(15);
  console.log(`Redis Sentinel: ${seen}, ${failovers} failovers, nothing lost.`);
});

test("on a cluster keys live as on one server, also when the node that holds the queue dies and comes back empty", async () => {
  const ranges = [
    [0, 5460],
    [5461, 10_922],
    [10_923, 16_383],
  ] as const;
  const nodes = await Promise.all(
    ranges.map(async () => {
      const busPort = await freePort();
      const node = await startServer(async () => ({
        "cluster-enabled": "yes",
        "cluster-port": String(busPort),
        "cluster-node-timeout": "2000",
      }));
      return { ...node, busPort };
    }),
  );
  const [first] = nodes;
  if (!first) throw new Error("three were asked for");
  await vi.waitFor(() => Promise.all(nodes.map((node) => node.ask((client) => client.ping()))), patience);
  for (const [index, [from, to]] of ranges.entries()) {
    const node = nodes[index];
    await node?.ask((client) => client.call("CLUSTER", "ADDSLOTSRANGE", from, to));
    if (node) await first.ask((client) => client.call("CLUSTER", "MEET", "127.0.0.1", node.port, node.busPort));
  }
  const untilWhole = () =>
    vi.waitFor(async () => {
      for (const node of nodes) {
        const state = await node.ask((client) => client.call("CLUSTER", "INFO"));
        expect(String(state)).toContain("cluster_state:ok");
        expect(String(state)).toContain("cluster_known_nodes:3");
      }
    }, patience);
  await untilWhole();
  const slot = Number(await first.ask((client) => client.call("CLUSTER", "KEYSLOT", "{keygate}:vendor-openai:meta")));
  const holder = nodes[ranges.findIndex(([from, to]) => slot >= from && slot <= to)];
  if (!holder) throw new Error(`nobody holds slot ${slot}`);
  const seen = await liveWith(
    `redis+cluster://:${password}@127.0.0.1:${first.port},127.0.0.1:${holder.port}`,
    async () => {
      await holder.kill();
      await sleep(500);
      await holder.restart();
      await untilWhole();
    },
  );
  // Everything of ours on one node: whatever BullMQ does in one script stays possible.
  for (const node of nodes) {
    const keys = await node.ask((client) => client.dbsize());
    expect(keys > 0).toBe(node === holder);
  }
  console.log(`Redis Cluster: ${seen}, its node killed ${seeds.length} times, nothing lost.`);
});
