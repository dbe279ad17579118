import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { migrateToLatest } from "@keygate/migrations/migrate";
import { startSimulator } from "@keygate/simulator/start";
import { startPostgres } from "./postgres-server.ts";
import { loadOrMakeSecrets } from "./secrets-file.ts";
import { environmentFor, vendorsToSimulate } from "./stack.ts";

const help = `Usage: npm run dev [-- --port N] [-- --web-port N] [-- --help]

For work on KeyGate itself: PostgreSQL and simulated vendors as npm start has them, api and worker that start again when one
of their files changes, and the dashboard from Vite, which reloads by itself. A new migration needs a new start.

  --port N       where the api listens (PORT; 8000 otherwise)
  --web-port N   where the dashboard is (5173)
  --help         show this text

Ctrl-C stops everything.`;

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    "web-port": { type: "string", default: "5173" },
    help: { type: "boolean", short: "h", default: false },
  },
});
if (values.help) {
  console.log(help);
  process.exit(0);
}

const root = resolve(import.meta.dirname, "../..");
const home = resolve(process.env.KEYGATE_HOME || ".keygate");
/** Whoever does not stop when told to is ended after so long. */
const stopGraceMs = 8_000;
const closers: (() => Promise<unknown>)[] = [];
let stopping: Promise<void> | null = null;

function stop(exitCode: number): Promise<void> {
  stopping ??= (async () => {
    console.log("\nStopping …");
    for (let close = closers.pop(); close; close = closers.pop()) {
      await close().catch((error: unknown) => console.error(error));
    }
    console.log("Stopped.");
    process.exit(exitCode);
  })();
  return stopping;
}

/** Runs Node in a session of its own, so that a Ctrl-C reaches only us; each line that it prints bears its name. */
function run(name: string, args: readonly string[], env: Record<string, string>): ChildProcess {
  const child = spawn(process.execPath, args, { cwd: root, env, detached: true, stdio: ["ignore", "pipe", "pipe"] });
  for (const stream of [child.stdout, child.stderr]) {
    if (stream) createInterface({ input: stream }).on("line", (line) => console.log(`[${name}] ${line}`));
  }
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  // The whole session: what is watched is a child of the one that watches.
  const signal = (which: NodeJS.Signals) => {
    try {
      if (child.pid) process.kill(-child.pid, which);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  };
  child.once("exit", (code) => {
    if (stopping) return;
    console.error(`The ${name} has stopped by itself, with ${code}.`);
    void stop(1);
  });
  closers.push(async () => {
    if (isOver()) return;
    const ended = once(child, "exit");
    signal("SIGTERM");
    const timer = setTimeout(() => signal("SIGKILL"), stopGraceMs);
    await ended;
    clearTimeout(timer);
  });
  return child;
}

async function untilHealthy(url: string): Promise<void> {
  while (!stopping) {
    const isUp = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isUp) return;
    await sleep(100);
  }
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void stop(0));

try {
  const given: NodeJS.ProcessEnv = { ...process.env, ...(values.port ? { PORT: values.port } : {}) };
  const secrets = await loadOrMakeSecrets(home);
  let databaseUrl = given.DATABASE_URL;
  if (!databaseUrl) {
    const postgres = await startPostgres({
      dataDir: join(home, "postgres"),
      user: "keygate",
      password: secrets.postgres_password,
      database: "keygate",
      say: console.log,
      onUnexpectedExit: () => void stop(1),
    });
    closers.push(() => postgres.stop());
    databaseUrl = postgres.url;
  }
  await migrateToLatest(databaseUrl, (name) => console.log(`Migrated the database: ${name}`));
  const simulated = vendorsToSimulate(given);
  const simulator = await startSimulator({ vendors: simulated });
  closers.push(() => simulator.close());
  const parts = { given, secrets, simulator, simulated, databaseUrl };
  const env: Record<string, string> = { ...environmentFor(parts), SHUTDOWN_GRACE_SECONDS: "1" };
  // The address itself: the api listens on 127.0.0.1, and localhost may mean ::1 first.
  const api = `http://127.0.0.1:${env.PORT}`;
  if (!stopping) {
    const watch = (script: string) => ["--watch", "--watch-preserve-output", script];
    run("worker", watch("worker/src/main.ts"), env);
    run("api", watch("api/src/main.ts"), env);
    const vite = [join(root, "node_modules/vite/bin/vite.js"), "web", "--port", values["web-port"], "--strictPort"];
    run("web", [...vite, "--clearScreen", "false"], { ...env, KEYGATE_API: api });
    await untilHealthy(`${api}/health`);
    await untilHealthy(`http://localhost:${values["web-port"]}/`);
  }
  if (!stopping) {
    console.log(`
KeyGate is running and follows your changes.

  Dashboard   http://localhost:${values["web-port"]}/
  API         ${api}/docs
  Admin       ${secrets.admin_email}
  Password    ${secrets.admin_password}

Ctrl-C stops everything.
`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  await stop(1);
}
