import { randomBytes } from "node:crypto";
import { type Config, loadConfig } from "@keygate/shared/config";
import type { DeveloperId, JobId, KeyId } from "@keygate/shared/contracts/ids";
import { isFinal, type KeyEnding } from "@keygate/shared/contracts/jobs";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { vendorContracts } from "@keygate/shared/contracts/vendors/registry";
import { createKeyring } from "@keygate/shared/crypto/envelope";
import { makeReceiverPair, openSealed } from "@keygate/shared/crypto/sealing";
import { systemActor } from "@keygate/shared/db/audit";
import { developerRows } from "@keygate/shared/db/developers";
import { jobInputContext } from "@keygate/shared/db/job-inputs";
import { type JobRow, jobRows } from "@keygate/shared/db/jobs";
import { keyRows } from "@keygate/shared/db/keys";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { createLog, type Log } from "@keygate/shared/log";
import { projectNameFor } from "@keygate/shared/naming";
import { requestRevocations } from "@keygate/shared/revocation";
import { Secret } from "@keygate/shared/secret";
import { sealVendorSettings, type VendorSettings } from "@keygate/shared/vendor-settings";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { createTestRedis } from "../../embedded/test-support/redis.ts";
import { closeDeps, openDeps, type WorkerDeps } from "../src/deps.ts";
import { startWorker } from "../src/start-worker.ts";
import type { RunningFixture } from "./fixtures/fixture.ts";

export type Backend = "redis" | "postgres";

export interface Harness {
  config: Config;
  /** For child processes: what `config` was read from. */
  env: Record<string, string>;
  deps: WorkerDeps;
  logLines: string[];
  start(): { close(): Promise<void> };
  provision(over?: { models?: string[] | null; expiresInDays?: number }): Promise<Asked>;
  rotate(keyId: KeyId, graceMinutes?: number): Promise<Asked>;
  revoke(keyId: KeyId, ending?: KeyEnding): Promise<JobId>;
  /** Waits until the job has ended, or has reached one of the states named. */
  settle(jobId: JobId, ...states: JobRow["state"][]): Promise<JobRow>;
  statusOf(keyId: KeyId): Promise<string>;
  flushRedis(): Promise<void>;
  close(): Promise<void>;
}

export interface Asked {
  keyId: KeyId;
  jobId: JobId;
  /** Takes and opens what the worker sealed; null when there is nothing. */
  take(): Promise<Secret | null>;
}

const settleTimeoutMs = 90_000;

