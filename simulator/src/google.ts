/**
 * The simulated Google: token endpoint, IAM, Resource Manager, Service Usage, Organization Policy and Vertex AI of one
 * project, told apart by path on one server.
 *
 * Control actions: `edit_policy {add?, remove?}` (a stranger changes the policy), `expose_key {email, key_id}` (Google
 * found it in public and disables it), `set_admin {refused}`.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import {
  type RunningVendor,
  type SimContext,
  type SimRequest,
  type SimResponse,
  type SimVendor,
  startVendorServer,
  type VendorEntry,
} from "./core.ts";
import { authenticate, demandService } from "./google-access.ts";
import * as accounts from "./google-accounts.ts";
import { googleBooks } from "./google-books.ts";
import { type GoogleCall, mistake, Refusal, refusalResponse } from "./google-http.ts";
import * as keys from "./google-keys.ts";
import * as organization from "./google-organization.ts";
import * as policy from "./google-policy.ts";
import { exchangeToken } from "./google-token.ts";
import * as vertex from "./google-vertex.ts";
import { GoogleSettings, type GoogleWorld, newAdmin, newWorld, note } from "./google-world.ts";

type Call = GoogleCall<GoogleWorld>;
type Handler = (call: Call) => unknown;

const IAM = "iam.googleapis.com";
const RESOURCE_MANAGER = "cloudresourcemanager.googleapis.com";
const VERTEX = "aiplatform.googleapis.com";

const ACCOUNTS = "/v1/projects/*/serviceAccounts";
const MODEL = "/v1/projects/*/locations/*/publishers/google/models/*";

/** `*` is a part of a path without a slash or a colon. */
const ROUTES: [service: string, route: string, handler: Handler][] = [
  [IAM, `POST ${ACCOUNTS}`, accounts.createAccount],
  [IAM, `GET ${ACCOUNTS}`, accounts.listAccounts],
  [IAM, `GET ${ACCOUNTS}/*`, accounts.showAccount],
  [IAM, `PATCH ${ACCOUNTS}/*`, accounts.updateAccount],
  [IAM, `DELETE ${ACCOUNTS}/*`, accounts.deleteAccount],
  [IAM, `POST ${ACCOUNTS}/*:disable`, (call) => accounts.setDisabled(call, true)],
  [IAM, `POST ${ACCOUNTS}/*:enable`, (call) => accounts.setDisabled(call, false)],
  [IAM, `POST ${ACCOUNTS}/*:undelete`, accounts.undeleteAccount],
  [IAM, `POST ${ACCOUNTS}/*/keys`, keys.createKey],
  [IAM, `POST ${ACCOUNTS}/*/keys:upload`, keys.uploadKey],
  [IAM, `GET ${ACCOUNTS}/*/keys`, keys.listKeys],
  [IAM, `GET ${ACCOUNTS}/*/keys/*`, keys.showKey],
  [IAM, `DELETE ${ACCOUNTS}/*/keys/*`, keys.deleteKey],
  [IAM, `POST ${ACCOUNTS}/*/keys/*:disable`, (call) => keys.setKeyDisabled(call, true)],
  [IAM, `POST ${ACCOUNTS}/*/keys/*:enable`, (call) => keys.setKeyDisabled(call, false)],
  [IAM, "POST /v1/projects/*/roles", organization.createRole],
  [IAM, "GET /v1/projects/*/roles/*", organization.showRole],
  [IAM, "GET /v1/roles/*", organization.showPredefinedRole],
  [IAM, "POST /v1/iamPolicies:lintPolicy", organization.lintPolicy],
  [RESOURCE_MANAGER, "POST /v3/projects/*:getIamPolicy", policy.getPolicy],
  [RESOURCE_MANAGER, "POST /v3/projects/*:setIamPolicy", policy.setPolicy],
  [RESOURCE_MANAGER, "POST /v3/projects/*:testIamPermissions", policy.testPermissions],
  ["serviceusage.googleapis.com", "GET /v1/projects/*/services:batchGet", organization.getServices],
  ["orgpolicy.googleapis.com", "GET /v2/projects/*/policies/*:getEffectivePolicy", organization.getEffectivePolicy],
  [VERTEX, `POST ${MODEL}:countTokens`, vertex.countTokens],
  [VERTEX, `POST ${MODEL}:generateContent`, vertex.generateContent],
];

