import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeCertificate } from "@keygate/simulator/azure-certificate";
import { Redis } from "ioredis";
import { onTestFinished, vi } from "vitest";
import { canInstall, installPackages } from "../src/apt.ts";
import { type Daemon, endDaemon, startDaemon } from "../src/daemon.ts";
import { findProgram } from "../src/find-program.ts";
import { freePort } from "../src/free-port.ts";
import { withClient } from "../src/postgres-ready.ts";
import type { PostgresServer } from "../src/postgres-server.ts";
import { findRedisServer } from "../src/redis-server.ts";
import type { Backend } from "../test-support/server-mode.ts";
import { isRoot, optionsIn, postgresFor, tempDir } from "./harness.ts";

const root = resolve(import.meta.dirname, "../..");
const password = randomBytes(24).toString("base64url");
// PgBouncer refuses to run as root.
const person = isRoot ? { uid: 1000, gid: 1000 } : null;

/** Who asks a server anything without TLS, as one text; null when nobody does. A connection begins before its TLS does. */
export const unencrypted =
  "select string_agg(format('%s %s %s', application_name, backend_type, query), '; ') from pg_stat_ssl s join pg_stat_activity a using (pid) where not s.ssl and a.client_port > 0 and a.query <> '' and a.pid <> pg_backend_pid()";

/** A service that this test owns and may end at any moment. */
export interface Service {
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Starts it again on the same port, stopping it first if it runs. */
  restart(): Promise<void>;
}

export interface SecuredSetting {
  /** What API and workers are started with. */
  env: Record<string, string>;
  /** Its `url` leads past PgBouncer. */
  postgres: PostgresServer;
  pooler: Service;
  redis: (Service & { flush(): Promise<void> }) | null;
  /** Cuts every connection of the queue; the server behind it stays. Tells how many. */
  cutQueue(): Promise<number>;
}

interface Tls {
  cert: string;
  key: string;
}

/** A certificate for 127.0.0.1, its own authority, readable by whoever runs a server with it. */
function certificateIn(dir: string): Tls {
  const { cert, key } = makeCertificate(["127.0.0.1", "localhost"]);
  const paths = { cert: join(dir, "server.crt"), key: join(dir, "server.key") };
  writeFileSync(paths.cert, cert);
  writeFileSync(paths.key, key, { mode: 0o600 });
  return paths;
}

/** Starts a service that ends with the test at the latest. */
export async function startService(file: string, args: string[], user: typeof person = null): Promise<Service> {
  const start = () =>
    startDaemon({
      file,
      args,
      as: { user, grants: [] },
      stdio: ["ignore", "ignore", "inherit"],
      onOwnerDeath: "SIGTERM",
    });
  let daemon: Daemon = await start();
  const end = (first: "SIGTERM" | "SIGKILL") =>
    endDaemon(daemon, [
      [first, 10_000],
      ["SIGKILL", 10_000],
    ]);
  onTestFinished(() => end("SIGTERM"));
  return {
    kill: () => end("SIGKILL"),
    async restart() {
      await end("SIGTERM");
      daemon = await start();
    },
  };
}

async function securePostgres(dir: string, tls: Tls) {
  const options = optionsIn(dir);
  // It is killed here: what was committed must be there afterwards.
  const settings = { ...options.settings, synchronous_commit: "on" };
  const postgres = await postgresFor({ ...options, settings, password });
  const { uid, gid } = statSync(options.dataDir);
  for (const [from, name] of [
    [tls.cert, "server.crt"],
    [tls.key, "server.key"],
  ] as const) {
    const to = join(options.dataDir, name);
    execFileSync("cp", [from, to]);
    chmodSync(to, 0o600);
    chownSync(to, uid, gid);
  }
  await withClient(postgres.url, async (client) => {
    await client.query("alter system set ssl = on");
    await client.query("alter role keygate set statement_timeout = '20s'");
    await client.query("select pg_reload_conf()");
  });
  return postgres;
}

