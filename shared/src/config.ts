import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { z } from "zod";
import { VendorId, vendorContracts, vendorIds } from "./contracts/vendors/registry.ts";
import type { VendorContract } from "./contracts/vendors/vendor-contract.ts";
import { type ReconcileConfig, reconcileConfigOf, reconcileEnvironment } from "./reconcile-config.ts";
import { readRedisUrl } from "./redis.ts";
import { Secret } from "./secret.ts";
import type { TracingConfig } from "./tracer.ts";

/** Words of which the values in samples, tutorials and jokes are made. A server that runs on one of them is an open door. */
const wellKnown =
  /change[-_ ]?(me|this|it)|example|sample|default|secret|encryption|password|passwd|letmein|welcome|admin|keygate|replace|insert|please|your|key|with|very|super|long|random|value|string|here|test|qwerty|0?123456789?0?|1234/gi;

/** How many letters and digits are left, and how many different ones, when all well-known words are taken out. */
function leftOf(text: string): { count: number; distinct: number } {
  const rest = text.replace(wellKnown, "").replace(/[^0-9a-z]/gi, "");
  return { count: rest.length, distinct: new Set(rest).size };
}

const strongSecret = z
  .string()
  .refine((text) => text.length >= 32, {
    message: "must be at least 32 characters; make one with: openssl rand -base64 48",
  })
  .refine((text) => leftOf(text).count >= 16 && leftOf(text).distinct >= 8, {
    message: "is a sample or too easy to guess; make one with: openssl rand -base64 48",
  })
  .transform((text) => new Secret(text));

const list = z
  .string()
  .default("")
  .transform((text) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter(Boolean),
  );

const int = (min: number, max: number, fallback: number) => z.coerce.number().int().min(min).max(max).default(fallback);

const proxy = z.string().refine(
  (text) => {
    const [address = "", bits] = text.split("/");
    const family = isIP(address);
    return (
      family !== 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)))
    );
  },
  { message: "must be addresses or networks like 10.0.0.0/8, separated by commas" },
);

const isHeaderList = (text: string) =>
  text.split(",").every((pair) => {
    try {
      return /^\s*[\w-]+\s*=/.test(pair) && decodeURIComponent(pair) !== "";
    } catch {
      return false;
    }
  });

