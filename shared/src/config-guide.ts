import type { z } from "zod";
import { Environment } from "./config.ts";
import { vendorContracts, vendorIds } from "./contracts/vendors/registry.ts";
import type { VendorContract } from "./contracts/vendors/vendor-contract.ts";

type Name = keyof typeof Environment.shape;

/** What each variable means. One without a line here does not compile. */
const meanings = {
  DATABASE_URL: "Where PostgreSQL is: `postgres://user:password@host:5432/keygate`; `?sslmode=verify-full` for TLS.",
  DATABASE_DIRECT_URL:
    "The same database past PgBouncer, for what listens: the queue when there is no Redis. Only with a pooler.",
  REDIS_URL:
    "Where Redis or Valkey is: `redis://`, `redis+sentinel://` or `redis+cluster://`, `rediss` for TLS. Left out, the queue lives in PostgreSQL.",
  SECRET_KEY: "Signs access tokens. At least 32 characters. A new one signs everybody out.",
  ENCRYPTION_KEY: "Encrypts vendor credentials. A comma-separated list: the first encrypts, all decrypt.",
  ADMIN_EMAIL: "The first owner's address; read when there is no user yet.",
  ADMIN_PASSWORD: "The first owner's password, at least 12 characters.",
  PORT: "Where the api listens.",
  HOST: "The address on which the api listens.",
  PUBLIC_URL: "How people reach KeyGate; links and cookies follow it.",
  TRUSTED_PROXIES: "Addresses or networks whose word about a request's origin counts, comma-separated.",
  ACCESS_TOKEN_TTL_MINUTES: "How long an access token lives.",
  CORS_ORIGINS: "Origins whose pages may call the api, comma-separated.",
  LOG_LEVEL: "How much is logged.",
  HANDOFF_TTL_SECONDS: "How long a sealed key waits to be taken before it is revoked.",
  WORKER_CONCURRENCY: "Jobs that a worker works side by side for each vendor.",
  SHUTDOWN_GRACE_SECONDS: "What is under way may take so long to end when the process is told to stop.",
  LEASE_SECONDS: "After so long another worker takes over the job of one that died.",
  SWEEP_INTERVAL_MS: "How often due work is looked for.",
  DATABASE_POOL_MAX: "Database connections at most, for each process.",
  VENDOR_TIMEOUT_SECONDS: "After so long a call to a vendor counts as unanswered.",
  VENDOR_SETTLE_SECONDS: "How long a vendor's lists may lag behind its writes; default: each vendor's own number.",
  INPUT_WAIT_DAYS: "How long a job waits for a person before it is given up and undone.",
  SIMULATED_VENDORS: "Vendors whose keys are marked as simulated. Set by the simulator; not for production.",
  METRICS_PORT: "Where `/metrics` and `/health` are served, without sign-in. Left out, nothing is served.",
  METRICS_HOST: "The address on which metrics are served. Never one that the internet reaches.",
  OTEL_EXPORTER_OTLP_ENDPOINT:
    "Where traces are sent by OTLP over HTTP, like `http://collector:4318`. Left out, nothing is traced.",
  OTEL_EXPORTER_OTLP_HEADERS: "Headers for it, `name=value` separated by commas, values percent-encoded.",
  OTEL_TRACES_SAMPLER_ARG: "The part of the traces that is kept, 0 to 1; a caller's own decision goes first.",
  RECONCILE_INTERVAL_MINUTES: "How often vendors are compared with the database; 0: only when somebody asks.",
  RECONCILE_CALLS_PER_MINUTE: "Calls that a comparison may make, per vendor: `openai=3,google_vertex=60`.",
  RECONCILE_REMOVE_UNKNOWN: "Whether what bears our mark but was never asked for here is removed.",
} as const satisfies Record<Name, string>;

/** Every variable that the environment may hold for KeyGate, the vendors' included. */
export function variableNames(): string[] {
  return [...Object.keys(Environment.shape), ...vendorIds.flatMap((id) => vendorVariables(id).map(({ name }) => name))];
}

/** Those whose values must never stand in a file of settings: they come from a vault or a Secret. */
export function secretVariableNames(): string[] {
  const ours = Object.keys(Environment.shape).filter((name) => /(_URL|_KEY|PASSWORD|HEADERS)$/.test(name));
  const vendors = vendorIds.flatMap((id) => {
    const { variable, isFile }: VendorContract["environment"]["adminKey"] = vendorContracts[id].environment.adminKey;
    return isFile ? [] : [variable];
  });
  return [...ours.filter((name) => name !== "PUBLIC_URL"), ...vendors];
}

// Fixed by the chart, because its probes and services name these ports.
const fixedByChart = ["PORT", "HOST", "METRICS_PORT", "METRICS_HOST"];
/** What Node and the vendors' libraries read by themselves. */
const readByOthers = ["NODE_EXTRA_CA_CERTS", "NODE_OPTIONS", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "TZ"];

/** The names that the chart's `config` takes, as a pattern for its values' schema: a slip of the pen is refused. */
export function chartConfigPattern(): string {
  const refused = [...secretVariableNames(), ...fixedByChart];
  const names = [...variableNames().filter((name) => !refused.includes(name)), ...readByOthers];
  return `^(${names.join("|")})$`;
}

function vendorVariables(id: (typeof vendorIds)[number]): { name: string; sets: string }[] {
  const { adminKey, orgId, extra }: VendorContract["environment"] = vendorContracts[id].environment;
  return [
    { name: adminKey.variable, sets: adminKey.isFile ? "the file that holds the credential" : "the credential" },
    ...(orgId ? [{ name: orgId, sets: "`org_id`" }] : []),
    ...Object.entries(extra).map(([setting, name]) => ({ name, sets: `\`${setting}\`` })),
  ];
}

function defaultOf(schema: z.ZodType): string {
  const isOptional = schema.safeParse(undefined);
  if (!isOptional.success) return "required";
  const value: unknown = isOptional.data;
  const isEmpty = value === undefined || (typeof value === "object" && Object.keys(value ?? {}).length === 0);
  return isEmpty ? "" : `\`${String(value)}\``;
}

/** The page docs/configuration.md. */
export function configurationPage(): string {
  const rows = Object.entries(Environment.shape).map(
    ([name, schema]) => `| \`${name}\` | ${defaultOf(schema)} | ${meanings[name as Name]} |`,
  );
  const vendors = vendorIds.map((id) => {
    const lines = vendorVariables(id).map(({ name, sets }) => `| \`${name}\` | ${sets} |`);
    return `### ${vendorContracts[id].title}\n\n| variable | sets |\n|---|---|\n${lines.join("\n")}\n`;
  });
  return `# Configuration

<!-- Made by \`npm run docs:config\` from shared/src/config.ts. Change it there. -->

KeyGate reads its environment once, at the start. A bad value stops the start with a list of everything that is wrong; it
names variables and never shows values. An empty variable is an absent one.

| variable | default | meaning |
|---|---|---|
${rows.join("\n")}

## Vendors

Vendors can be configured here or in the dashboard. What the environment says takes the place of what was configured there.

${vendors.join("\n")}`;
}