/** In transaction mode, with the settings that docs/scaling.md gives, TLS on both sides. */
async function startPgBouncer(dir: string, tls: Tls, postgresPort: number): Promise<{ port: number; pooler: Service }> {
  const program = findProgram(["pgbouncer"]);
  if (!program) throw new Error("No pgbouncer found. Debian: apt-get install pgbouncer");
  const port = await freePort();
  const users = join(dir, "users.txt");
  const config = join(dir, "pgbouncer.ini");
  writeFileSync(users, `"keygate" "${password}"\n`);
  writeFileSync(
    config,
    `[databases]
keygate = host=127.0.0.1 port=${postgresPort} dbname=keygate
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = transaction
default_pool_size = 12
max_client_conn = 500
server_login_retry = 1
ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout
client_tls_sslmode = require
client_tls_cert_file = ${tls.cert}
client_tls_key_file = ${tls.key}
server_tls_sslmode = verify-ca
server_tls_ca_file = ${tls.cert}
`,
  );
  if (person) for (const path of [dir, users, config, tls.cert, tls.key]) chownSync(path, person.uid, person.gid);
  return { port, pooler: await startService(program, ["-q", config], person) };
}

async function startSecureRedis(tls: Tls) {
  const program = findRedisServer();
  if (!program) throw new Error("No redis-server found.");
  const port = await freePort();
  const given = { bind: "127.0.0.1", port: "0", "tls-port": String(port), "tls-cert-file": tls.cert };
  const more = {
    "tls-key-file": tls.key,
    "tls-ca-cert-file": tls.cert,
    "tls-auth-clients": "no",
    requirepass: password,
  };
  const settings = { ...given, ...more, "maxmemory-policy": "noeviction", save: "", loglevel: "warning" };
  const service = await startService(
    program,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  );
  return { url: `rediss://:${password}@127.0.0.1:${port}`, service };
}

/** PostgreSQL behind PgBouncer in transaction mode, and Redis where the queue lives there: passwords and TLS everywhere. */
export async function secureSetting(backend: Backend): Promise<SecuredSetting> {
  if (!findProgram(["pgbouncer"]) && canInstall()) await installPackages("pgbouncer");
  const dir = tempDir(0o755);
  const folder = (name: string) => {
    const path = join(dir, name);
    mkdirSync(path, { mode: 0o755 });
    return path;
  };
  const servers = certificateIn(folder("tls"));
  const poolers = folder("pgbouncer");
  // Copies, since PgBouncer's user gets them.
  for (const name of ["server.crt", "server.key"]) execFileSync("cp", [join(dir, "tls", name), join(poolers, name)]);
  const poolerTls = { cert: join(poolers, "server.crt"), key: join(poolers, "server.key") };
  const postgres = await securePostgres(dir, servers);
  const redis = backend === "redis" ? await startSecureRedis(servers) : null;
  const { port, pooler } = await startPgBouncer(poolers, poolerTls, postgres.port);
  const urlAt = (at: number) => `postgres://keygate:${password}@127.0.0.1:${at}/keygate?sslmode=verify-full`;
  const queue = redis ? { REDIS_URL: redis.url } : { DATABASE_DIRECT_URL: urlAt(postgres.port) };
  const env = { DATABASE_URL: urlAt(port), ...queue, NODE_EXTRA_CA_CERTS: servers.cert, DATABASE_POOL_MAX: "8" };

  // Through the pooler too, and two at once: their lock lasts as long as their transaction.
  const migrate = () =>
    execFileSync(process.execPath, [join(root, "migrations/src/main.ts")], { env: { PATH: process.env.PATH, ...env } });
  await vi.waitFor(() => migrate(), { timeout: 60_000, interval: 500 });
  migrate();

  const asRedis = async <T>(work: (client: Redis) => Promise<T>): Promise<T> => {
    const client = new Redis(redis?.url ?? "", { tls: { ca: readFileSync(servers.cert) } });
    try {
      return await work(client);
    } finally {
      client.disconnect();
    }
  };
  return {
    env,
    postgres,
    pooler,
    redis: redis && {
      ...redis.service,
      flush: () => asRedis(async (client) => void (await client.flushall())),
    },
    async cutQueue() {
      if (redis)
        return asRedis(async (client) =>
          Number(await client.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")),
        );
      const cut = "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'keygate-queue'";
      return withClient(postgres.url, async (client) => (await client.query(cut)).rowCount ?? 0);
    },
  };
}