const databaseUrl = z
  .string({ error: "is required, like postgres://user:password@host:5432/keygate" })
  .refine((text) => /^postgres(ql)?:\/\//.test(text), { message: "must start with postgres://" });

/** The variables that are not a vendor's own; what each means stands in `config-guide.ts`. */
export const Environment = z.object({
  DATABASE_URL: databaseUrl,
  DATABASE_DIRECT_URL: z
    .string()
    .refine((text) => /^postgres(ql)?:\/\//.test(text), { message: "must start with postgres://" })
    .optional(),
  REDIS_URL: z
    .string()
    .refine((text) => readRedisUrl(text) !== null, {
      message: "must be redis://, redis+sentinel:// or redis+cluster:// with its hosts (rediss for TLS)",
    })
    .optional(),
  SECRET_KEY: strongSecret,
  ENCRYPTION_KEY: z
    .string()
    .transform((text) =>
      text
        .split(",")
        .map((part) => part.trim())
        .filter(Boolean),
    )
    .pipe(z.array(strongSecret).min(1, { message: "must name at least one key" })),
  ADMIN_EMAIL: z.email().optional(),
  ADMIN_PASSWORD: z
    .string()
    .min(12, { message: "must be at least 12 characters" })
    .refine((text) => leftOf(text).distinct >= 4, { message: "is a sample or too easy to guess" })
    .optional(),
  PORT: int(0, 65_535, 8000),
  HOST: z.string().min(1).default("0.0.0.0"),
  PUBLIC_URL: z.url({ protocol: /^https?$/ }).optional(),
  TRUSTED_PROXIES: list.pipe(z.array(proxy)),
  ACCESS_TOKEN_TTL_MINUTES: int(1, 60 * 24 * 30, 60 * 12),
  CORS_ORIGINS: list.pipe(z.array(z.url({ protocol: /^https?$/ }).or(z.literal("*")))),
  LOG_LEVEL: z.enum(["fatal", "error", "warn", "info", "debug", "trace", "silent"]).default("info"),
  HANDOFF_TTL_SECONDS: int(5, 86_400, 900),
  WORKER_CONCURRENCY: int(2, 1000, 100),
  SHUTDOWN_GRACE_SECONDS: int(1, 600, 25),
  LEASE_SECONDS: int(2, 600, 30),
  SWEEP_INTERVAL_MS: int(100, 60_000, 2000),
  DATABASE_POOL_MAX: int(2, 200, 20),
  VENDOR_TIMEOUT_SECONDS: int(1, 300, 30),
  VENDOR_SETTLE_SECONDS: z.coerce.number().min(0).max(900).optional(),
  INPUT_WAIT_DAYS: z.coerce.number().positive().max(90).default(7),
  SIMULATED_VENDORS: list.pipe(z.array(VendorId)),
  METRICS_PORT: z.coerce.number().int().min(0).max(65_535).optional(),
  METRICS_HOST: z.string().min(1).default("127.0.0.1"),
  OTEL_EXPORTER_OTLP_ENDPOINT: z.url({ protocol: /^https?$/, error: "must be like http://collector:4318" }).optional(),
  OTEL_EXPORTER_OTLP_HEADERS: z
    .string()
    .refine(isHeaderList, { message: "must be like name=value,other=value, values percent-encoded" })
    .transform((text) => new Secret(text))
    .optional(),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1),
  ...reconcileEnvironment,
});

/** What the environment says about one vendor. */
export interface VendorEnvironment {
  adminKey: Secret | null;
  orgId: string | null;
  extra: Record<string, string>;
  simulated: boolean;
}

export interface Config {
  readonly databaseUrl: string;
  /** Past a pooler, for what needs a session of its own; null: `databaseUrl` will do. */
  readonly databaseDirectUrl: string | null;
  readonly databasePoolMax: number;
  readonly redisUrl: string | null;
  readonly secretKey: Secret;
  readonly encryptionKeys: readonly Secret[];
  readonly admin: { readonly email: string; readonly password: Secret } | null;
  readonly http: {
    readonly port: number;
    readonly host: string;
    readonly publicUrl: string | null;
    readonly trustedProxies: readonly string[];
    readonly corsOrigins: readonly string[];
  };
  readonly accessTokenTtlMinutes: number;
  readonly logLevel: string;
  readonly handoff: { readonly ttlSeconds: number };
  readonly worker: {
    readonly concurrency: number;
    readonly shutdownGraceSeconds: number;
    readonly leaseSeconds: number;
    readonly sweepIntervalMs: number;
    readonly inputWaitDays: number;
  };
  readonly vendorCalls: { readonly timeoutMs: number; readonly settleMs: number | null };
  readonly reconcile: ReconcileConfig;
  /** Null: nothing is served. */
  readonly metrics: { readonly port: number; readonly host: string } | null;
  readonly tracing: TracingConfig;
  readonly vendors: Readonly<Partial<Record<VendorId, VendorEnvironment>>>;
}

/** Says everything that is wrong with the environment at once; names, never values. */
export class ConfigError extends Error {
  readonly problems: readonly string[];
  constructor(problems: readonly string[]) {
    super(`The configuration is not usable:\n${problems.map((line) => `  - ${line}`).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

type Env = Readonly<Record<string, string | undefined>>;

function readVendor(id: VendorId, env: Env, problems: string[]): VendorEnvironment | null {
  const contract: VendorContract = vendorContracts[id];
  const { adminKey, orgId, extra, required = [], ambient } = contract.environment;
  const value = (name: string) => env[name]?.trim() || undefined;
  let credential = value(adminKey.variable);
  if (credential && adminKey.isFile) {
    try {
      credential = readFileSync(credential, "utf8");
    } catch {
      problems.push(`${adminKey.variable}: the file that it names cannot be read`);
      return null;
    }
  }
  const extras = Object.entries(extra).flatMap(([name, variable]) => {
    const text = value(variable);
    return text === undefined ? [] : [[name, text] as const];
  });
  if (credential) {
    for (const name of required) {
      if (!value(name)) problems.push(`${name}: is required when ${adminKey.variable} is set`);
    }
  }
  const parsed = contract.extraConfig.safeParse(Object.fromEntries(extras));
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      problems.push(`${extra[String(issue.path[0])] ?? contract.title}: ${issue.message}`);
    }
  }
  const isAmbient = !credential && ambient !== undefined && ambient.every((name) => value(name));
  if (!credential && extras.length === 0) return null;
  return {
    adminKey: credential ? new Secret(credential) : isAmbient ? new Secret("") : null,
    orgId: (orgId && value(orgId)) || null,
    extra: Object.fromEntries(extras),
    simulated: false,
  };
}

/**
 * Reads and checks the whole configuration.
 *
 * @throws ConfigError with one line for each thing that is wrong.
 */
export function loadConfig(env: Env): Config {
  // An empty variable, as compose files produce them, is an absent one.
  const present = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));
  const problems: string[] = [];
  const parsed = Environment.safeParse(present);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      problems.push(`${name}: ${present[name] === undefined ? "is required" : issue.message}`);
    }
  }
  const vendors: Partial<Record<VendorId, VendorEnvironment>> = {};
  for (const id of vendorIds) {
    const vendor = readVendor(id, present, problems);
    if (vendor) vendors[id] = { ...vendor, simulated: parsed.data?.SIMULATED_VENDORS.includes(id) ?? false };
  }
  const e = parsed.data;
  if (e && (e.ADMIN_EMAIL === undefined) !== (e.ADMIN_PASSWORD === undefined)) {
    problems.push("ADMIN_EMAIL and ADMIN_PASSWORD: set both or neither");
  }
  if (!e || problems.length > 0) throw new ConfigError([...new Set(problems)]);
  return {
    databaseUrl: e.DATABASE_URL,
    databaseDirectUrl: e.DATABASE_DIRECT_URL ?? null,
    databasePoolMax: e.DATABASE_POOL_MAX,
    redisUrl: e.REDIS_URL ?? null,
    secretKey: e.SECRET_KEY,
    encryptionKeys: e.ENCRYPTION_KEY,
    admin:
      e.ADMIN_EMAIL && e.ADMIN_PASSWORD
        ? { email: e.ADMIN_EMAIL.toLowerCase(), password: new Secret(e.ADMIN_PASSWORD) }
        : null,
    http: {
      port: e.PORT,
      host: e.HOST,
      publicUrl: e.PUBLIC_URL?.replace(/\/+$/, "") ?? null,
      trustedProxies: e.TRUSTED_PROXIES,
      corsOrigins: e.CORS_ORIGINS,
    },
    accessTokenTtlMinutes: e.ACCESS_TOKEN_TTL_MINUTES,
    logLevel: e.LOG_LEVEL,
    handoff: { ttlSeconds: e.HANDOFF_TTL_SECONDS },
    worker: {
      concurrency: e.WORKER_CONCURRENCY,
      shutdownGraceSeconds: e.SHUTDOWN_GRACE_SECONDS,
      leaseSeconds: e.LEASE_SECONDS,
      sweepIntervalMs: e.SWEEP_INTERVAL_MS,
      inputWaitDays: e.INPUT_WAIT_DAYS,
    },
    vendorCalls: {
      timeoutMs: e.VENDOR_TIMEOUT_SECONDS * 1000,
      settleMs: e.VENDOR_SETTLE_SECONDS === undefined ? null : e.VENDOR_SETTLE_SECONDS * 1000,
    },
    reconcile: reconcileConfigOf(e),
    metrics: e.METRICS_PORT === undefined ? null : { port: e.METRICS_PORT, host: e.METRICS_HOST },
    tracing: e.OTEL_EXPORTER_OTLP_ENDPOINT
      ? {
          endpoint: e.OTEL_EXPORTER_OTLP_ENDPOINT,
          headers: e.OTEL_EXPORTER_OTLP_HEADERS ?? null,
          sampleRatio: e.OTEL_TRACES_SAMPLER_ARG,
        }
      : null,
    vendors,
  };
}

/** Reads the process's own environment; the only place that does. Ends the process with the list of what is wrong. */
export function loadConfigOrExit(): Config {
  try {
    return loadConfig(process.env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    console.error(error.message);
    process.exit(2);
  }
}