const routes = ROUTES.map(([service, route, handler]) => {
  const [method = "", path = ""] = route.split(" ");
  return { service, method, pattern: new RegExp(`^${path.replaceAll("*", "([^/:]+)")}$`), handler };
});

export interface GoogleVendor extends SimVendor {
  projectId: string;
  /** The admin's service account file, as text. */
  adminFile: string;
}

/** A simulated Google with one project. The admin's key outlives a reset. */
export function createGoogle({ projectId = "keygate-sim" }: { projectId?: string } = {}): GoogleVendor {
  const admin = newAdmin(projectId);
  let world = newWorld(projectId, admin);
  return {
    name: "google",
    projectId,
    adminFile: admin.key.file ?? "",
    settings: GoogleSettings,
    handle: (req, sim) => handle(world, req, sim),
    books: (sim, wanted) => googleBooks(world, sim, wanted),
    reset: () => {
      world = newWorld(projectId, admin);
    },
    control: (action, body, sim) => control(world, action, body, sim),
  };
}

async function handle(world: GoogleWorld, req: SimRequest, sim: SimContext): Promise<SimResponse> {
  if (req.method === "POST" && req.path === "/token") return exchangeToken(world, sim, req);
  try {
    const member = authenticate(world, sim, req);
    const path = decodeURIComponent(req.path);
    for (const { service, method, pattern, handler } of routes) {
      const match = method === req.method ? pattern.exec(path) : null;
      if (match === null) continue;
      demandService(world, sim, service);
      return { status: 200, body: await handler({ world, req, sim, member, params: match.slice(1) }) };
    }
    throw mistake(`There is no ${req.method} ${path}.`, "NOT_FOUND");
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.options.violation) sim.violation(error.message);
    return refusalResponse(error);
  }
}

const ExposedKey = z.strictObject({ email: z.string(), key_id: z.string() });
const Admin = z.strictObject({ refused: z.boolean() });

function control(world: GoogleWorld, action: string, body: unknown, sim: SimContext): SimResponse | undefined {
  switch (action) {
    case "edit_policy":
      policy.editPolicy(world, sim, body);
      return { status: 200, body: {} };
    case "expose_key": {
      const { email, key_id } = ExposedKey.parse(body);
      const key = world.accounts.findLast((account) => account.email === email)?.keys.find(({ id }) => id === key_id);
      if (key === undefined) throw new Error("there is no such key");
      key.disabled = true;
      key.disableReason = "SERVICE_ACCOUNT_KEY_DISABLE_REASON_EXPOSED";
      note(world, sim, "key.exposed", { email, key_id });
      return { status: 200, body: {} };
    }
    case "set_admin": {
      const admin = world.accounts.find(({ email }) => email === world.adminEmail);
      if (admin !== undefined) admin.disabled = Admin.parse(body).refused;
      return { status: 200, body: {} };
    }
    default:
      return undefined;
  }
}

/** Writes the admin's file where only its owner can read it; `dir` must be private already. Returns its path. */
export async function writeAdminFile(vendor: GoogleVendor, dir: string): Promise<string> {
  const path = join(dir, "google-admin.json");
  await writeFile(path, vendor.adminFile, { mode: 0o600 });
  return path;
}

export const googleEntry = {
  servers: ["google"],
  async start(portOf) {
    const vendor = createGoogle();
    const dir = await mkdtemp(join(tmpdir(), "keygate-simulator-"));
    const close = () => rm(dir, { recursive: true, force: true });
    const file = await writeAdminFile(vendor, dir);
    let google: RunningVendor;
    try {
      google = await startVendorServer(vendor, { port: portOf("google") });
    } catch (error) {
      await close();
      throw error;
    }
    return {
      servers: { google },
      env: {
        GOOGLE_IAM_URL: google.url,
        GOOGLE_RESOURCE_MANAGER_URL: google.url,
        GOOGLE_TOKEN_URL: `${google.url}/token`,
        GCP_PROJECT_ID: vendor.projectId,
        GCP_REGION: "europe-west4",
        GOOGLE_APPLICATION_CREDENTIALS: file,
      },
      close,
    };
  },
} as const satisfies VendorEntry;