/** A worker's world for one vendor: database, queue, configuration; requests are made as the API would make them. */
export async function createHarness(options: {
  backend: Backend;
  settings: VendorSettings;
  env?: Record<string, string>;
  /** For vendors whose keys a person makes: asked whenever a job waits for its key. */
  makeKeyByHand?: RunningFixture["makeKeyByHand"];
}): Promise<Harness> {
  const { backend, settings } = options;
  const database = await createTestDatabase();
  const redis = backend === "redis" ? await createTestRedis({ private: true }) : null;
  const env: Record<string, string> = {
    DATABASE_URL: database.url,
    ...(redis ? { REDIS_URL: redis.url } : {}),
    SECRET_KEY: randomBytes(48).toString("base64"),
    ENCRYPTION_KEY: randomBytes(48).toString("base64"),
    LOG_LEVEL: "debug",
    LEASE_SECONDS: "3",
    SWEEP_INTERVAL_MS: "300",
    VENDOR_SETTLE_SECONDS: "0.3",
    VENDOR_TIMEOUT_SECONDS: "3",
    WORKER_CONCURRENCY: "8",
    DATABASE_POOL_MAX: "8",
    ...options.env,
  };
  const config = loadConfig(env);
  const logLines: string[] = [];
  const log: Log = createLog({ level: "debug", name: "worker" }, { write: (line: string) => void logLines.push(line) });
  const deps = openDeps(config, log);
  const actor = systemActor("test");
  const vendor: VendorId = settings.vendor;
  const keyring = createKeyring(config.encryptionKeys);
  await vendorConfigRows(deps.db).upsert({
    vendor,
    source: "api",
    orgId: settings.orgId,
    ...sealVendorSettings(keyring, vendor, settings.adminKey, settings.extra),
  });
  // One model keeps the number of vendor calls small where each model costs some.
  const defaultModels = vendor === "openai" || vendor === "azure_openai" ? ["gpt-4o"] : null;
  const who = { name: "Ada Lovelace", email: "ada@acme.test", team: "engines", role: "developer" as const };
  const developerId: DeveloperId = must(await developerRows(deps.db).insert(who), "developer");

  const asked = (keyId: KeyId, jobId: JobId, privateHalf: Secret): Asked => ({
    keyId,
    jobId,
    async take() {
      const jwe = await deps.handoff.take(jobId);
      return jwe ? openSealed(jwe, privateHalf) : null;
    },
  });

  // A person who is asked again for the same job gives the same key again.
  const madeByHand = new Map<JobId, string>();
  async function giveByHand(job: JobRow): Promise<void> {
    const made = madeByHand.get(job.id);
    const text =
      made ?? (await options.makeKeyByHand?.({ instructions: job.waiting?.instructions ?? null, state: {} }));
    madeByHand.set(job.id, must(text, "the key made by hand"));
    const sealed = keyring.seal(new Secret(must(text, "the key made by hand")), jobInputContext(job.id));
    const row = await jobRows(deps.db).giveInput(job.id, sealed);
    if (row) await deps.enqueue([row]);
  }

  return {
    config,
    env,
    deps,
    logLines,
    start: () => startWorker(config, log),
    async provision(over = {}) {
      const pair = makeReceiverPair();
      const id = newId("key");
      const job = await deps.db.transaction().execute(async (tx) => {
        await keyRows(tx).insert({
          id,
          developerId,
          vendor,
          workspaceId: null,
          projectName: projectNameFor(vendorContracts[vendor].naming, who, id, 0),
          description: "",
          budgetMicros: 50_000_000,
          rateLimitRpm: 60,
          modelsAllowed: over.models === undefined ? defaultModels : over.models,
          expires: { inDays: over.expiresInDays ?? 90 },
          lineageId: id,
          replacesId: null,
          graceMinutes: null,
          simulated: true,
          createdBy: actor.name,
        });
        const [row] = await jobRows(tx).insert([
          {
            kind: "provision",
            input: { keyId: id },
            vendor,
            keyId: id,
            actor,
            delivery: { key: pair.publicKey, isCallers: false },
          },
        ]);
        return must(row, "job");
      });
      await deps.enqueue([job]);
      return asked(id, job.id, pair.privateHalf);
    },
    async rotate(keyId, graceMinutes = 0) {
      const pair = makeReceiverPair();
      const id = newId("key");
      const job = await deps.db.transaction().execute(async (tx) => {
        const old = must(await keyRows(tx).lock(keyId), "old key");
        await keyRows(tx).insert({
          id,
          developerId,
          vendor,
          workspaceId: null,
          projectName: old.project_name,
          description: "",
          budgetMicros: old.budget_micros,
          rateLimitRpm: old.rate_limit_rpm,
          modelsAllowed: old.models_allowed,
          expires: { at: old.expires_at },
          lineageId: old.lineage_id,
          replacesId: old.id,
          graceMinutes,
          simulated: true,
          createdBy: actor.name,
          vendorRef: old.vendor_ref,
        });
        const [row] = await jobRows(tx).insert([
          {
            kind: "rotate",
            input: { keyId: id, oldKeyId: keyId, gracePeriodMinutes: graceMinutes },
            vendor,
            keyId: id,
            actor,
            delivery: { key: pair.publicKey, isCallers: false },
          },
        ]);
        return must(row, "job");
      });
      await deps.enqueue([job]);
      return asked(id, job.id, pair.privateHalf);
    },
    async revoke(keyId, ending = "revoked") {
      const jobs = await deps.db.transaction().execute(async (tx) => {
        const key = must(await keyRows(tx).lock(keyId), "key");
        return requestRevocations(tx, [key], { actor, reason: "test", ending });
      });
      await deps.enqueue(jobs);
      return must(jobs[0], "revoke job").id;
    },
    async settle(jobId, ...states) {
      const deadline = Date.now() + settleTimeoutMs;
      for (;;) {
        const job = must(await jobRows(deps.db).find(jobId), "job");
        if (states.length > 0 ? states.includes(job.state) : isFinal(job.state)) return job;
        if (job.state === "waiting_for_input" && options.makeKeyByHand) await giveByHand(job);
        if (Date.now() > deadline) {
          const steps = await deps.db.selectFrom("saga_steps").selectAll().where("job_id", "=", jobId).execute();
          throw new Error(
            `job did not settle: ${JSON.stringify({ job, steps }, null, 1)}\n${logLines.slice(-30).join("")}`,
          );
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    statusOf: async (keyId) => must(await keyRows(deps.db).find(keyId), "key").status,
    async flushRedis() {
      await redis?.server?.flush();
    },
    async close() {
      await closeDeps(deps);
      await redis?.drop();
      await database.drop();
    },
  };
}
