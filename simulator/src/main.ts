/** `npm run simulator`: the vendors alone, printing the environment that points KeyGate at them. */
import { parseArgs } from "node:util";
import { type Simulator, serverNames, startSimulator } from "./start.ts";

const HELP = `Simulated vendors on loopback: no real vendor is called, no real key is made.

npm run simulator [-- options]

  --port-base N   servers take the ports N, N+1, … (default: any free ports)
  --help          this text

Prints export lines for a shell that starts KeyGate, then runs until Ctrl-C.
Each vendor is steered under its /_control/ (faults, calls, violations, books, clock, settings, reset).
`;

function readPortBase(): number | null {
  const { values } = parseArgs({ options: { "port-base": { type: "string" }, help: { type: "boolean", short: "h" } } });
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  if (values["port-base"] === undefined) return null;
  const base = Number(values["port-base"]);
  if (!Number.isInteger(base) || base < 1 || base + serverNames().length > 65_536) {
    throw new Error("--port-base must be a port number with room for every vendor above it");
  }
  return base;
}

function shellQuoted(value: string): string {
  return /^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", `'\\''`)}'`;
}

let simulator: Simulator;
try {
  const base = readPortBase();
  const ports = base === null ? {} : Object.fromEntries(serverNames().map((name, i) => [name, base + i]));
  simulator = await startSimulator({ ports });
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exit(1);
}

// Before the first line is printed: whoever reads it may stop us at once.
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => void simulator.close().then(() => process.exit(0)));
}

for (const [name, value] of Object.entries(simulator.env)) console.log(`export ${name}=${shellQuoted(value)}`);
console.error("Simulated vendors are running; their keys open nothing real. Ctrl-C stops them.");
