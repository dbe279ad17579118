import { join, resolve } from "node:path";
import { migrateToLatest } from "@keygate/migrations/migrate";
import { type VendorId, vendorContracts, vendorIds } from "@keygate/shared/contracts/vendors/registry";
import type { VendorContract } from "@keygate/shared/contracts/vendors/vendor-contract";
import { type Simulator, startSimulator, VENDOR_NAMES, type VendorName } from "@keygate/simulator/start";
import { type Child, startChild } from "./child.ts";
import { startPostgres } from "./postgres-server.ts";
import { type EmbeddedSecrets, loadOrMakeSecrets } from "./secrets-file.ts";

export interface StackOptions {
  /** Where data and secrets are kept. */
  home: string;
  /** The environment to start from: vendors given in it are used, the others are simulated. */
  env: Readonly<Record<string, string | undefined>>;
  /** For progress, a line each. */
  say(line: string): void;
  /** When a part ends by itself. */
  onLost?(name: string, tail: string): void;
}

export interface Stack {
  url: string;
  admin: { email: string; password: string };
  databaseUrl: string;
  simulator: Simulator;
  simulated: VendorName[];
  /** What api and worker were started with. */
  env: Record<string, string>;
  api: Child;
  worker: Child;
  /** Stops everything in order. Repeatable. */
  stop(): Promise<void>;
}

const root = resolve(import.meta.dirname, "../..");
const stopGraceMs = 8_000;

/** Vendors for which the environment names nothing, neither a credential nor an address. */
export function vendorsToSimulate(env: StackOptions["env"]): VendorName[] {
  const isGiven = (id: VendorId) => {
    const { adminKey, orgId, extra }: VendorContract["environment"] = vendorContracts[id].environment;
    return [adminKey.variable, orgId, ...Object.values(extra)].some((name) => name && env[name]);
  };
  const free = new Set<string>(vendorIds.filter((id) => !isGiven(id)));
  return VENDOR_NAMES.filter((name) => free.has(name));
}

const defined = (env: StackOptions["env"]): Record<string, string> =>
  Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined));

/** What api and worker are started with: what was given goes before what was made up, and simulated vendors stand in last. */
export function environmentFor(parts: {
  given: StackOptions["env"];
  secrets: EmbeddedSecrets;
  simulator: Simulator;
  simulated: readonly VendorName[];
  databaseUrl: string;
}): Record<string, string> {
  const { secrets, simulator, simulated, databaseUrl } = parts;
  return {
    SECRET_KEY: secrets.secret_key,
    ENCRYPTION_KEY: secrets.encryption_key,
    ADMIN_EMAIL: secrets.admin_email,
    ADMIN_PASSWORD: secrets.admin_password,
    HOST: "127.0.0.1",
    PORT: "8000",
    SHUTDOWN_GRACE_SECONDS: "5",
    ...defined(parts.given),
    ...simulator.env,
    // Whoever runs the simulator elsewhere says so.
    SIMULATED_VENDORS: [...simulated, parts.given.SIMULATED_VENDORS ?? ""].filter(Boolean).join(","),
    DATABASE_URL: databaseUrl,
  };
}

/** Starts PostgreSQL, the simulated vendors, a worker and the API, in this order; whatever fails, nothing stays behind. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { home, say } = options;
  const closers: (() => Promise<unknown>)[] = [];
  let isStopping = false;
  const stop = async () => {
    isStopping = true;
    for (let close = closers.pop(); close; close = closers.pop()) await close();
  };

  try {
    const secrets = await loadOrMakeSecrets(home);
    const given = defined(options.env);
    let databaseUrl = given.DATABASE_URL;
    if (!databaseUrl) {
      say("Starting PostgreSQL …");
      const postgres = await startPostgres({
        dataDir: join(home, "postgres"),
        user: "keygate",
        password: secrets.postgres_password,
        database: "keygate",
        say,
        onUnexpectedExit: () => {
          if (!isStopping) options.onLost?.("database", `See ${join(home, "postgres.log")}.`);
        },
      });
      closers.push(() => postgres.stop());
      databaseUrl = postgres.url;
    }
    await migrateToLatest(databaseUrl, (name) => say(`Migrated the database: ${name}`));

    const simulated = vendorsToSimulate(given);
    const simulator = await startSimulator({ vendors: simulated });
    closers.push(() => simulator.close());

    const env = environmentFor({ given, secrets, simulator, simulated, databaseUrl });
    const logDir = join(home, "logs");
    const start = async (name: string, script: string) => {
      const child = await startChild({ name, script: join(root, script), env, logDir });
      child.process.once("exit", () => {
        if (!isStopping) options.onLost?.(name, child.tail());
      });
      closers.push(() => child.stop(stopGraceMs));
      return child;
    };
    say("Starting worker and API …");
    const [worker, api] = await Promise.all([start("worker", "worker/src/main.ts"), start("api", "api/src/main.ts")]);
    return {
      url: `http://localhost:${api.ready.port ?? env.PORT}`,
      admin: { email: String(env.ADMIN_EMAIL), password: String(env.ADMIN_PASSWORD) },
      databaseUrl,
      simulator,
      simulated,
      env,
      api,
      worker,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
