import { randomBytes } from "node:crypto";
import { type Config, loadConfig } from "@keygate/shared/config";
import type { UserRole } from "@keygate/shared/contracts/auth";
import type { DeveloperId, JobId, UserId, WorkspaceId } from "@keygate/shared/contracts/ids";
import type { VendorId } from "@keygate/shared/contracts/vendors/registry";
import { hashPassword } from "@keygate/shared/crypto/password";
import { jobRows, leaseJob } from "@keygate/shared/db/jobs";
import { type KeyRow, keyRows } from "@keygate/shared/db/keys";
import { userRows } from "@keygate/shared/db/users";
import { vendorConfigRows } from "@keygate/shared/db/vendor-configs";
import { must } from "@keygate/shared/errors";
import { newId } from "@keygate/shared/ids";
import { createLog } from "@keygate/shared/log";
import { Secret } from "@keygate/shared/secret";
import { sealVendorSettings } from "@keygate/shared/vendor-settings";
import { sql } from "kysely";
import { createTestDatabase } from "../../embedded/test-support/database.ts";
import { accessTokens } from "../src/auth/access-tokens.ts";
import type { ApiDeps } from "../src/deps.ts";
import { startApi } from "../src/start-api.ts";

export interface TestUser {
  id: UserId;
  email: string;
  password: string;
  token: string;
}

export interface Call {
  /** Sent as JSON; text, bytes and streams are sent as they are. */
  body?: unknown;
  /** The owner's unless given; null sends none. */
  token?: string | null;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

export interface Answer {
  status: number;
  headers: Headers;
  /** Parsed when it is JSON. The tests name what they expect of it. */
  // biome-ignore lint/suspicious/noExplicitAny: answers are compared, not worked with
  body: any;
  text: string;
}

export interface ApiHarness {
  url: string;
  config: Config;
  deps: ApiDeps;
  logLines: string[];
  owner: TestUser;
  admin: TestUser;
  auditor: TestUser;
  /** Calls `/api/v1` + path; a path that starts with `~` is taken from the root: `~/health`. */
  call(method: string, path: string, options?: Call): Promise<Answer>;
  /** Makes one more user. */
  addUser(role: UserRole): Promise<TestUser>;
  /** Stores OpenAI credentials without asking anybody. */
  storeVendor(vendor?: VendorId): Promise<void>;
  /** A working key, without the job that would have made it. */
  addKey(owner: { developerId: DeveloperId; workspaceId?: WorkspaceId; rateLimitRpm?: number }): Promise<KeyRow>;
  /** Ends a job as a worker would. */
  finishJob(
    id: JobId,
    state: "succeeded" | "failed",
    change?: { result?: unknown; claimTtlSeconds?: number },
  ): Promise<void>;
  /** How many rows each table has. */
  countRows(): Promise<Record<string, number>>;
  close(): Promise<void>;
}

type Raw = string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>;
const isRaw = (body: unknown): body is Raw =>
  typeof body === "string" || body instanceof Uint8Array || body instanceof ReadableStream;

async function readAnswer(response: Response): Promise<Answer> {
  const text = await response.text();
  const isJson = text !== "" && /[/+]json\b/.test(response.headers.get("content-type") ?? "");
  return { status: response.status, headers: response.headers, text, body: isJson ? JSON.parse(text) : text };
}

/** An API of its own on a free port, with a database of its own and BullMQ on PostgreSQL unless `env` says otherwise. */
export async function createApiHarness(options: { env?: Record<string, string> } = {}): Promise<ApiHarness> {
  const database = await createTestDatabase();
  const config = loadConfig({
    DATABASE_URL: database.url,
    SECRET_KEY: randomBytes(48).toString("base64"),
    ENCRYPTION_KEY: randomBytes(48).toString("base64"),
    HOST: "127.0.0.1",
    PORT: "0",
    LOG_LEVEL: "debug",
    DATABASE_POOL_MAX: "8",
    SHUTDOWN_GRACE_SECONDS: "5",
    ...options.env,
  });
  const logLines: string[] = [];
  const log = createLog({ level: "debug", name: "api" }, { write: (line: string) => void logLines.push(line) });
  const api = await startApi(config, log);
  const { deps } = api;
  const { secretKey, accessTokenTtlMinutes: ttlMinutes } = config;
  const tokens = accessTokens({ secretKey, audience: "keygate-api", ttlMinutes, clock: deps.clock });

  const addUser = async (role: UserRole): Promise<TestUser> => {
    const email = `${role}-${randomBytes(4).toString("hex")}@keygate.test`;
    const password = randomBytes(12).toString("base64url");
    const passwordHash = await hashPassword(new Secret(password));
    const user = must(await userRows(deps.db).insert({ email, passwordHash, role }), "the test's user");
    return { id: user.id, email, password, token: await tokens.issue(user) };
  };
  const [owner, admin, auditor] = await Promise.all([addUser("owner"), addUser("admin"), addUser("auditor")]);

  return {
    url: api.url,
    config,
    deps,
    logLines,
    owner,
    admin,
    auditor,
    addUser,
    async call(method, path, { body, token = owner.token, headers = {}, signal } = {}) {
      const address = path.startsWith("~") ? `${api.url}${path.slice(1)}` : `${api.url}/api/v1${path}`;
      const response = await fetch(address, {
        method,
        redirect: "manual",
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: isRaw(body) ? body : JSON.stringify(body), duplex: "half" as const }),
        ...(signal ? { signal } : {}),
      });
      return readAnswer(response);
    },
    async storeVendor(vendor = "openai") {
      const sealed = sealVendorSettings(deps.keyring, vendor, new Secret("sk-admin-test-0123456789abcdef"), {});
      await vendorConfigRows(deps.db).upsert({ vendor, source: "api", orgId: null, ...sealed });
    },
    async addKey({ developerId, workspaceId, rateLimitRpm = 60 }) {
      const id = newId("key");
      await keyRows(deps.db).insert({
        id,
        developerId,
        vendor: "openai",
        workspaceId: workspaceId ?? null,
        projectName: `keygate-test-${id}`,
        description: "",
        budgetMicros: 50_000_000,
        rateLimitRpm,
        modelsAllowed: null,
        expires: { inDays: 90 },
        lineageId: id,
        replacesId: null,
        graceMinutes: null,
        simulated: true,
        createdBy: "test",
      });
      const instructions = { base_url: "https://api.openai.com/v1", auth_header: "Authorization: Bearer" };
      return keyRows(deps.db).markActive(id, {
        hint: "sk-...test",
        fingerprints: [],
        vendorRef: {},
        limits: [],
        instructions,
      });
    },
    async finishJob(id, state, change = {}) {
      const token = randomBytes(8).toString("hex");
      must(await leaseJob(deps.db)({ jobId: id, token, seconds: 30 }), "the lease");
      const error = state === "failed" ? { code: "job.failed", title: "Failed", detail: "The test says so." } : null;
      await jobRows(deps.db).finish({ jobId: id, token }, { state, error, ...change });
    },
    async countRows() {
      const { rows: tables } = await sql<{ name: string }>`
        select table_name as name from information_schema.tables where table_schema = 'public' order by 1`.execute(
        deps.db,
      );
      const counts = tables.map(async ({ name }) => {
        const { rows } = await sql<{ n: number }>`select count(*) as n from ${sql.table(name)}`.execute(deps.db);
        return [name, rows[0]?.n ?? 0] as const;
      });
      return Object.fromEntries(await Promise.all(counts));
    },
    async close() {
      await api.close();
      await database.drop();
    },
  };
}
