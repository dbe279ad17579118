import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { migrateToLatest } from "@keygate/migrations/migrate";
import pg from "pg";
import { z } from "zod";
import { type Child, startChild } from "../child.ts";
import { startPostgres } from "../postgres-server.ts";
import { startRedis } from "../redis-server.ts";
import { addDevelopers, type BenchClient, openClient } from "./client.ts";

/** Everything that is measured, on loopback: PostgreSQL, Redis, the simulated vendors, and KeyGate's two processes. */
export interface Ground {
  redisUrl: string;
  databaseUrl: string;
  /** Of the simulated OpenAI, without a slash at its end. */
  vendorUrl: string;
  vendorKey: string;
  /** The bench's own connections to the database. */
  sql: pg.Pool;
  client: BenchClient;
  api(): Child;
  worker(): Child;
  startApi(): Promise<void>;
  startWorker(): Promise<void>;
  stopApi(): Promise<void>;
  stopWorker(): Promise<void>;
  /** Tells the simulated OpenAI something: see its control calls. */
  control(path: string, body?: unknown, method?: "POST" | "DELETE"): Promise<unknown>;
  /** Makes the vendor take so long for each call, and forget everything that it has. */
  freshVendor(latencyMs: number): Promise<void>;
  /** The calls that the vendor has seen since it was made fresh. */
  vendorCalls(): Promise<VendorCall[]>;
  /** Provisions one key, so that there is one of everything. */
  provisionOne(): Promise<void>;
  /** Waits until the audit log has begun to be sealed. */
  sealed(): Promise<void>;
  /** Ends what is queued without working it; the worker must be stopped. */
  forgetOpenJobs(): Promise<void>;
  logDir: string;
  /** Waits until no job is waiting or under way. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

const root = resolve(import.meta.dirname, "../../..");
export const admin = { email: "admin@bench.test", password: "Only-for-measuring-5820!" };
const childStopMs = 15_000;
/** Every commit waits for the disk, as shipped. Sizes are those of a small dedicated server. */
const postgresSettings = {
  max_connections: 200,
  shared_buffers: "512MB",
  max_wal_size: "8GB",
  maintenance_work_mem: "512MB",
  checkpoint_timeout: "30min",
};
const Calls = z.object({
  calls: z.array(z.object({ method: z.string(), path: z.string(), status: z.number().nullable(), at: z.number() })),
});
export type VendorCall = z.infer<typeof Calls>["calls"][number];
const VendorReady = z.object({ env: z.record(z.string(), z.string()), openAiUrl: z.string() });

/** Starts all of it, in a temporary folder that goes with it. */
export async function openGround(say: (line: string) => void): Promise<Ground> {
  const home = mkdtempSync(join(tmpdir(), "keygate-bench-"));
  const closers: (() => Promise<unknown>)[] = [
    async () => rmSync(home, { recursive: true, force: true, maxRetries: 20 }),
  ];
  const close = async () => {
    for (let undo = closers.pop(); undo; undo = closers.pop()) await undo();
  };
  try {
    say("starting PostgreSQL, Redis and the simulated vendors");
    const postgres = await startPostgres({
      dataDir: join(home, "data", "postgres"),
      user: "keygate",
      password: "keygate-bench",
      database: "keygate",
      settings: postgresSettings,
    });
    closers.push(() => postgres.stop("immediate"));
    await migrateToLatest(postgres.url);
    const redis = await startRedis({ dir: join(home, "redis"), appendOnly: true });
    closers.push(() => redis.stop());
    const logDir = join(home, "logs");
    const { PATH = "" } = process.env;
    const vendors = await startChild({
      name: "vendors",
      script: join(import.meta.dirname, "vendor-process.ts"),
      env: { PATH, ...defaultsForProfiling() },
      logDir,
    });
    closers.push(() => vendors.stop(childStopMs));
    const vendor = VendorReady.parse(vendors.ready);
    const sql = new pg.Pool({ connectionString: postgres.url, max: 4 });
    sql.on("error", () => {}); // a connection that breaks fails the query at hand
    closers.push(() => sql.end());

    const env: Record<string, string> = {
      PATH,
      ...defaultsForProfiling(),
      DATABASE_URL: postgres.url,
      REDIS_URL: redis.url,
      SECRET_KEY: "h3Kq9vLw-bench-only-X2mTz7RbYf5JdPs8",
      ENCRYPTION_KEY: "c6Wn4pHx-bench-only-V8yGk1QtZr3MsUe0",
      ADMIN_EMAIL: admin.email,
      ADMIN_PASSWORD: admin.password,
      HOST: "127.0.0.1",
      PORT: "0",
      // The bench's keys were partly written into the tables and never made: nothing must look for them.
      RECONCILE_INTERVAL_MINUTES: "0",
      ...vendor.env,
      SIMULATED_VENDORS: "openai,anthropic,azure_openai,google_vertex",
    };
    const running = new Map<"api" | "worker", Child>();
    const start = async (name: "api" | "worker") => {
      if (running.has(name)) return;
      running.set(name, await startChild({ name, script: join(root, name, "src/main.ts"), env, logDir }));
    };
    const stop = async (name: "api" | "worker") => {
      await running.get(name)?.stop(childStopMs);
      running.delete(name);
    };
    const child = (name: "api" | "worker") => {
      const found = running.get(name);
      if (!found) throw new Error(`The ${name} does not run.`);
      return found;
    };
    closers.push(async () => {
      await stop("worker");
      await stop("api");
    });
    say("starting worker and API");
    await Promise.all([start("worker"), start("api")]);
    const client = openClient(() => child("api").ready.port ?? 0);
    closers.push(() => client.close());
    await client.signIn(admin);

    const vendorCalls = async () => Calls.parse(await (await fetch(`${vendor.openAiUrl}/_control/calls`)).json()).calls;
    const control = async (path: string, body?: unknown, method = "POST"): Promise<unknown> => {
      const answer = await fetch(`${vendor.openAiUrl}/_control/${path}`, {
        method,
        ...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
      });
      if (!answer.ok) throw new Error(`The vendor's control refused ${path}: ${await answer.text()}`);
      return answer.json();
    };
    return {
      redisUrl: redis.url,
      databaseUrl: postgres.url,
      vendorUrl: vendor.openAiUrl,
      vendorKey: String(vendor.env.OPENAI_ADMIN_KEY),
      sql,
      client,
      api: () => child("api"),
      worker: () => child("worker"),
      startApi: () => start("api"),
      startWorker: () => start("worker"),
      stopApi: () => stop("api"),
      stopWorker: () => stop("worker"),
      control,
      vendorCalls,
      logDir,
      async provisionOne() {
        const [developer_id] = await addDevelopers(client, 1, "one");
        await client.must([200], "POST", "/keys/provision", { developer_id, vendor: "openai" });
      },
      async sealed() {
        for (;;) {
          const { rows } = await sql.query("select 1 from audit_checkpoints limit 1");
          if (rows.length > 0) return;
          await new Promise((done) => setTimeout(done, 100));
        }
      },
      async forgetOpenJobs() {
        await sql.query(
          `with ended as (
            update jobs set state = 'failed', finished_at = now(), lease_token = null, lease_until = null
            where state in ('queued', 'running', 'waiting_for_vendor', 'compensating') returning key_id)
          update keys set status = 'failed' where status = 'pending' and id in (select key_id from ended)`,
        );
      },
      async freshVendor(latencyMs) {
        await control("reset", {});
        await control("settings", { projects_max: 1_000_000, models: ["gpt-5-mini"] });
        if (latencyMs > 0) {
          await control("faults", {
            match: { path: "^/v1/" },
            times: 0,
            when: "before",
            do: { type: "delay", ms: latencyMs },
          });
        }
      },
      async settle() {
        for (;;) {
          const { rows } = await sql.query(
            "select 1 from jobs where state in ('queued', 'running', 'waiting_for_vendor', 'compensating') limit 1",
          );
          if (rows.length === 0) return;
          await new Promise((done) => setTimeout(done, 50));
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** `BENCH_NODE_OPTIONS` goes to api, worker and the simulated vendors, for a profiler: `--cpu-prof --cpu-prof-dir=…`. */
function defaultsForProfiling(): Record<string, string> {
  const { BENCH_NODE_OPTIONS } = process.env;
  return BENCH_NODE_OPTIONS ? { NODE_OPTIONS: BENCH_NODE_OPTIONS } : {};
}
