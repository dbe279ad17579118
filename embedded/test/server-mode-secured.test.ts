import { execFileSync } from "node:child_process";
import { createHash, randomBytes, randomUUID } from "node:crypto";
import { chmodSync, chownSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeCertificate } from "@keygate/simulator/azure-certificate";
import type { OpenAiBooks } from "@keygate/simulator/openai-books";
import { expect, onTestFinished, test, vi } from "vitest";
import { canInstall, installPackages } from "../src/apt.ts";
import type { Child } from "../src/child.ts";
import { endDaemon, startDaemon } from "../src/daemon.ts";
import type { Answer, ApiClient } from "../src/demo/api-client.ts";
import { findProgram } from "../src/find-program.ts";
import { freePort } from "../src/free-port.ts";
import { withClient } from "../src/postgres-ready.ts";
import { findRedisServer } from "../src/redis-server.ts";
import { startServerMode } from "../test-support/server-mode.ts";
import { ask, isRoot, optionsIn, postgresFor, tempDir } from "./harness.ts";

vi.setConfig({ testTimeout: 600_000 });

const root = resolve(import.meta.dirname, "../..");
const password = randomBytes(24).toString("base64url");
// PgBouncer refuses to run as root.
const person = isRoot ? { uid: 1000, gid: 1000 } : null;

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

async function startedDaemon(file: string, args: string[], user: typeof person = null): Promise<void> {
  const daemon = await startDaemon({
    file,
    args,
    as: { user, grants: [] },
    stdio: ["ignore", "ignore", "inherit"],
    onOwnerDeath: "SIGTERM",
  });
  onTestFinished(() =>
    endDaemon(daemon, [
      ["SIGTERM", 10_000],
      ["SIGKILL", 10_000],
    ]),
  );
}

async function securePostgres(dir: string, tls: Tls) {
  const options = optionsIn(dir);
  const postgres = await postgresFor({ ...options, password });
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
async function startPgBouncer(dir: string, tls: Tls, postgresPort: number): Promise<number> {
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
ignore_startup_parameters = statement_timeout,idle_in_transaction_session_timeout
client_tls_sslmode = require
client_tls_cert_file = ${tls.cert}
client_tls_key_file = ${tls.key}
server_tls_sslmode = verify-ca
server_tls_ca_file = ${tls.cert}
`,
  );
  if (person) for (const path of [dir, users, config, tls.cert, tls.key]) chownSync(path, person.uid, person.gid);
  await startedDaemon(program, ["-q", config], person);
  return port;
}

async function startSecureRedis(tls: Tls): Promise<string> {
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
  await startedDaemon(
    program,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
  );
  return `rediss://:${password}@127.0.0.1:${port}`;
}

test("two APIs and three workers behind PgBouncer, with passwords and TLS everywhere, lose nothing in a rolling restart under load", async () => {
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
  const redisUrl = await startSecureRedis(servers);
  const port = await startPgBouncer(poolers, poolerTls, postgres.port);
  const pooled = `postgres://keygate:${password}@127.0.0.1:${port}/keygate?sslmode=verify-full`;
  const env = { DATABASE_URL: pooled, REDIS_URL: redisUrl, NODE_EXTRA_CA_CERTS: servers.cert, DATABASE_POOL_MAX: "8" };

  // Through the pooler too, and two at once: their lock lasts as long as their transaction.
  const migrate = () =>
    execFileSync(process.execPath, [join(root, "migrations/src/main.ts")], { env: { PATH: process.env.PATH, ...env } });
  await vi.waitFor(() => migrate(), { timeout: 60_000, interval: 500 });
  migrate();

  const mode = await startServerMode("redis", { apis: 2, workers: 3, env, databaseUrl: postgres.url });
  onTestFinished(() => mode.close());
  const unencrypted =
    "select count(*)::int from pg_stat_ssl s join pg_stat_activity a using (pid) where not s.ssl and a.client_port > 0 and a.pid <> pg_backend_pid()";
  expect(await ask(postgres.url, unencrypted)).toBe(0);

  let apis: ApiClient[] = [...mode.apis];
  let isOver = false;
  const taken: { keyId: string; secret: string }[] = [];
  const [first] = apis;
  const who = await first?.call("POST", "/api/v1/developers", { name: "Ada Lovelace", email: "ada@acme.test" });

  /** Asks whichever API answers; one that is stopping breaks connections, and the same request goes to another. */
  async function anywhere(
    method: string,
    path: string,
    body: unknown,
    headers: Record<string, string>,
  ): Promise<Answer> {
    for (let tries = 0; ; tries++) {
      const api = apis[tries % apis.length];
      const answer = await api?.call(method, path, body, headers).catch(() => null);
      if (answer && ![409, 429, 503].includes(answer.status)) return answer;
      if (tries > 400) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
      await new Promise((done) => setTimeout(done, 100));
    }
  }

  async function load(): Promise<void> {
    while (!isOver) {
      const asked = await anywhere(
        "POST",
        "/api/v1/keys/provision",
        { developer_id: who?.body.id, vendor: "openai", models_allowed: ["gpt-4o"] },
        { "idempotency-key": randomUUID(), prefer: "respond-async" },
      );
      expect(asked.status, JSON.stringify(asked.body)).toBe(202);
      const claim = { claim_token: asked.body.claim_token };
      const path = `/api/v1/jobs/${asked.body.job_id}`;
      await vi.waitFor(
        async () => {
          const { body } = await anywhere("GET", path, undefined, {});
          expect(body.status, JSON.stringify(body.error)).toBe("succeeded");
        },
        { timeout: 120_000, interval: 200 },
      );
      const got = await anywhere("POST", `${path}/claim`, claim, { "idempotency-key": randomUUID() });
      expect(got.status, JSON.stringify(got.body)).toBe(200);
      taken.push({ keyId: String(got.body.key_id), secret: String(got.body.api_key) });
    }
  }

  const loads = Array.from({ length: 4 }, load);
  const exits: (number | null)[] = [];
  const replace = async (old: Child | undefined, start: () => Promise<unknown>) => {
    const before = taken.length;
    await start();
    await old?.stop(30_000);
    exits.push(old?.process.exitCode ?? null);
    await vi.waitFor(() => expect(taken.length).toBeGreaterThan(before), { timeout: 120_000, interval: 100 });
  };
  for (const worker of mode.workers) await replace(worker, () => mode.startWorker());
  for (const [index, api] of mode.apiProcesses.entries()) {
    await replace(api, async () => {
      const { client } = await mode.startApi();
      apis = [...apis.filter((each) => each !== mode.apis[index]), client];
    });
  }
  isOver = true;
  await Promise.all(loads);
  expect(exits).toEqual([0, 0, 0, 0, 0]);

  // What people hold is what lives at the vendor, and what the database calls active: no more and no less.
  const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
  const live = (mode.openai.books() as OpenAiBooks).keys.filter((key) => key.live).map((key) => key.secret_sha256);
  expect(live.sort()).toEqual(taken.map(({ secret }) => sha256(secret)).sort());
  expect(await ask(postgres.url, "select count(*)::int from keys where status = 'active'")).toBe(taken.length);
  expect(await ask(postgres.url, "select count(*)::int from jobs where state not in ('succeeded')")).toBe(0);
  console.log(
    `Rolling restart of 2 APIs and 3 workers under load: ${taken.length} keys made, none lost, none left over.`,
  );
});
