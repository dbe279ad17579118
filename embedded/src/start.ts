import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { buildDashboard } from "./build-dashboard.ts";
import { type Stack, startStack } from "./stack.ts";

const help = `Usage: npm start [-- --port N] [-- --help]

Starts all of KeyGate on this machine: PostgreSQL, the API with the dashboard, a worker, and simulated vendors for
those that the environment gives no credentials for. Data and generated secrets are kept in .keygate/ (KEYGATE_HOME).

  --port N   listen on port N of localhost (PORT; 8000 otherwise)
  --help     show this text

Press Ctrl-C to stop everything.`;

const { values } = parseArgs({ options: { port: { type: "string" }, help: { type: "boolean", short: "h" } } });
if (values.help) {
  console.log(help);
  process.exit(0);
}

/** Everything a newcomer needs, on one screen. */
function welcome({ url, admin, simulated, env }: Stack): string {
  const json = "Content-Type: application/json";
  const login = JSON.stringify({ email: admin.email, password: admin.password });
  const developer = '{"name":"Ada Lovelace","email":"ada-\'$(date +%s)\'@example.com"}';
  const text = (member: string) => `sed 's/.*"${member}":"\\([^"]*\\)".*/\\1/'`;
  const firstKey = [
    `T=$(curl -s ${url}/api/v1/auth/login -H '${json}' -d '${login}' | ${text("access_token")})`,
    `D=$(curl -s ${url}/api/v1/developers -H "Authorization: Bearer $T" -H '${json}' -d '${developer}' | ${text("id")})`,
    `curl -s ${url}/api/v1/keys/provision -H "Authorization: Bearer $T" -H '${json}' -d '{"developer_id":"'$D'","vendor":"openai"}'`,
  ].join("; ");
  return `
KeyGate is running.

  Dashboard   ${url}/
  API         ${url}/docs
  Queues      ${url}/queues
  Admin       ${admin.email}
  Password    ${admin.password}
  Vendors     ${simulated.length > 0 ? `simulated here: ${simulated.join(", ")} (their keys are gone when KeyGate stops)` : "all real"}
  Queue       ${env.REDIS_URL ? "Redis" : "PostgreSQL"}

A first key, in one line:

${firstKey}

Ctrl-C stops everything.
`;
}

const home = resolve(process.env.KEYGATE_HOME || ".keygate");
let stack: Stack | null = null;
let exitCode = 0;
let stopping: Promise<void> | null = null;

function stop(): Promise<void> {
  stopping ??= (async () => {
    console.log("\nStopping …");
    await stack?.stop();
    console.log("Stopped.");
    process.exit(exitCode);
  })();
  return stopping;
}

let wantsToStop = false;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(signal, () => {
    // While starting there is nothing to stop in order yet: what is being started is stopped as soon as it is up.
    wantsToStop = true;
    if (stack) void stop();
  });
}

try {
  await buildDashboard((line) => console.log(line));
  stack = await startStack({
    home,
    env: { ...process.env, ...(values.port ? { PORT: values.port } : {}) },
    say: (line) => console.log(line),
    onLost(name, tail) {
      console.error(`\nThe ${name} has stopped by itself.\n${tail}`);
      exitCode = 1;
      void stop();
    },
  });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}
if (wantsToStop) await stop();
else console.log(welcome(stack));
